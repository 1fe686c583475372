package audit

import (
	"encoding/json"
	"strings"
	"testing"
)

// Who makes a change is known by its context; FaDO itself does where that says nobody.
func TestCaller(t *testing.T) {
	t.Parallel()
	ada := Caller{Who: "ada", Role: "admin", How: "password", Request: "abc"}
	if got := CallerOf(WithCaller(t.Context(), ada)); got != ada {
		t.Errorf("%+v", got)
	}
	if got := CallerOf(t.Context()); got != (Caller{}) {
		t.Errorf("of a context that says nobody: %+v", got)
	}
}

// Records made before roles were on record verify as they did: what is not given is not in the text that is hashed.
func TestCanonicalCaller(t *testing.T) {
	t.Parallel()
	b := ChangeBody{Resource: "bucket", Name: "b", Action: "created"}
	if text := string(b.canonical()); strings.Contains(text, "address") || strings.Contains(text, "role") || strings.Contains(text, "how") || strings.Contains(text, "request") {
		t.Errorf("nothing given: %s", text)
	}
	b.Role, b.How, b.Address, b.Request = "admin", "token", "192.0.2.1", "r1"
	for _, member := range []string{`{"action":"created","address":"192.0.2.1","after":`, `"how":"token"`, `"request":"r1"`, `"role":"admin"`} {
		if text := string(b.canonical()); !strings.Contains(text, member) {
			t.Errorf("%s is not in %s", member, text)
		}
	}
	text, err := json.Marshal(b)
	if err == nil {
		text, err = Canonical(text)
	}
	if got := b.canonical(); err != nil || string(got) != string(text) {
		t.Errorf("%s, want %s, %v", got, text, err)
	}
}
