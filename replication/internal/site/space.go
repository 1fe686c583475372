package site

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/storage"
)

// A storage that has no space left is a state of its site, and no reason to ask it again
// and again: what has to be written there waits, while one object at a time probes it.
// Removals continue, since they make room.

// ErrFullWait says that a write was not tried because the storage is known to be full.
var ErrFullWait = errors.New("waiting for space")

// Space is a site's.
type Space struct {
	o    *Options
	name string // of the cluster

	mu      sync.Mutex
	since   time.Time // zero: not full
	why     string
	probeAt time.Time
}

// admit returns nil if something may be written: always, or while the storage is full one
// object every so often.
func (f *Space) admit(now time.Time, every time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		return nil
	}
	if now.Before(f.probeAt) {
		return ErrFullWait
	}
	f.probeAt = now.Add(delay.Jitter(every))
	return nil
}

// full returns why the storage is full, and since when; "" if it is not.
func (f *Space) full() (why string, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		return "", time.Time{}
	}
	return f.why, f.since
}

func (f *Space) waits(now time.Time) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.probeAt.Sub(now), !f.since.IsZero() && now.Before(f.probeAt)
}

// set notes that the storage is full, or has space, and reports whether that is a change.
func (f *Space) set(why string, now time.Time, every time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	had := f.since.IsZero()
	if why == "" {
		f.since, f.why, f.probeAt = time.Time{}, "", time.Time{}
		return !had
	}
	if f.why = why; had {
		f.since, f.probeAt = now, now.Add(delay.Jitter(every))
	}
	return had
}

// Admit returns nil if something may be written to the storage now. While the storage is
// full it lets one object through every so often, as a probe; what it does not let through
// gets an error that is [ErrFullWait] and [storage.ErrFull].
func (f *Space) Admit() error {
	if err := f.admit(f.o.Now(), f.o.Timing.FullProbe); err != nil {
		return f.Error(err)
	}
	return nil
}

// Waits reports whether nothing is to be written now, and for how long.
func (f *Space) Waits() (time.Duration, bool) { return f.waits(f.o.Now()) }

// Error is why something was not written to the storage.
func (f *Space) Error(cause error) error {
	if errors.Is(cause, ErrFullWait) {
		return fmt.Errorf("%s is full: %w: %w", f.name, cause, storage.ErrFull)
	}
	return fmt.Errorf("%s is full: %w", f.name, cause)
}

// Wrote learns from a write's outcome whether the storage has space.
func (f *Space) Wrote(err error) {
	switch {
	case errors.Is(err, storage.ErrFull) && storage.At(err) == f.name:
		if f.set(err.Error(), f.o.Now(), f.o.Timing.FullProbe) {
			f.o.Log.Warn("a storage is full; writes to it wait and one object at a time probes it", zap.String("cluster", f.name), zap.Error(err))
			f.o.Hooks.Changed(f.name, "full", err.Error())
		}
	case err == nil && f.set("", f.o.Now(), 0):
		f.o.Log.Info("a storage has space again", zap.String("cluster", f.name))
		f.o.Hooks.Changed(f.name, "space", "")
		f.o.Hooks.Space(f.name)
	}
}
