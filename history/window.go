package history

import (
	"sync"
	"time"
)

// Window keeps what counters stood at during the last minutes, so that what they grew by since
// then can be told. All methods are safe for concurrent use.
type Window[T any] struct {
	keep, apart time.Duration

	mu    sync.Mutex
	marks []mark[T] // the oldest first; never empty
}

type mark[T any] struct {
	at    time.Time
	value T
}

// NewWindow returns a window that keeps marks for so long, at least so much apart. It begins
// with a first one.
func NewWindow[T any](keep, apart time.Duration, at time.Time, first T) *Window[T] {
	return &Window[T]{keep: keep, apart: apart, marks: []mark[T]{{at, first}}}
}

// Mark keeps the value of a time, unless there is one of a moment before.
func (w *Window[T]) Mark(at time.Time, value T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.Sub(w.marks[len(w.marks)-1].at) < w.apart {
		return
	}
	w.marks = append(w.marks, mark[T]{at, value})
	// The last mark that is too old stays: what is as old as may be asked for begins at it.
	for len(w.marks) > 1 && at.Sub(w.marks[1].at) >= w.keep {
		w.marks[0] = mark[T]{}
		w.marks = w.marks[1:]
	}
}

// Before returns the newest value that is not younger than a time, and when it was; where all
// are younger, the oldest.
func (w *Window[T]) Before(at time.Time) (T, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := 0
	for i+1 < len(w.marks) && !w.marks[i+1].at.After(at) {
		i++
	}
	return w.marks[i].value, w.marks[i].at
}
