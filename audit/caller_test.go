package audit

import (
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
	if text := string(b.canonical()); strings.Contains(text, "role") || strings.Contains(text, "how") || strings.Contains(text, "request") {
		t.Errorf("nothing given: %s", text)
	}
	b.Role, b.How, b.Request = "admin", "token", "r1"
	for _, member := range []string{`"how":"token"`, `"request":"r1"`, `"role":"admin"`} {
		if text := string(b.canonical()); !strings.Contains(text, member) {
			t.Errorf("%s is not in %s", member, text)
		}
	}
}
