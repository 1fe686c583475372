package pull

import (
	"context"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// locks keep others away from objects copied on demand.
type locks struct{ o *Options }

// alone keeps everybody else away from an object: who works on its key here, and other
// instances.
func (l locks) alone(ctx context.Context, ref ids.Object) (release func(), err error) {
	unlock, err := l.o.Guard.Lock(ctx, ref)
	if err != nil {
		return nil, err
	}
	others, err := l.awayFromOthers(ctx, ref)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() {
		others()
		unlock()
	}, nil
}

// awayFromOthers keeps other instances away from an object, where there are any, and takes
// in what they did to it. The caller holds the key's lock.
func (l locks) awayFromOthers(ctx context.Context, ref ids.Object) (release func(), err error) {
	store, shared := l.o.Store().(state.Shared)
	if !shared {
		return func() {}, nil
	}
	lock, err := l.await(ctx, store, ref)
	if err != nil {
		return nil, err
	}
	release = func() {
		l.o.warn(ctx, "could not give the lock of an object copied on demand back; it ends with this instance's lease", lock.Unlock())
	}
	err = l.o.Rows.Follow(ctx, state.ObjectChange{
		Kind: state.ObjectPulled, Bucket: ref.Bucket, Key: ref.Key, Cluster: ref.Cluster,
	})
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// The time between attempts at a lock that another instance has grows from the one to the
// other, and starts over with a change of the bucket: that instance most often changes the
// object's row right before it gives the lock back.
const (
	lockAgain     = 20 * time.Millisecond
	lockAgainMost = 320 * time.Millisecond
)

func (l locks) await(ctx context.Context, store state.Shared, ref ids.Object) (state.Lock, error) {
	name := "pulled/" + ref.Cluster + "/" + ref.Bucket + "/" + ref.Key
	again := lockAgain
	for {
		changed := l.o.Pending.Changed(ref.Bucket)
		lock, ok, err := store.Locks().TryLock(ctx, name)
		if err != nil || ok {
			return lock, err
		}
		signalled, err := wait(ctx, changed, again)
		if err != nil {
			return nil, err
		}
		if signalled {
			again = lockAgain
			if !delay.Sleep(ctx, again) { // it holds the lock for another moment
				return nil, ctx.Err()
			}
		}
		again = min(2*again, lockAgainMost)
	}
}

// wait waits for a signal, or so long at most; signalled tells which it was.
func wait(ctx context.Context, signal <-chan struct{}, most time.Duration) (signalled bool, err error) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-signal:
		return true, nil
	case <-t.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
