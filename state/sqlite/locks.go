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

// TryLock implements state.Store. A lock is not re-entrant.
func (s *Store) TryLock(ctx context.Context, name string) (state.Lock, bool, error) {
	if err := s.reading(ctx); err != nil {
		return nil, false, s.wrap("taking lock "+name, err)
	}
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	if s.locks.closed {
		return nil, false, s.wrap("taking lock "+name, errClosed)
	}
	if s.locks.held[name] != nil {
		return nil, false, nil
	}
	if s.locks.held == nil {
		s.locks.held = make(map[string]*lock)
	}
	l := &lock{of: &s.locks, name: name, lost: make(chan struct{})}
	s.locks.held[name] = l
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
