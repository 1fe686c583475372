package health

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
)

// hostile is a function whose answers to health checks have no end; path says in what. A
// body's connection being closed is told on hungUp.
func hostile(t *testing.T) (url string, hungUp <-chan struct{}) {
	t.Helper()
	ended := make(chan struct{}, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/body", func(w http.ResponseWriter, _ *http.Request) {
		for err := error(nil); err == nil; {
			_, err = io.WriteString(w, strings.Repeat("x", 64<<10))
		}
		ended <- struct{}{}
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) {
		speak(w, "HTTP/1.1 200 OK\r\n", "X-More: "+strings.Repeat("x", 1000)+"\r\n")
	})
	mux.HandleFunc("/line", func(w http.ResponseWriter, _ *http.Request) {
		speak(w, "HTTP/1.1 200 OK\r\nX-Long: ", strings.Repeat("x", 1000))
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
		speak(w, "", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
	})
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/followed", http.StatusFound) })
	mux.HandleFunc("/followed", func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, ended
}

// speak says something on the connection itself, and then something else until nobody
// listens.
func speak(w http.ResponseWriter, first, then string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, first)
	for err == nil {
		_, err = io.WriteString(conn, then)
	}
}

// TestAnswersToChecksHaveBounds: nothing a function answers is read without end, and it
// sends the check nowhere else.
func TestAnswersToChecksHaveBounds(t *testing.T) {
	url, hungUp := hostile(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // which only a failing test reaches
	defer cancel()
	probe := func(path string) error {
		return Probe(ctx, endpointAt(t, catalog.Function{URL: url, HealthPath: path}))
	}
	for _, path := range []string{"/header", "/line", "/hints"} {
		if err := probe(path); err == nil || ctx.Err() != nil {
			t.Errorf("%s without end: %v (%v), want an error at once", path, err, ctx.Err())
		}
	}
	for _, path := range []string{"/body", "/elsewhere"} {
		if err := probe(path); err != nil {
			t.Errorf("%s: %v, want the status to be the answer", path, err)
		}
	}
	select {
	case <-hungUp:
	case <-ctx.Done():
		t.Error("the body is still being read")
	}
}
