package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// A storage that has no space left is a state of its site, and no reason to ask it again
// and again: what has to be written there waits, while one object at a time probes it.
// Removals go on, they make room.

// errFullWait says that a write was not tried because the storage is known to be full.
var errFullWait = errors.New("waiting for space")

// fullness is a site's.
type fullness struct {
	mu      sync.Mutex
	since   time.Time // zero: not full
	why     string
	probeAt time.Time
}

// admit says whether something may be written: always, or while the storage is full one
// object every so often.
func (f *fullness) admit(now time.Time, every time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		return nil
	}
	if now.Before(f.probeAt) {
		return errFullWait
	}
	f.probeAt = now.Add(jitter(every))
	return nil
}

// full says why the storage is full, and when it is probed next; "" if it is not.
func (f *fullness) full() (why string, probeAt time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.since.IsZero() {
		return "", time.Time{}
	}
	return f.why, f.probeAt
}

// waits says whether nothing is to be written now, and for how long.
func (f *fullness) waits(now time.Time) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.probeAt.Sub(now), !f.since.IsZero() && now.Before(f.probeAt)
}

// set notes that the storage is full, or has space; it says whether that is news.
func (f *fullness) set(why string, now time.Time, every time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.since.IsZero()
	if why == "" {
		f.since, f.why, f.probeAt = time.Time{}, "", time.Time{}
		return !was
	}
	if f.why = why; was {
		f.since, f.probeAt = now, now.Add(jitter(every))
	}
	return was
}

// fullError is why something was not written to a site.
func fullError(s *site, cause error) error {
	if errors.Is(cause, errFullWait) {
		return fmt.Errorf("%s is full: %w: %w", s.name, cause, storage.ErrFull)
	}
	return fmt.Errorf("%s is full: %w", s.name, cause)
}

// wrote learns from a write's outcome whether a storage has space.
func (e *Engine) wrote(s *site, err error) {
	switch {
	case errors.Is(err, storage.ErrFull) && storage.At(err) == s.name:
		if s.space.set(err.Error(), e.now(), e.tune.FullProbe) {
			e.log.Warn("a storage is full: what has to be written there waits", zap.String("cluster", s.name), zap.Error(err))
			e.ctl.Events().Emit(control.Event{Type: control.EventStorage, Cluster: s.name, State: "full", Reason: err.Error()})
		}
	case err == nil && s.space.set("", e.now(), 0):
		e.log.Info("a storage has space again", zap.String("cluster", s.name))
		e.ctl.Events().Emit(control.Event{Type: control.EventStorage, Cluster: s.name, State: "space"})
		e.spaceAgain(s)
	}
}

// spaceAgain makes due what waited for space.
func (e *Engine) spaceAgain(s *site) {
	r := e.run.Load()
	if r == nil {
		return
	}
	_, err := e.ctl.Store().RetryPending(context.WithoutCancel(r.ctx), state.PendingFilter{Cluster: s.name}, e.now())
	r.store(err)
	e.ctl.WakeWorkers()
	r.planner.storageChanged()
}

// waitsForSpace says whether a row would write to a storage that is known to be full, so
// that no storage need be asked about it. A row without a size may be about a removal.
func (w *workers) waitsForSpace(row state.Pending) error {
	s := w.sites.get(row.Cluster)
	if s == nil || row.Size <= 0 {
		return nil
	}
	if _, waits := s.space.waits(w.now()); waits {
		return fullError(s, errFullWait)
	}
	return nil
}
