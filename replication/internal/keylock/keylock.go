// Package keylock has locks by key that exist only while one is held or awaited. They
// order work of this process; between instances locks of the store do. Every room of
// replication may use it.
package keylock

import (
	"context"
	"sync"
)

// Locks are locks by key. Make them with [New].
type Locks[K comparable] struct {
	mu   sync.Mutex
	held map[K]*lock
}

type lock struct {
	users int
	turn  chan struct{} // holds one token: who takes it has the lock
}

// New returns locks of which none is held.
func New[K comparable]() *Locks[K] { return &Locks[K]{held: make(map[K]*lock)} }

// Lock takes the lock of a key, waiting until ctx ends. unlock must be called once.
func (l *Locks[K]) Lock(ctx context.Context, k K) (unlock func(), err error) {
	l.mu.Lock()
	kl := l.held[k]
	if kl == nil {
		kl = &lock{turn: make(chan struct{}, 1)}
		kl.turn <- struct{}{}
		l.held[k] = kl
	}
	kl.users++
	l.mu.Unlock()
	select {
	case <-kl.turn:
		return func() {
			kl.turn <- struct{}{}
			l.leave(k, kl)
		}, nil
	case <-ctx.Done():
		l.leave(k, kl)
		return nil, ctx.Err()
	}
}

func (l *Locks[K]) leave(k K, kl *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kl.users--; kl.users == 0 {
		delete(l.held, k)
	}
}

// Len returns how many locks are held or awaited.
func (l *Locks[K]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}
