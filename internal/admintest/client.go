package admintest

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// NewRequest makes a request; header are names and values in turn.
func NewRequest(t testing.TB, method, url, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// Do sends a request, and reads its answer whole.
func Do(t testing.TB, req *http.Request) (status int, header http.Header, body []byte) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err = io.ReadAll(resp.Body)
	if closed := resp.Body.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	return resp.StatusCode, resp.Header, body
}

// At returns the value at a path of object members and array indices in a JSON text.
func At(t testing.TB, text []byte, path ...any) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

// Event is one server-sent event; a comment has only a comment.
type Event struct{ ID, Event, Data, Comment string }

// Watch opens a stream of events, which begins with a comment, and returns its reader.
func Watch(t testing.TB, url string, header ...string) (*bufio.Reader, func()) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(NewRequest(t, http.MethodGet, url, "", header...)) //nolint:bodyclose // who watches closes it
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, resp.Header)
	}
	r := bufio.NewReader(resp.Body)
	if first := Next(t, r); first.Comment == "" {
		t.Fatalf("the stream begins with %+v", first)
	}
	return r, func() { _ = resp.Body.Close() }
}

// Next reads up to the empty line that ends an event.
func Next(t testing.TB, r *bufio.Reader) (e Event) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			return e
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.ID = value
		case "event":
			e.Event = value
		case "data":
			e.Data = value
		case "":
			e.Comment = "comment " + value
		}
	}
}
