package storage

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// settleTimeout is how long a request that was cancelled when the server already had
// all of it may take to be answered.
const settleTimeout = 5 * time.Second

// A delivery keeps a cancelled request from an open end. A server goes on with a write
// or a removal it was given as a whole, whether or not somebody waits for the answer:
// giving up then would return before the change, not instead of it. So a cancelled
// request is cut off only while the server can't have all of it, and otherwise waits for
// its answer, up to a bound for servers that hang.
type delivery struct {
	mu    sync.Mutex
	left  int64 // bytes of the body not handed out yet
	cause error // why it was cut off; no byte is handed out any more
}

// deliver returns the context to make a request in, and what has to be called when its
// answer was read. The delivery is nil for requests that change nothing.
func (c *Client) deliver(ctx context.Context, q *request) (context.Context, *delivery, func()) {
	if !changes(q.method) {
		return ctx, nil, func() {}
	}
	d := new(delivery)
	if q.body != nil && q.replay == nil {
		d.left = q.size
	}
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if !d.cut(cause) && !gaveUp(cause) {
			t := time.NewTimer(c.settleWait)
			defer t.Stop()
			select {
			case <-t.C:
			case <-out.Done():
			}
		}
		cancel(cause)
	})
	return out, d, func() {
		stop()
		cancel(nil)
	}
}

// changes says whether a request by a method may change something.
func changes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// gaveUp says whether a context ended because the request had been waited for already.
func gaveUp(cause error) bool {
	return errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, errStalled)
}

// cut ends the body, unless all of it was handed out: then it returns false.
func (d *delivery) cut(cause error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left <= 0 {
		return false
	}
	d.cause = cause
	return true
}

// reader passes a body on and notes how much of it.
func (d *delivery) reader(r io.Reader) io.Reader {
	if d == nil {
		return r
	}
	return &deliveryReader{d, r}
}

type deliveryReader struct {
	d *delivery
	r io.Reader
}

func (r *deliveryReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if r.d.cause != nil {
		return 0, r.d.cause
	}
	r.d.left -= int64(n)
	return n, err
}
