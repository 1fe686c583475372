package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	ready := make(chan struct{})
	p := &Probe{ready: ready}
	ask := func(method, url string) (int, string) {
		w := httptest.NewRecorder()
		if err := p.ServeHTTP(w, httptest.NewRequest(method, url, nil), nil); err != nil {
			t.Error(err)
		}
		return w.Code, w.Body.String()
	}
	expect := func(method, url string, status int, body string) {
		t.Helper()
		if s, b := ask(method, url); s != status || b != body {
			t.Errorf("%s %s: %d %q, want %d %q", method, url, s, b, status, body)
		}
	}
	expect(http.MethodGet, "/healthz", 503, "the catalogue is not loaded yet\n")
	expect(http.MethodGet, "/healthz?live=true", 200, "live\n")
	close(ready)
	expect(http.MethodGet, "/healthz", 200, "ready\n")
	expect(http.MethodHead, "/healthz", 200, "")
	expect(http.MethodPost, "/healthz", 405, "expected GET or HEAD\n")
}

func TestProbeTakesNoOptions(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"fado_health": true, "fado_health /healthz": false, "fado_health {\nx\n}": false} {
		if err := new(Probe).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
