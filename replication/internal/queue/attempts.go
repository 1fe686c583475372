package queue

import (
	"context"
	"errors"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Attempts bring single objects in step, for the workers and for users who wait. They know
// no queue: which rows there are, who claimed them, and what an outcome means for a row is
// the workers' business. Each attempt takes a slot first and keeps away from storages that
// fail again and again.
type Attempts struct {
	o Options
	// seen is what events told of objects lately; it saves a request to the source.
	seen *memory.Memory[ids.Object, storage.Object]
}

// waitsForSpace is why a row would not be written now because its storage is known to be
// full, so that no storage need be asked about it. A row without a size may be about a
// removal.
func (a *Attempts) waitsForSpace(row state.Pending) error {
	s := a.o.Sites.Get(row.Cluster)
	if s == nil || row.Size <= 0 {
		return nil
	}
	if _, waits := s.Space.Waits(); waits {
		return s.Space.Error(site.ErrFullWait)
	}
	return nil
}

// errPaused: nothing is to be copied now.
var errPaused = errors.New("replication is paused")

// Ready returns why an object can't be copied to a cluster now, as far as that is known.
func (a *Attempts) Ready(cluster string, size int64) error {
	if a.o.Pause.On() {
		return errPaused
	}
	if _, err := a.o.Sites.Usable(cluster); err != nil {
		return err
	}
	return a.waitsForSpace(state.Pending{Cluster: cluster, Size: size})
}

// Now brings an object in one cluster in step before all that waits, since a user's request
// waits for it. The rows that there are of it stay: the workers find nothing to do.
func (a *Attempts) Now(ctx context.Context, o ids.Object, size int64) error {
	if err := a.Ready(o.Cluster, size); err != nil {
		return err
	}
	of, err := a.o.Settler.Foreign(ctx, o)
	if err != nil {
		return err
	}
	row := state.Pending{Bucket: o.Bucket, Key: o.Key, Cluster: o.Cluster, Size: size, Since: a.o.Now(), Foreign: of}
	return a.attemptAs(ctx, row, true)
}

// attempt brings one row's object in step, once there is a slot for it.
func (a *Attempts) attempt(ctx context.Context, row state.Pending) error {
	return a.attemptAs(ctx, row, false)
}

func (a *Attempts) attemptAs(ctx context.Context, row state.Pending, awaited bool) error {
	class := limit.Live
	if row.Background {
		class = limit.Bulk
	}
	from := a.o.Router.Snapshot().Of(row.Bucket).Primary()
	release, err := a.o.Slots.Acquire(ctx, limit.Want{
		Class: class, Bucket: row.Bucket, From: from, To: row.Cluster, Size: row.Size, Awaited: awaited,
	})
	if err != nil {
		return err
	}
	defer release()
	if err := a.rest(ctx, from, row.Cluster); err != nil {
		return err
	}
	t := object.TaskOf(row)
	if src, ok := a.seen.Get(ids.ObjectIn(row.Bucket, row.Key, "")); ok && row.Attempts == 0 && row.Foreign == "" && src.Size <= limit.SmallObject {
		t.Src, t.Fresh = &src, true
	}
	answer := a.o.AskSource(row.Bucket)
	v, err := a.o.Settler.Settle(ctx, t)
	if errors.Is(err, object.ErrNoSource) {
		answer(err)
	}
	if a.o.Shared() && (v == object.Moot && err == nil || errors.Is(err, object.ErrNoCopy)) {
		err = a.askAgain(ctx, t)
	}
	return err
}

// rest keeps work away from storages that fail again and again, but for a little at a time.
func (a *Attempts) rest(ctx context.Context, clusters ...string) error {
	for _, c := range clusters {
		if s := a.o.Sites.Known(c); s != nil {
			if err := s.Rest(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// askAgain settles an object that nothing was to be done about once more, by all that is
// committed: another instance may have made the bucket or the copy a moment ago, and the
// row with it. A bucket that only other instances know is theirs.
func (a *Attempts) askAgain(ctx context.Context, t object.Task) error {
	if err := a.o.CatchUp(ctx); err != nil {
		return err
	}
	v, err := a.o.Settler.Settle(ctx, t)
	if v == object.Moot && err == nil && a.o.Router.Snapshot().Bucket(t.Bucket) == nil {
		return errNotHere
	}
	return err
}

// errNotHere says that a bucket is none of this instance's configuration.
var errNotHere = errors.New("this instance does not know the bucket")
