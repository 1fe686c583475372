package pull

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/state"
)

// sharedStore is a store that another instance has a lock of.
type sharedStore struct {
	state.Shared
	mu    sync.Mutex
	taken bool
	asked int
}

func (s *sharedStore) Locks() state.Locks { return sharedStoreLocks{of: s} }

type sharedStoreLocks struct {
	state.Locks
	of *sharedStore
}

func (s sharedStoreLocks) TryLock(context.Context, string) (state.Lock, bool, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.asked++
	if s.of.taken {
		return nil, false, nil
	}
	s.of.taken = true
	return (*sharedLock)(s.of), true, nil
}

func (s *sharedStore) set(taken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = taken
}

func (s *sharedStore) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

type sharedLock sharedStore

func (l *sharedLock) Lost() <-chan struct{} { return nil }
func (l *sharedLock) Unlock() error {
	(*sharedStore)(l).set(false)
	return nil
}

// signals is a queue without rows, whose signal a test fires.
type signals struct {
	Pending
	mu sync.Mutex
	ch chan struct{}
}

func (s *signals) Changed(string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signals) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}

// followed counts what was taken in.
type followed struct {
	Rows
	n int
}

func (f *followed) Follow(context.Context, ...state.ObjectChange) error {
	f.n++
	return nil
}

func lockWorld() (*Options, *sharedStore, *signals, *followed) {
	store, sig, rows := &sharedStore{taken: true}, &signals{ch: make(chan struct{})}, new(followed)
	return &Options{
		Store: func() state.Store { return store }, Pending: sig, Rows: rows, Log: zap.NewNop(), Guard: guard.New(guard.Options{}),
	}, store, sig, rows
}

// A lock that another instance has is asked for less and less often, and soon after a change.
func TestLockOfAnotherInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, store, sig, rows := lockWorld()
		var release func()
		done := make(chan error, 1)
		go func() {
			var err error
			release, err = locks{o}.alone(t.Context(), in("c2", "k"))
			done <- err
		}()
		time.Sleep(10 * time.Second)
		if n := store.tries(); n > 40 {
			t.Errorf("asked %d times within 10 s", n)
		}
		began := time.Now()
		sig.fire()
		time.Sleep(time.Millisecond)
		store.set(false)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*lockAgain {
			t.Errorf("it took %s after the change", took)
		}
		if rows.n != 1 {
			t.Error("what the other instance did is not taken in")
		}
		release()
		if store.taken {
			t.Error("the lock is not given back")
		}
	})
}

func TestLockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, store, _, _ := lockWorld()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := locks{o}.alone(ctx, in("c2", "k"))
		wantErr(t, err, context.DeadlineExceeded)
		store.set(false)
		release, err := locks{o}.alone(t.Context(), in("c2", "k")) // its lock here is free
		if err != nil {
			t.Fatal(err)
		}
		release()
	})
}
