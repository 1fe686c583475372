package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/events"
	"github.com/fado-project/fado/control"
)

// ask has a gateway answer a request of a caller in a role.
func (h *harness) ask(as Role, method, path, body string) answer {
	h.t.Helper()
	api := &API{log: zap.NewNop(), find: func() (backend, error) { return h.backend, nil }, streams: events.NewStreams(events.MaxStreams)}
	w := httptest.NewRecorder()
	(&Gateway{api}).Serve(w, httptest.NewRequest(method, path, strings.NewReader(body)), as)
	return answer{h.t, string(as) + ": " + method + " " + path, w.Code, w.Header(), w.Body.Bytes()}
}

// TestRolesAreKept: a role may do what it may, and nothing of an operation is done for
// another.
func TestRolesAreKept(t *testing.T) {
	h := withCopies(t)
	for _, tc := range []struct {
		least              Role
		method, path, body string
	}{
		{RoleViewer, "GET", "/fado/", ""},
		{RoleViewer, "GET", "/fado/summary", ""},
		{RoleAdmin, "GET", "/fado/audit", ""},
		{RoleAdmin, "GET", "/fado/audit/export", ""},
		{RoleViewer, "GET", "/fado/buckets/photos/objects", ""},
		{RoleOperator, "POST", "/fado/buckets/photos/sync", ""},
		{RoleOperator, "POST", "/fado/buckets/photos/verify", ""},
		{RoleOperator, "POST", "/fado/replication/pause", ""},
		{RoleOperator, "POST", "/fado/buckets/photos/deletes/confirm", ""},
		{RoleOperator, "POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"newest"}`},
		{RoleOperator, "POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"newest","discard":false}`},
		{RoleAdmin, "POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"newest","discard":true}`},
		{RoleAdmin, "POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"newest","Discard":true}`},
		{RoleAdmin, "POST", "/fado/buckets/photos/conflicts/resolve", `{"winner":"newest","discard":false,"discard":true}`},
		{RoleOperator, "PATCH", "/fado/clusters/c9", `{"drain":true}`},
		{RoleAdmin, "PATCH", "/fado/clusters/c9", `{"drain":true,"zones":["eu"]}`},
		{RoleAdmin, "PATCH", "/fado/clusters/c9", `{"labels":{}}`},
		{RoleAdmin, "PATCH", "/fado/buckets/b9", `{"drain":true}`},
		{RoleAdmin, "POST", "/fado/zones", `{"name":"z9"}`},
		{RoleAdmin, "DELETE", "/fado/buckets/b9?purge=all", ""},
		{RoleAdmin, "POST", "/fado/keys", `{}`},
		{RoleAdmin, "POST", "/fado/buckets/photos/trust?cluster=c1", ""},
	} {
		for _, as := range []Role{RoleViewer, RoleOperator, RoleAdmin, "", "root"} {
			if as == "" {
				continue // the admin endpoint's own
			}
			h.engine.asked = nil
			a := h.ask(as, tc.method, tc.path, tc.body)
			if may := as.may(tc.least); (a.status != http.StatusForbidden) != may {
				t.Errorf("%s %s: %d %s, may: %v", a.what, tc.body, a.status, a.body, may)
			} else if !may {
				a.says(string("needs the role " + tc.least))
				if len(h.engine.asked) > 0 {
					t.Errorf("%s: %q was done all the same", a.what, h.engine.asked)
				}
			}
		}
	}
}

// TestLinksAreTheAdminEndpoints: no role makes a link to sign in with.
func TestLinksAreTheAdminEndpoints(t *testing.T) {
	h := start(t, control.Config{})
	h.ask(RoleAdmin, "POST", "/fado/console/links", "").want(http.StatusNotFound).says("admin endpoint only")
	made := h.do("POST", "/fado/console/links", `{"role":"viewer","url":"https://c.example/console/"}`).want(201)
	if link := made.at("link").(string); !strings.HasPrefix(link, "https://c.example/console/#sign-in=fado_") {
		t.Errorf("the link is %s", link)
	}
	if made.at("role") != "viewer" || made.header.Get("Cache-Control") != "no-store" {
		t.Errorf("made %s, %v", made.body, made.header)
	}
	if got := h.do("POST", "/fado/console/links", "").want(201).at("role"); got != "admin" {
		t.Errorf("by default the role is %v", got)
	}
	for body, want := range map[string]string{
		`{"role":"root"}`:                    "viewer, operator or admin",
		`{"url":"javascript:alert(1)"}`:      "url",
		`{"url":"https://u:p@c.example/"}`:   "url",
		`{"title":1}`:                        "unknown field",
		`{} {}`:                              "nothing after it",
		`{"url":"https://c.example/#there"}`: "url",
	} {
		h.do("POST", "/fado/console/links", body).want(400).says(want)
	}
	passes, err := h.ctl.Store().Passes().ListPasses(t.Context(), "")
	if err != nil || len(passes) != 2 {
		t.Fatalf("%d links, %v", len(passes), err)
	}
	if strings.Contains(string(made.body), passes[0].Sum) || strings.Contains(string(made.body), passes[1].Sum) {
		t.Error("what the store keeps is what was shown")
	}
}
