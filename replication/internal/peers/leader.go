package peers

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/state"
)

// Leader runs functions on one instance at a time.
type Leader struct {
	Locks Locks
	// News reports released locks; nil where no other instance can hold them.
	News func(ctx context.Context, of state.NewsKind) <-chan struct{}
	Log  *zap.Logger
	// Every is the time between attempts.
	Every time.Duration
}

// Leading runs f for as long as this instance has a lock of the store, until ctx ends: one
// instance does it at a time, and another takes over when that one ends.
func (l *Leader) Leading(ctx context.Context, name string, f func(context.Context)) {
	for ctx.Err() == nil {
		if !l.once(ctx, name, f) {
			delay.Sleep(ctx, delay.Jitter(l.Every))
		}
	}
}

// heldFor is how soon a lock is tried again that nothing tells to be free.
const heldFor = 10 * time.Minute

// once tries for a lock and runs f while it is held. It returns false when the lock is to be
// tried again in a while: another instance has given one back, or it is not known who has it.
func (l *Leader) once(ctx context.Context, name string, f func(context.Context)) bool {
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	free := l.News(wctx, state.NewsLocks) // before the attempt, so that none is missed
	lock, ok, err := l.Locks.TryLock(ctx, name)
	switch {
	case ok:
		cancel()
		holding(ctx, lock, l.Log, f)
		if free != nil { // those who wait for it come first: they may reach what this one can't
			delay.Sleep(ctx, 2*l.Every)
		}
		return true
	case err != nil:
		if ctx.Err() == nil {
			l.Log.Debug("could not ask for a lock; trying again in a moment", zap.String("lock", name), zap.Error(err))
		}
	case free != nil:
		t := time.NewTimer(delay.Jitter(heldFor))
		defer t.Stop()
		select {
		case <-free:
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return false
}

// holding runs f until ctx ends or the lock is lost, and gives the lock back.
func holding(ctx context.Context, lock state.Lock, log *zap.Logger, f func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-lock.Lost():
			cancel()
		case <-stop:
		}
	})
	f(ctx)
	close(stop)
	wg.Wait()
	if err := lock.Unlock(); err != nil {
		log.Debug("could not release a lock; it ends with this instance's session", zap.Error(err))
	}
}
