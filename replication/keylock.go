package replication

import (
	"context"
	"sync"
)

// objectRef names an object in one cluster.
type objectRef struct{ bucket, key, cluster string }

// copyID names a copy.
type copyID struct{ bucket, prefix, cluster string }

// keyLocks are locks by key that exist only while somebody holds or awaits them.
type keyLocks[K comparable] struct {
	mu   sync.Mutex
	held map[K]*keyLock
}

type keyLock struct {
	users int
	turn  chan struct{} // holds one token: whoever takes it has the lock
}

func newKeyLocks[K comparable]() *keyLocks[K] { return &keyLocks[K]{held: make(map[K]*keyLock)} }

// lock takes the lock of a key, waiting until ctx ends. unlock must be called once.
func (l *keyLocks[K]) lock(ctx context.Context, k K) (unlock func(), err error) {
	l.mu.Lock()
	kl := l.held[k]
	if kl == nil {
		kl = &keyLock{turn: make(chan struct{}, 1)}
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

func (l *keyLocks[K]) leave(k K, kl *keyLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if kl.users--; kl.users == 0 {
		delete(l.held, k)
	}
}
