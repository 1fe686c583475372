package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
)

// sse is one server-sent event; a comment has only a comment.
type sse struct{ id, event, data, comment string }

// watch opens the stream of events and returns its reader.
func (h *harness) watch(header ...string) (*bufio.Reader, func()) {
	h.t.Helper()
	return h.watchSome("", header...)
}

func (h *harness) watchSome(query string, header ...string) (*bufio.Reader, func()) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), "GET", h.url+"/fado/events"+query, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		h.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		h.t.Fatalf("%d %s", resp.StatusCode, resp.Header)
	}
	h.seen["GET /fado/events 200"] = true
	r := bufio.NewReader(resp.Body)
	if first := next(h.t, r); first.comment == "" {
		h.t.Fatalf("the stream begins with %+v", first)
	}
	return r, func() { resp.Body.Close() }
}

// next reads up to the empty line that ends an event.
func next(t testing.TB, r *bufio.Reader) (e sse) {
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
			e.id = value
		case "event":
			e.event = value
		case "data":
			e.data = value
		case "":
			e.comment = "comment " + value
		}
	}
}

func TestEvents(t *testing.T) {
	h := start(t, control.Config{})
	r, closeStream := h.watch()
	defer closeStream()
	h.do("POST", "/fado/zones", `{"name":"eu"}`).want(201)
	e := next(t, r)
	var ev control.Event
	if err := json.Unmarshal([]byte(e.data), &ev); err != nil {
		t.Fatal(err)
	}
	if e.id != "1" || e.event != "resource" || ev.Op != "created" || ev.Kind != "zone" || ev.Name != "eu" || ev.Time.IsZero() {
		t.Errorf("event %+v", e)
	}
	if err := validate("/components/schemas/Event", []byte(e.data)); err != nil {
		t.Error(err)
	}
	h.ctl.Events().Emit(control.Event{Type: control.EventTransfer, Key: "line\nbreak"})
	if e = next(t, r); e.id != "2" || !strings.Contains(e.data, `line\nbreak`) {
		t.Errorf("event %+v", e)
	}
}

// A watcher gets what it asks for, and nothing else.
func TestEventsAreFiltered(t *testing.T) {
	h := start(t, control.Config{})
	r, closeStream := h.watchSome("?type=copy&type=bucket_ok&bucket=photos")
	defer closeStream()
	for _, e := range []control.Event{
		{Type: control.EventTransfer, Bucket: "photos"},
		{Type: control.EventCopy, Bucket: "reports"},
		{Type: control.EventStorage},
		{Type: control.EventCopy, Bucket: "photos", State: "synced"},
		{Type: control.EventBucketOK, Bucket: "photos"},
	} {
		h.ctl.Events().Emit(e)
	}
	if e := next(t, r); e.id != "1" || e.event != "copy" || !strings.Contains(e.data, "photos") {
		t.Errorf("event %+v", e)
	}
	if e := next(t, r); e.id != "2" || e.event != "bucket_ok" {
		t.Errorf("event %+v", e)
	}
	h.do("GET", "/fado/events?type=copies", "").want(400).says("type", `"copies"`, "resource, copy")
}

func TestEventsEndWithTheConfiguration(t *testing.T) {
	h := start(t, control.Config{})
	r, closeStream := h.watch()
	defer closeStream()
	close(h.ended)
	if _, err := r.ReadString('\n'); err == nil {
		t.Error("the stream goes on")
	}
}

func TestEventsAfterAReconnect(t *testing.T) {
	h := start(t, control.Config{})
	r, closeStream := h.watch("Last-Event-ID", "17")
	defer closeStream()
	if e := next(t, r); e.event != "missed" || !strings.Contains(e.data, "reconnected") {
		t.Errorf("event %+v", e)
	}
}

// relay is a response writer whose client reads when the test does.
type relay struct {
	header http.Header
	out    chan string
}

func (r relay) Header() http.Header { return r.header }
func (r relay) WriteHeader(int)     {}
func (r relay) Flush()              {}
func (r relay) Write(p []byte) (int, error) {
	r.out <- string(p)
	return len(p), nil
}

// A client that lags behind is told how many events it missed, and no event is both
// missed and delivered.
func TestEventsMissed(t *testing.T) {
	h := start(t, control.Config{})
	w := relay{http.Header{}, make(chan string)}
	done := make(chan error)
	go func() { done <- h.api.serve(w, httptest.NewRequest("GET", "/fado/events", nil)) }()
	<-w.out // the greeting: the stream is subscribed
	const sent = eventRoom + 100
	for i := range sent {
		h.ctl.Events().Emit(control.Event{Type: control.EventTransfer, Key: fmt.Sprint(i)})
	}
	delivered, missed := 0, 0
	for delivered+missed < sent {
		e := next(t, bufio.NewReader(strings.NewReader(<-w.out)))
		if e.event != "missed" {
			delivered++
			continue
		}
		var v missedView
		if err := json.Unmarshal([]byte(e.data), &v); err != nil {
			t.Fatal(err)
		}
		missed += v.Events
	}
	if missed == 0 || delivered+missed != sent {
		t.Errorf("%d delivered and %d missed of %d", delivered, missed, sent)
	}
	close(h.ended)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// So many streams, and no more; one that leaves makes room.
func TestStreamsAreBounded(t *testing.T) {
	h := start(t, control.Config{})
	h.api.streams = newStreams(2)
	_, closeFirst := h.watch()
	_, closeSecond := h.watch()
	defer closeSecond()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a stream that is answered after all ends at once
	w := httptest.NewRecorder()
	h.serve(w, httptest.NewRequest("GET", "/fado/events", nil).WithContext(ctx))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "2 clients") {
		t.Errorf("a third stream: %d %s", w.Code, w.Body)
	}
	h.do("HEAD", "/fado/events", "").want(200)
	closeFirst()
	h.api.streams.room <- struct{}{} // waits until the first has left
	h.api.streams.leave()
	_, closeThird := h.watch()
	closeThird()
}

// However many watch, an event is encoded once.
func TestEventsAreEncodedOnce(t *testing.T) {
	h := start(t, control.Config{})
	var encoded atomic.Int64
	h.api.streams.encode = func(v any) ([]byte, error) {
		encoded.Add(1)
		return json.Marshal(v)
	}
	var readers []*bufio.Reader
	for range 3 {
		r, closeStream := h.watch()
		defer closeStream()
		readers = append(readers, r)
	}
	const sent = eventRoom + 5 // more than are kept
	for i := range sent {
		e := control.Event{Type: control.EventTransfer, Key: fmt.Sprint(i)}
		h.ctl.Events().Emit(e)
		for _, r := range readers {
			if got := next(t, r); got.id != fmt.Sprint(i+1) || !strings.Contains(got.data, `"key":"`+e.Key+`"`) {
				t.Fatalf("event %d: %+v", i, got)
			}
		}
	}
	if n := encoded.Load(); n != sent {
		t.Errorf("%d events were encoded %d times", sent, n)
	}
	if n := len(h.api.streams.encoded); n > eventRoom {
		t.Errorf("%d events are kept, of %d", n, eventRoom)
	}
}

// Heartbeats keep a silent stream alive, and the admin server's read timeout does not end it:
// once the stream has begun, its connection has no deadline for reads.
func TestHeartbeats(t *testing.T) {
	h := start(t, control.Config{})
	h.api.heartbeat = time.Millisecond
	srv := httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	srv.Config.ReadTimeout = time.Hour
	watched := &watchedListener{Listener: srv.Listener}
	srv.Listener = watched
	srv.Start()
	t.Cleanup(srv.Close)
	h.url = srv.URL
	r, closeStream := h.watch()
	defer closeStream()
	for range 20 {
		if e := next(t, r); e.comment == "" {
			t.Fatalf("event %+v", e)
		}
	}
	if d := watched.deadline(); d == nil || !d.IsZero() {
		t.Errorf("reads of the connection end at %v, want never", d)
	}
}

// watchedListener notes the deadline for reads of its connections.
type watchedListener struct {
	net.Listener
	last atomic.Pointer[time.Time]
}

func (l *watchedListener) deadline() *time.Time { return l.last.Load() }

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &watchedConn{c, l}, err
}

type watchedConn struct {
	net.Conn
	l *watchedListener
}

func (c *watchedConn) SetReadDeadline(t time.Time) error {
	c.l.last.Store(&t)
	return c.Conn.SetReadDeadline(t)
}
