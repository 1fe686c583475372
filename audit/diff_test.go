package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fado-project/fado/audit"
)

// A diff names the fields that changed, those inside others too, and is bounded.
func TestDiff(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ before, after, want string }{
		{`{"copies":2,"zones":["eu"],"name":"p"}`, `{"copies":1,"zones":["us"],"name":"p"}`, `[{copies 2 1} {zones ["eu"] ["us"]}]`},
		{`{"a":1}`, `{"b":"x"}`, `[{a 1 } {b  "x"}]`},
		{`{"storage":{"endpoint":"http://a","region":"r"}}`, `{"storage":{"endpoint":"http://b","region":"r"}}`, `[{storage.endpoint "http://a" "http://b"}]`},
		{`{"storage":{"region":"r"}}`, `{}`, `[{storage {"region":"r"} }]`},
		{`{"a":null}`, `{"a":{}}`, `[{a null {}}]`},
		{`{"a":1}`, `{"a":1}`, `[]`},
	} {
		if got := fmt.Sprint(audit.Diff([]byte(tc.before), []byte(tc.after))); got != tc.want {
			t.Errorf("%s to %s: got %s, want %s", tc.before, tc.after, got, tc.want)
		}
	}
	long := fmt.Sprintf(`{"labels":"%s"}`, strings.Repeat("é", 1000))
	d := audit.Diff([]byte(`{}`), []byte(long))
	if len(d) != 1 || len(d[0].To) > 300 || !strings.HasSuffix(d[0].To, "…") || !utf8.ValidString(d[0].To) {
		t.Errorf("a long value is told as %q", d)
	}
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, `,"f%d":1`, i)
	}
	if d := audit.Diff([]byte(`{}`), []byte("{"+many.String()[1:]+"}")); len(d) != 32 {
		t.Errorf("%d of many fields are told", len(d))
	}
}

// The body of a change has digests of what there was and is, and a diff where there are both.
func TestChangeOf(t *testing.T) {
	t.Parallel()
	was, is := []byte(`{"copies":2}`), []byte(`{"copies":1}`)
	body := audit.ChangeBody{Resource: "policy", Name: "p"}
	created, changed, deleted := body.Of(nil, is), body.Of(was, is), body.Of(was, nil)
	if created.Before != "" || created.After != audit.Digest(is) || created.Diff != nil {
		t.Errorf("created: %+v", created)
	}
	if changed.Before != audit.Digest(was) || changed.After != audit.Digest(is) || len(changed.Diff) != 1 {
		t.Errorf("changed: %+v", changed)
	}
	if deleted.Before != audit.Digest(was) || deleted.After != "" || deleted.Diff != nil {
		t.Errorf("deleted: %+v", deleted)
	}
}
