package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/s3gateway/urls"
	"github.com/fado-project/fado/state"
)

// objectWorld has a bucket, and an S3 endpoint on a port of its own.
func objectWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	if _, err := w.ctl.Attach(t.Context(), control.Config{AuditKeep: time.Hour}); err != nil {
		t.Fatal(err)
	}
	b := &catalog.Bucket{Name: "reports"}
	b.Normalize()
	if _, err := w.ctl.Resources.Create(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	w.endpoints.Declare(&urls.Endpoint{Scheme: "http", Port: "9000", Region: "eu-1"})
	return w
}

// signs asks for a URL and returns it.
func (b *browser) signs(status int, body string) *url.URL {
	b.t.Helper()
	text := b.want(status, b.do("POST", "/api/presign", body, "Origin", "http://"+b.host))
	var v presignView
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.t.Fatal(err)
	}
	u, err := url.Parse(v.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// Bytes of objects are apart from the other rights of roles.
func TestDataRights(t *testing.T) {
	w := objectWorld(t)
	for _, tc := range []struct {
		user  string
		data  map[admin.Role]Right
		right Right
	}{
		{"vera", nil, RightNone},
		{"ola", nil, RightRead},
		{"ada", nil, RightWrite},
		{"vera", map[admin.Role]Right{"viewer": RightRead}, RightRead},
		{"ola", map[admin.Role]Right{"operator": RightWrite}, RightWrite},
		{"ada", map[admin.Role]Right{"admin": RightNone}, RightNone},
	} {
		h := w.console(nil)
		h.Data = tc.data
		b := w.browser(h)
		b.want(401, b.do("POST", "/api/presign", `{"bucket":"reports","key":"k","operation":"get"}`))
		b.signIn(tc.user)
		for op, does := range operations {
			want := 200
			if !tc.right.covers(rightOf(does)) {
				want = 403
			}
			u := b.signs(want, `{"bucket":"reports","key":"k","operation":"`+string(op)+`","part":1,"upload":"u"}`)
			if want == 403 && u.String() != "" {
				t.Errorf("%s %s: %s", tc.user, op, u)
			}
		}
		var v callerView
		if err := json.Unmarshal([]byte(b.want(200, b.do("GET", "/api/session", ""))), &v); err != nil || v.Data != tc.right || v.S3 != "http://localhost:9000" {
			t.Errorf("%s: %+v %v", tc.user, v, err)
		}
	}
}

// A URL is for one request about one object, for pages of this origin, and what it gets is
// stored by browsers, not shown.
func TestSignedURLsAreNarrow(t *testing.T) {
	w := objectWorld(t)
	b := w.browser(w.console(nil))
	b.signIn("ada")
	u := b.signs(200, `{"bucket":"reports","key":"q1/ü b.html","operation":"get","version":"v1","seconds":60}`)
	q := u.Query()
	id, scope, _ := strings.Cut(q.Get("X-Amz-Credential"), "/")
	g, ok := urls.ParseID(id)
	if !ok || g.Bucket != "reports" || g.Write || g.Origin != "http://localhost:8090" || !strings.Contains(scope, "/eu-1/s3/") {
		t.Errorf("%+v %s", g, scope)
	}
	if u.Host != "localhost:9000" || u.Path != "/reports/q1/ü b.html" || q.Get("X-Amz-Expires") != "60" || q.Get("versionId") != "v1" ||
		!strings.HasPrefix(q.Get("response-content-disposition"), "attachment") {
		t.Error(u)
	}
	if u := b.signs(200, `{"bucket":"reports","key":"k","operation":"part","upload":"u","part":7}`); u.Query().Get("partNumber") != "7" || u.Query().Get("uploadId") != "u" {
		t.Error(u)
	}
	if u := b.signs(200, `{"bucket":"reports","key":"k","operation":"versions"}`); u.Path != "/reports" || u.Query().Get("prefix") != "k" {
		t.Error(u)
	}
	for body, want := range map[string]int{
		`{"bucket":"reports","key":"k","operation":"list"}`:                                400,
		`{"bucket":"reports","key":"","operation":"get"}`:                                  400,
		`{"bucket":"","key":"k","operation":"get"}`:                                        400,
		`{"bucket":"reports","key":"a/../k","operation":"get"}`:                            400,
		`{"bucket":"reports","key":"k","operation":"get","seconds":901}`:                   400,
		`{"bucket":"reports","key":"k","operation":"part","upload":"u"}`:                   400,
		`{"bucket":"reports","key":"k","operation":"complete"}`:                            400,
		`{"bucket":"reports","key":"k","operation":"get","method":"DELETE"}`:               400,
		`{"bucket":"none","key":"k","operation":"get"}`:                                    404,
		`{"bucket":"reports","key":"` + strings.Repeat("k", 1025) + `","operation":"get"}`: 400,
	} {
		if u := b.signs(want, body); u.String() != "" {
			t.Errorf("%s: %s", body, u)
		}
	}
	b.want(403, b.do("POST", "/api/presign", `{"bucket":"reports","key":"k","operation":"get"}`, "Sec-Fetch-Site", "same-site", "Origin", "http://localhost:9000"))
}

// Who may read or change an object by a URL is on record before the URL is known.
func TestSignedURLsAreOnRecord(t *testing.T) {
	w := objectWorld(t)
	b := w.browser(w.console(nil))
	b.signIn("ola")
	b.signs(200, `{"bucket":"reports","key":"q1/k","operation":"head"}`)
	b.signs(200, `{"bucket":"reports","key":"q1/k","operation":"get","version":"v1"}`)
	b.signs(403, `{"bucket":"reports","key":"q1/k","operation":"delete"}`)
	records, err := w.store.Audits().AuditRecords(t.Context(), state.AuditFilter{Kind: audit.Session}, 0)
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	var body audit.SessionBody
	if err := json.Unmarshal(records[1].Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Event != audit.URLSigned || body.User != "ola" || body.Operation != "get" || body.Bucket != "reports" || body.Key != "q1/k" || body.Version != "v1" || body.Address == "" || records[1].Actor != "console ola" {
		t.Errorf("%+v by %s", body, records[1].Actor)
	}
}

// The console finds the S3 endpoint of its configuration, and its pages may ask that and no other.
func TestEndpointOfTheConsole(t *testing.T) {
	w := objectWorld(t)
	at := func(host, port string) *urls.Endpoint { return &urls.Endpoint{Scheme: "https", Host: host, Port: port} }
	for _, tc := range []struct {
		name, host, s3 string
		endpoints      []*urls.Endpoint
		want           string
	}{
		{"another port", "console.example.org:8443", "", []*urls.Endpoint{at("", "9000")}, "https://console.example.org:9000"},
		{"an IPv6 address", "[::1]:8090", "", []*urls.Endpoint{at("", "9000")}, "https://[::1]:9000"},
		{"its public URL", "localhost:8090", "", []*urls.Endpoint{at("", "9000"), at("s3.example.org", "9000")}, "https://s3.example.org"},
		{"the option", "localhost:8090", "http://objects.example.org", []*urls.Endpoint{at("s3.example.org", "9000")}, "http://objects.example.org"},
		{"the option alone", "localhost:8090", "http://objects.example.org", nil, "http://objects.example.org"},
		{"the same port", "localhost:9000", "", []*urls.Endpoint{at("", "9000")}, ""},
		{"a socket", "localhost:8090", "", []*urls.Endpoint{at("", "")}, ""},
		{"no endpoint", "localhost:8090", "", nil, ""},
		{"a host that is none", "evil;script-src *:8090", "", []*urls.Endpoint{at("", "9000")}, ""},
	} {
		h := w.console(nil)
		h.S3, w.endpoints = tc.s3, urls.Endpoints{}
		for _, e := range tc.endpoints {
			w.endpoints.Declare(e)
		}
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x/", nil)
		r.Host = tc.host
		got := ""
		if e := h.endpoint(r); e != nil {
			got = e.URL()
		}
		want := policyBefore + policyAfter
		if tc.want != "" {
			want = policyBefore + " " + tc.want + policyAfter
		}
		if p := policyOf(h.endpoint(r)); got != tc.want || p != want || strings.Contains(p, "*") {
			t.Errorf("%s: %q, %s", tc.name, got, p)
		}
	}
	w.endpoints = urls.Endpoints{}
	b := w.browser(w.console(nil))
	b.signIn("ada")
	b.signs(409, `{"bucket":"reports","key":"k","operation":"get"}`)
}
