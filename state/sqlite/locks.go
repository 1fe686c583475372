package sqlite

import (
	"context"
	"sync"

	"github.com/fado-project/fado/state"
)

// locks are the named locks. The file lock lets one store have the database, so they
// need no more than memory.
type locks struct {
	mu     sync.Mutex
	held   map[string]*lock
	closed bool
}

// lock implements state.Lock.
type lock struct {
	of   *locks
	name string
	lost chan struct{}
}

// locker implements [state.Locks].
type locker struct{ db *core }

// TryLock implements state.Locks. A lock is not re-entrant.
func (s locker) TryLock(ctx context.Context, name string) (state.Lock, bool, error) {
	if err := s.db.reading(ctx); err != nil {
		return nil, false, s.db.wrap("taking lock "+name, err)
	}
	s.db.locks.mu.Lock()
	defer s.db.locks.mu.Unlock()
	if s.db.locks.closed {
		return nil, false, s.db.wrap("taking lock "+name, errClosed)
	}
	if s.db.locks.held[name] != nil {
		return nil, false, nil
	}
	if s.db.locks.held == nil {
		s.db.locks.held = make(map[string]*lock)
	}
	l := &lock{of: &s.db.locks, name: name, lost: make(chan struct{})}
	s.db.locks.held[name] = l
	return l, true, nil
}

// Lost implements state.Lock.
func (l *lock) Lost() <-chan struct{} { return l.lost }

// Unlock implements state.Lock. It may be called more than once.
func (l *lock) Unlock() error {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.of.held[l.name] == l {
		delete(l.of.held, l.name)
		close(l.lost)
	}
	return nil
}

func (ls *locks) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for name, l := range ls.held {
		delete(ls.held, name)
		close(l.lost)
	}
}
