package pace

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

const (
	// patience is how long a client may take for each paceBytes of a body, sent or received: who
	// rests is ended.
	patience  = time.Minute
	paceBytes = 64 << 10

	// DrainBytes is how much of a body that nobody wants is read so that its connection can be
	// used again, and drainWait how long.
	DrainBytes = 32 << 20 // more than a part of an upload as most clients send them (16 MiB)
	drainWait  = 2 * time.Second
)

// pace bounds how long the bytes of a body may take in one direction of a connection.
type pace struct {
	arm    func(deadline time.Time) error
	within time.Duration

	mu    sync.Mutex
	over  bool // the connection's deadlines are no longer this pace's
	left  time.Duration
	moved int
}

func newPace(arm func(time.Time) error, within time.Duration) *pace {
	if within == 0 {
		within = patience
	}
	return &pace{arm: arm, within: within, left: within}
}

// pass moves some bytes. The time between two calls is not the client's.
func (p *pace) pass(move func() (int, error)) (int, error) {
	began := time.Now()
	p.mu.Lock()
	p.armed(began.Add(p.left))
	p.mu.Unlock()
	n, err := move()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left -= time.Since(began)
	if p.moved += n; p.moved >= paceBytes {
		p.moved, p.left = 0, p.within
	}
	if err == nil && p.left <= 0 {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// armed sets a deadline, zero for none. The lock is held.
func (p *pace) armed(deadline time.Time) {
	if !p.over {
		_ = p.arm(deadline) // a connection that has none is its server's business
	}
}

// rest says that no bytes are awaited for a while: until when they may not come, zero for ever.
func (p *pace) rest(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed(until)
}

// cut ends what goes on, and all that would follow.
func (p *pace) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed(time.Unix(1, 0))
	p.over = true
}

// end leaves the connection to the next request.
func (p *pace) end(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed(until)
	p.over = true
}

// wasCut reports whether cut or end was called.
func (p *pace) wasCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// body is the body of a request, from a client that may rest.
type body struct {
	io.ReadCloser
	pace         *pace
	begun, ended atomic.Bool
}

func (b *body) Read(p []byte) (int, error) {
	b.begun.Store(true)
	n, err := b.pace.pass(func() (int, error) { return b.ReadCloser.Read(p) })
	switch {
	case errors.Is(err, io.EOF):
		b.ended.Store(true)
		b.pace.rest(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded) && !b.pace.wasCut():
		err = s3err.RequestTimeout()
	}
	return n, err
}

// left reports whether some of the body may still be in the connection.
func (b *body) left(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ContentLength != 0 && !b.ended.Load()
}

// gone reports whether nothing of the body is left in the connection. What little is on its way
// is read; a client that waits to be told to send is not asked to.
func (b *body) gone(r *http.Request) bool {
	if !b.left(r) {
		return true
	}
	if r.Header.Get("Expect") != "" && !b.begun.Load() {
		return false
	}
	b.pace.rest(time.Now().Add(drainWait))
	if _, err := io.CopyN(io.Discard, b.ReadCloser, DrainBytes); !errors.Is(err, io.EOF) {
		return false
	}
	b.ended.Store(true)
	b.pace.rest(time.Time{})
	return true
}

// Writer sends an answer. It knows whether that has begun, and ends clients that do not take it.
type Writer struct {
	http.ResponseWriter
	r     *http.Request
	body  *body
	pace  *pace
	wrote bool
}

// New takes a request up, from a client that may rest for as long as within says; 0: for a minute.
// The request that it returns is the one to read from.
func New(w http.ResponseWriter, r *http.Request, within time.Duration) (*Writer, *http.Request) {
	conn := http.NewResponseController(w)
	b := &body{ReadCloser: r.Body, pace: newPace(conn.SetReadDeadline, within)}
	if r.Body == nil {
		b.ReadCloser = http.NoBody
	}
	r = r.WithContext(r.Context()) // a copy: the server's own keeps its body
	r.Body = b
	return &Writer{ResponseWriter: w, r: r, body: b, pace: newPace(conn.SetWriteDeadline, within)}, r
}

// Wrote reports whether the answer has begun.
func (w *Writer) Wrote() bool { return w.wrote }

// CutAnswer ends what is sent to the client, however slow it is. It does not block.
func (w *Writer) CutAnswer() { w.pace.cut() }

// CutBody ends what is read from the client. It does not block.
func (w *Writer) CutBody() { w.body.pace.cut() }

// WriteHeader begins the answer. A connection in which something of the request is left is
// closed after it: the rest would be taken for the client's next request, which may be another
// client's, behind a proxy that shares connections.
func (w *Writer) WriteHeader(status int) {
	if status >= http.StatusOK && !w.wrote {
		w.wrote = true
		if !w.body.gone(w.r) {
			w.Header().Set("Connection", "close")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *Writer) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.pace.pass(func() (int, error) { return w.ResponseWriter.Write(p) })
}

// Unwrap lets an http.ResponseController reach the connection.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// End leaves what is still to be sent the time that a client may take. What is left of the
// body is not waited for: net/http would read it without bound.
func (w *Writer) End() {
	w.pace.end(time.Now().Add(w.pace.within))
	until := time.Time{}
	if w.body.left(w.r) {
		until = time.Now()
	}
	w.body.pace.end(until)
}
