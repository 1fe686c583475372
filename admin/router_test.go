package admin

import (
	"net/http"
	"strings"
	"testing"

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
	for _, path := range []string{"/fado/nothing", "/fado/zones/", "/fado/zones/a/b", "/fado/buckets/b/"} {
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

// Names with characters of their own stay one segment.
func TestEscapedNames(t *testing.T) {
	h := start(t, control.Config{})
	h.do("GET", "/fado/zones/a%2Fb", "").want(404).says(`zone "a/b"`)
	h.do("GET", "/fado/zones/..%2Fbuckets", "").want(404).says(`zone "../buckets"`)
}

func TestNotConfigured(t *testing.T) {
	h := start(t, control.Config{})
	h.api.find = func() (backend, error) { return backend{}, unavailable("the fado app is not configured") }
	h.do("GET", "/fado/", "").want(503).says("not configured")
	h.do("GET", "/fado/nothing", "").want(404)
	h.do("GET", "/fado/openapi.json", "").want(http.StatusOK)
}
