package console

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/control"
)

// endless stands for the API where it tells events: its answer ends with the request.
type endless struct{}

func (endless) Serve(w http.ResponseWriter, r *http.Request, _ admin.Role) {
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// streamsOf serves a console over HTTP, and returns what opens a stream of it, within a minute.
func streamsOf(t *testing.T, h *Handler, cookie *http.Cookie) (open func(path string) *http.Response) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = h.ServeHTTP(rw, r, nil) }))
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return func(path string) *http.Response {
		t.Helper()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+path, nil)
		req.AddCookie(cookie)
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
}

// Events of the API are a stream as well: it ends with the session, which has so many of them.
func TestEventsEndWithTheSession(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	h.gateway = endless{}
	b := w.browser(h)
	b.signIn("vera")
	open := streamsOf(t, h, b.cookie)
	var all []*http.Response
	for range maxStreamsPer {
		all = append(all, open("/api/fado/events"))
	}
	if resp := open("/api/fado/events"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more is answered with %d", resp.StatusCode)
	}
	b.want(204, b.do("DELETE", "/api/session", ""))
	for _, resp := range all {
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("events do not end with the session: %v", err)
		}
	}
}

// nextFrame returns the data of the next frame of a kind.
func nextFrame(t *testing.T, lines *bufio.Scanner, kind string) string {
	t.Helper()
	for lines.Scan() {
		if lines.Text() == "event: "+kind {
			lines.Scan()
			return lines.Text()
		}
	}
	t.Fatalf("no %s: %v", kind, lines.Err())
	return ""
}

// The stream sums up what changed, and ends with the session.
func TestStream(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.signIn("vera")
	lines := bufio.NewScanner(streamsOf(t, h, b.cookie)("/api/stream").Body)
	if beat := nextFrame(t, lines, "beat"); !strings.Contains(beat, `"version":"v0-test"`) {
		t.Error(beat)
	}
	for range 3 {
		w.ctl.Events().Emit(control.Event{Type: control.EventTransfer, Bucket: "reports", Key: "secret-key"})
	}
	if change := nextFrame(t, lines, "change"); change != `data: {"kinds":["transfer"],"buckets":["reports"],"missed":false}` {
		t.Error(change)
	}
	b.want(204, b.do("DELETE", "/api/session", ""))
	for lines.Scan() { // until it ends
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream did not end with the session: %v", err)
	}
}

// A session has so many streams, and no more.
func TestStreamsHaveRoom(t *testing.T) {
	r := newRooms()
	for range maxStreamsPer {
		if !r.enter("a") {
			t.Fatal("no room")
		}
	}
	if r.enter("a") || !r.enter("b") {
		t.Error("rooms are not counted by session")
	}
	r.leave("a")
	if !r.enter("a") {
		t.Error("a place that was left is not free")
	}
	for range maxStreamsPer {
		r.leave("a")
	}
	r.leave("b")
	if r.all != 0 || len(r.per) != 0 {
		t.Errorf("%d streams, %v", r.all, r.per)
	}
}
