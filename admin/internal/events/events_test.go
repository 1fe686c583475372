package events

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

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/admintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness serves the streams of a bus.
type harness struct {
	t       testing.TB
	bus     *control.Bus
	streams *Streams
	ended   chan struct{}
	url     string
}

func start(t testing.TB) *harness {
	t.Helper()
	h := &harness{t: t, bus: control.NewBus(time.Now), streams: NewStreams(MaxStreams), ended: make(chan struct{})}
	srv := httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

func (h *harness) serve(w http.ResponseWriter, r *http.Request) {
	if err := h.streams.Serve(&request.Request{W: w, R: r, Log: zap.NewNop()}, h.bus, h.ended); err != nil {
		http.Error(w, err.Error(), max(request.StatusOf(err), 1))
	}
}

// watch opens a stream and returns its reader.
func (h *harness) watch(query string, header ...string) (*bufio.Reader, func()) {
	h.t.Helper()
	return admintest.Watch(h.t, h.url+"/"+query, header...)
}

func TestEventsEndWithTheConfiguration(t *testing.T) {
	h := start(t)
	r, closeStream := h.watch("")
	defer closeStream()
	close(h.ended)
	if _, err := r.ReadString('\n'); err == nil {
		t.Error("the stream goes on")
	}
}

func TestEventsAfterAReconnect(t *testing.T) {
	h := start(t)
	r, closeStream := h.watch("", "Last-Event-ID", "17")
	defer closeStream()
	if e := admintest.Next(t, r); e.Event != "missed" || !strings.Contains(e.Data, "reconnected") {
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
	h := start(t)
	w := relay{http.Header{}, make(chan string)}
	done := make(chan error)
	go func() {
		done <- h.streams.Serve(&request.Request{W: w, R: httptest.NewRequest(http.MethodGet, "/", nil), Log: zap.NewNop()}, h.bus, h.ended)
	}()
	<-w.out // the greeting: the stream is subscribed
	const sent = eventRoom + 100
	for i := range sent {
		h.bus.Emit(control.Event{Type: control.EventTransfer, Key: fmt.Sprint(i)})
	}
	delivered, missed := 0, 0
	for delivered+missed < sent {
		e := admintest.Next(t, bufio.NewReader(strings.NewReader(<-w.out)))
		if e.Event != "missed" {
			delivered++
			continue
		}
		var v missedView
		if err := json.Unmarshal([]byte(e.Data), &v); err != nil {
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
	h := start(t)
	h.streams = NewStreams(2)
	_, closeFirst := h.watch("")
	_, closeSecond := h.watch("")
	defer closeSecond()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a stream that is answered after all ends at once
	w := httptest.NewRecorder()
	h.serve(w, httptest.NewRequest("GET", "/fado/events", nil).WithContext(ctx))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "2 clients") {
		t.Errorf("a third stream: %d %s", w.Code, w.Body)
	}
	head := httptest.NewRecorder() // takes no room
	if h.serve(head, httptest.NewRequest("HEAD", "/fado/events", nil)); head.Code != http.StatusOK {
		t.Errorf("HEAD: %d", head.Code)
	}
	closeFirst()
	h.streams.room <- struct{}{} // waits until the first has left
	h.streams.leave()
	_, closeThird := h.watch("")
	closeThird()
}

// However many watch, an event is encoded once.
func TestEventsAreEncodedOnce(t *testing.T) {
	h := start(t)
	var encoded atomic.Int64
	h.streams.encode = func(v any) ([]byte, error) {
		encoded.Add(1)
		return json.Marshal(v)
	}
	var readers []*bufio.Reader
	for range 3 {
		r, closeStream := h.watch("")
		defer closeStream()
		readers = append(readers, r)
	}
	const sent = eventRoom + 5 // more than are kept
	for i := range sent {
		e := control.Event{Type: control.EventTransfer, Key: fmt.Sprint(i)}
		h.bus.Emit(e)
		for _, r := range readers {
			if got := admintest.Next(t, r); got.ID != fmt.Sprint(i+1) || !strings.Contains(got.Data, `"key":"`+e.Key+`"`) {
				t.Fatalf("event %d: %+v", i, got)
			}
		}
	}
	if n := encoded.Load(); n != sent {
		t.Errorf("%d events were encoded %d times", sent, n)
	}
	if n := len(h.streams.encoded); n > eventRoom {
		t.Errorf("%d events are kept, of %d", n, eventRoom)
	}
}

// Heartbeats keep a silent stream alive, and the admin server's read timeout does not end it:
// once the stream has begun, its connection has no deadline for reads.
func TestHeartbeats(t *testing.T) {
	h := start(t)
	h.streams.Heartbeat = time.Millisecond
	srv := httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	srv.Config.ReadTimeout = time.Hour
	watched := &watchedListener{Listener: srv.Listener}
	srv.Listener = watched
	srv.Start()
	t.Cleanup(srv.Close)
	h.url = srv.URL
	r, closeStream := h.watch("")
	defer closeStream()
	for range 20 {
		if e := admintest.Next(t, r); e.Comment == "" {
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
