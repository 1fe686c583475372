package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// errStalled is the cause of a context that a watchdog cancelled.
var errStalled = errors.New("no byte moved")

// A watchdog cancels a context when nothing has happened for a while. A transfer of
// any length may go on as long as bytes move; one that hangs ends.
type watchdog struct {
	cancel context.CancelCauseFunc
	limit  atomic.Int64 // nanoseconds
	last   atomic.Int64 // of the monotonic clock, nanoseconds since start
	paused atomic.Int32
	start  time.Time

	mu    sync.Mutex
	timer *time.Timer
	done  bool
}

// watch starts a watchdog; its stop must be called.
func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{cancel: cancel, start: time.Now()}
	w.limit.Store(int64(limit))
	w.timer = time.AfterFunc(limit, w.check)
	return ctx, w
}

// touch notes progress.
func (w *watchdog) touch() { w.last.Store(int64(time.Since(w.start))) }

// allow sets how long nothing may happen from now on.
func (w *watchdog) allow(d time.Duration) {
	w.limit.Store(int64(d))
	w.touch()
}

// pause and resume surround a wait that is our own, such as a bandwidth limit.
func (w *watchdog) pause()  { w.paused.Add(1) }
func (w *watchdog) resume() { w.touch(); w.paused.Add(-1) }

func (w *watchdog) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return
	}
	limit := time.Duration(w.limit.Load())
	idle := time.Since(w.start) - time.Duration(w.last.Load())
	switch {
	case w.paused.Load() > 0:
		w.timer.Reset(limit)
	case idle < limit:
		w.timer.Reset(limit - idle)
	default:
		w.cancel(fmt.Errorf("%w for %v", errStalled, limit))
	}
}

// stop ends the watchdog and its context.
func (w *watchdog) stop() {
	w.mu.Lock()
	w.done = true
	w.timer.Stop()
	w.mu.Unlock()
	w.cancel(nil)
}

// reader touches the watchdog as bytes pass.
func (w *watchdog) reader(r io.Reader) io.Reader { return &watchedReader{r, w} }

type watchedReader struct {
	r io.Reader
	w *watchdog
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.w.touch()
	return n, err
}
