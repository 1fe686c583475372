package s3

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A Watchdog cancels a context when nothing has happened for a while. A transfer of
// any length may go on as long as bytes move; one that hangs ends.
type Watchdog struct {
	cancel context.CancelCauseFunc
	limit  atomic.Int64 // nanoseconds
	last   atomic.Int64 // of the monotonic clock, nanoseconds since start
	paused atomic.Int32
	start  time.Time

	mu    sync.Mutex
	timer *time.Timer
	done  bool
}

// Watch starts a watchdog; its Stop must be called.
func Watch(ctx context.Context, limit time.Duration) (context.Context, *Watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watchdog{cancel: cancel, start: time.Now()}
	w.limit.Store(int64(limit))
	w.timer = time.AfterFunc(limit, w.check)
	return ctx, w
}

// Touch notes progress.
func (w *Watchdog) Touch() { w.last.Store(int64(time.Since(w.start))) }

// Allow sets how long nothing may happen from now on.
func (w *Watchdog) Allow(d time.Duration) {
	w.limit.Store(int64(d))
	w.Touch()
}

// Pause and Resume surround a wait that is our own, such as a bandwidth limit.
func (w *Watchdog) Pause()  { w.paused.Add(1) }
func (w *Watchdog) Resume() { w.Touch(); w.paused.Add(-1) }

func (w *Watchdog) check() {
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
		w.cancel(fmt.Errorf("%w for %v", ErrStalled, limit))
	}
}

// Stop ends the watchdog and its context.
func (w *Watchdog) Stop() {
	w.mu.Lock()
	w.done = true
	w.timer.Stop()
	w.mu.Unlock()
	w.cancel(nil)
}

// reader touches the watchdog as bytes pass.
func (w *Watchdog) reader(r io.Reader) io.Reader { return &watchedReader{r, w} }

type watchedReader struct {
	r io.Reader
	w *Watchdog
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.w.Touch()
	return n, err
}
