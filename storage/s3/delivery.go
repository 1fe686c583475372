package s3

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// A delivery keeps a cancelled request from an open end. A server continues a write
// or a removal it was given as a whole, whether or not anything waits for the answer:
// giving up then would return before the change, not instead of it. So a cancelled
// request is cut off only while the server can't have all of it, and otherwise waits for
// its answer, up to a bound for servers that hang.
type delivery struct {
	mu    sync.Mutex
	left  int64 // bytes of the body not handed out yet
	cause error // why it was cut off; no byte is handed out any more
}

// deliver returns the context to make a request in, and what ends that context for a
// cause: nil when the answer was read. The delivery is nil for requests that change nothing.
// settle is how long a cancelled request that the server has as a whole may take to be
// answered.
func deliver(ctx context.Context, q *Request, settle time.Duration) (context.Context, *delivery, context.CancelCauseFunc) {
	if !q.changes() {
		out, cancel := context.WithCancelCause(ctx)
		return out, nil, cancel
	}
	d := new(delivery)
	if q.Body != nil && q.Replay == nil {
		d.left = q.Size
	}
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if !d.cut(cause) && !gaveUp(cause) {
			t := time.NewTimer(settle)
			defer t.Stop()
			select {
			case <-t.C:
			case <-out.Done():
			}
		}
		cancel(cause)
	})
	return out, d, func(cause error) {
		stop()
		cancel(cause)
	}
}

// gaveUp reports whether a context ended because the request had been waited for already.
func gaveUp(cause error) bool {
	return errors.Is(cause, context.DeadlineExceeded) || errors.Is(cause, ErrStalled)
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
