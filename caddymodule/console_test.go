package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// consoleOf is a configuration with a console, in which a user is a viewer.
func consoleOf(t testing.TB, db string, port int, user string) config {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, fmt.Sprintf("fado {\nstore sqlite %s\nreplication off\n}", db),
		fmt.Sprintf("http://localhost:%d {\nfado_console {\nuser %s %s viewer\n}\n}", port, user, hash))
}

// TestStreamsEndWithTheirConfiguration: a stream of the console that was opened under a configuration does
// not outlive it. Its browser opens another one.
func TestStreamsEndWithTheirConfiguration(t *testing.T) {
	noLeaks(t)
	db, port := filepath.Join(t.TempDir(), "fado.db"), freePort(t)
	mustLoad(t, consoleOf(t, db, port, "vera"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	base := fmt.Sprintf("http://localhost:%d/api", port)
	ask := func(method, path, body string, with ...*http.Cookie) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, c := range with {
			req.AddCookie(c)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	in := ask("POST", "/session", `{"user":"vera","password":"secret"}`)
	if in.StatusCode != http.StatusOK || len(in.Cookies()) != 1 {
		t.Fatalf("signing in: %d", in.StatusCode)
	}
	streams := make(map[string]*http.Response)
	for _, path := range []string{"/stream", "/fado/events"} {
		if streams[path] = ask("GET", path, "", in.Cookies()...); streams[path].StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", path, streams[path].StatusCode)
		}
	}
	mustLoad(t, consoleOf(t, db, port, "ada")) // vera is no user any more
	for path, resp := range streams {
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Errorf("%s goes on: %v", path, err)
		}
	}
}
