package admin

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/control"
)

func cut(call string) (method, path string, ok bool) { return strings.Cut(call, " ") }

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not contain %q", text, p)
		}
	}
}

func TestNoSuchEndpoint(t *testing.T) {
	h := start(t, control.Config{})
	for _, path := range []string{"/fado/nothing", "/fado/zones/", "/fado/zones/a/b", "/fado/buckets/b/", "/fado//zones", "/fado/zones/../zones"} {
		h.do("GET", path, "").want(404).says(path)
	}
}

func TestMethodNotAllowed(t *testing.T) {
	h := start(t, control.Config{})
	for call, allow := range map[string]string{
		"DELETE /fado/zones":                   "GET, HEAD, POST",
		"POST /fado/zones/eu":                  "DELETE, GET, HEAD, PATCH, PUT",
		"POST /fado/":                          "GET, HEAD",
		"GET /fado/buckets/b/sync":             "POST",
		"GET /fado/replication/failures/retry": "POST",
		"PUT /fado/openapi.json":               "GET, HEAD",
	} {
		method, path, _ := cut(call)
		a := h.do(method, path, "").want(405)
		a.says(method)
		if got := a.header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow %q, want %q", call, got, allow)
		}
	}
}

// What every caller of the table relies on.
func TestOperationTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, op := range table().operations {
		if op.name == "" || seen[op.name] {
			t.Errorf("%s %s: the name %q is empty or not its own", op.method, op.pattern, op.name)
		}
		seen[op.name] = true
		asks := op.name == "what-if" || op.name == "check-policy" // questions that have a body
		if reads := asks || op.method == http.MethodGet && !strings.HasPrefix(op.pattern, "/fado/audit"); reads != (op.role == roleViewer) {
			t.Errorf("%s is for the role %q", op.name, op.role)
		}
		if op.handle == nil || op.summary == "" || len(op.replies) == 0 || (op.request == nil) != (op.requestTypes == nil) {
			t.Errorf("%s lacks something: %+v", op.name, op)
		}
		purges := slices.ContainsFunc(op.params, func(p parameter) bool { return p.name == "purge" })
		if purges && op.role != roleAdmin {
			t.Errorf("%s removes data and is for the role %q", op.name, op.role)
		}
	}
}

// Names with characters of their own stay one segment.
func TestEscapedNames(t *testing.T) {
	h := start(t, control.Config{})
	h.do("GET", "/fado/zones/a%2Fb", "").want(404).says(`zone "a/b"`)
	h.do("GET", "/fado/zones/..%2Fbuckets", "").want(404).says(`zone "../buckets"`)
}

// Another site's page can't have an old browser change anything: what such a page may
// send unasked is refused.
func TestForeignForms(t *testing.T) {
	h := withCluster(t)
	for _, media := range []string{"text/plain", "text/plain;charset=UTF-8", "Text/Plain ; x=y", "multipart/form-data; boundary=x"} {
		for _, call := range []string{
			"POST /fado/zones", "PUT /fado/zones/de", "PATCH /fado/zones/eu", "POST /fado/replication/pause", "POST /fado/buckets/photos/sync",
		} {
			method, path, _ := cut(call)
			h.do(method, path, `{"name":"de"}`, "Content-Type", media).want(400).says("Content-Type", "application/json")
		}
	}
	if h.engine.asked != nil {
		t.Errorf("asked %q", h.engine.asked)
	}
	h.do("GET", "/fado/zones/de", "").want(404)
	h.do("GET", "/fado/zones", "", "Content-Type", "text/plain").want(200)
	h.do("POST", "/fado/zones", `{"name":"fr"}`, "Content-Type", "application/x-www-form-urlencoded").want(201)
}

func TestNotConfigured(t *testing.T) {
	h := start(t, control.Config{})
	h.api.find = func() (backend, error) { return backend{}, request.Unavailable("the fado app is not configured") }
	h.do("GET", "/fado/", "").want(503).says("not configured")
	h.do("GET", "/fado/nothing", "").want(404)
	h.do("GET", "/fado/openapi.json", "").want(http.StatusOK)
}
