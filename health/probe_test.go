package health

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

func endpointAt(t *testing.T, f catalog.Function) *routing.Endpoint {
	t.Helper()
	u, err := url.Parse(f.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &routing.Endpoint{Cluster: "c1", Function: f, Parsed: u, Dial: u.Host, Live: new(routing.EndpointState)}
}

// check probes with a deadline that only a failing test reaches.
func check(t *testing.T, f catalog.Function) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return Probe(ctx, endpointAt(t, f))
}

func TestProbeConnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := catalog.Function{URL: "http://" + l.Addr().String()}
	if err := check(t, f); err != nil {
		t.Errorf("someone listens, but %v", err)
	}
	l.Close()
	if err := check(t, f); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestProbeAsksTheHealthPath(t *testing.T) {
	answer := http.NewServeMux()
	answer.HandleFunc("/ok/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.RequestURI != "/ok/a%2Fb?deep=1" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	answer.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/broken", http.StatusFound) })
	answer.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	answer.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	plain, secure := httptest.NewServer(answer), httptest.NewTLSServer(answer)
	defer plain.Close()
	defer secure.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		f    catalog.Function
		want string // part of the error; "" for none
	}{
		{catalog.Function{URL: plain.URL + "/gateway", HealthPath: "/ok/a%2Fb?deep=1"}, ""},
		{catalog.Function{URL: plain.URL, HealthPath: "/moved"}, ""},
		{catalog.Function{URL: plain.URL, HealthPath: "/endless"}, ""},
		{catalog.Function{URL: plain.URL, HealthPath: "/broken"}, "/broken: status 500, expected 2xx or 3xx"},
		{catalog.Function{URL: plain.URL, HealthPath: "/missing"}, "status 404"},
		{catalog.Function{URL: secure.URL, HealthPath: "/moved"}, "certificate"},
		{catalog.Function{URL: secure.URL, HealthPath: "/moved", CAFile: ca}, ""},
		{catalog.Function{URL: secure.URL, HealthPath: "/moved", InsecureSkipVerify: true}, ""},
		{catalog.Function{URL: secure.URL, HealthPath: "/moved", CAFile: ca + "x"}, "ca_file"},
		{catalog.Function{URL: secure.URL, HealthPath: "/moved", CAFile: empty}, "a PEM certificate that FaDO can read"},
		{catalog.Function{URL: strings.Replace(plain.URL, "http:", "https:", 1), HealthPath: "/moved"}, "TLS handshake"},
	} {
		err := check(t, test.f)
		if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: %v, want %q", test.f.URL, test.f.HealthPath, err, test.want)
		}
	}
}

// FaDO's placeholders say of a check what they say of an invocation without data; those of a
// request are an error that names them.
func TestPlaceholdersOfAProbe(t *testing.T) {
	var got http.Header
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer s.Close()
	f := catalog.Function{URL: s.URL, HealthPath: "/", Header: []catalog.HeaderField{{Name: "X-Where", Value: "{fado.cluster} {fado.locality}{fado.bucket}"}}}
	if err := check(t, f); err != nil {
		t.Fatal(err)
	}
	if where := got.Get("X-Where"); where != "c1 none" {
		t.Errorf("X-Where: %q", where)
	}
	f.Header[0].Value = "{http.request.uri.path.0}"
	if err := check(t, f); err == nil || !strings.Contains(err.Error(), "{http.request.uri.path.0}") {
		t.Errorf("error %v", err)
	}
}

func TestProbeEndsWithItsDeadline(t *testing.T) {
	done := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	defer s.Close()
	defer close(done)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := Probe(ctx, endpointAt(t, catalog.Function{URL: s.URL, HealthPath: "/"})); err == nil {
		t.Error("a function that hangs passes")
	}
}
