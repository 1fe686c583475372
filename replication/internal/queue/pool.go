package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Workers work pending rows off.
type Workers struct {
	o    Options
	seen *memory.Memory[ids.Object, storage.Object]
	wg   sync.WaitGroup
	// freed delivers when rows were worked off.
	freed chan struct{}
	ctx   context.Context // of Run, for early starts

	mu          sync.Mutex
	open        bool                           // Run is under way
	outstanding map[state.PendingKey]time.Time // claimed until
	atWork      map[ids.Object][]state.Pending // objects of these, and the row that follows, if any
	early       map[ids.Object]*earlyStart     // worked on without a claim
	by          map[string]int                 // outstanding and early ones, per cluster
}

// claimEvery is the time between looks for rows that became due with time.
const claimEvery = time.Second

// leaveLine counts one less in a cluster's line and returns how many are left. The caller
// holds mu.
func (w *Workers) leaveLine(cluster string) int {
	w.by[cluster]--
	has := w.by[cluster]
	if has == 0 {
		delete(w.by, cluster)
	}
	return has
}

// free tells Run that there is room.
func (w *Workers) free() {
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// failedToStore reports a failure to write the store; what was not written is done again.
func (w *Workers) failedToStore(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		w.o.Log.Warn(what, zap.Error(err))
	}
}

// KeyOf names a row at its generation.
func KeyOf(p state.Pending) state.PendingKey {
	return state.PendingKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster, Gen: p.Gen}
}

// waitsForSpace is why a row would not be written now because its storage is known to be
// full, so that no storage need be asked about it. A row without a size may be about a
// removal.
func (w *Workers) waitsForSpace(row state.Pending) error {
	s := w.o.Sites.Get(row.Cluster)
	if s == nil || row.Size <= 0 {
		return nil
	}
	if _, waits := s.WaitsForSpace(); waits {
		return s.FullError(site.ErrFullWait)
	}
	return nil
}

// errPaused: nothing is to be copied now.
var errPaused = errors.New("replication is paused")

// Ready returns why an object can't be copied to a cluster now, as far as that is known.
func (w *Workers) Ready(cluster string, size int64) error {
	if w.o.Pause.On() {
		return errPaused
	}
	if _, err := w.o.Sites.Usable(cluster); err != nil {
		return err
	}
	return w.waitsForSpace(state.Pending{Cluster: cluster, Size: size})
}

// Now brings an object in one cluster in step before all that waits, since a user's request
// waits for it. The rows that there are of it stay: the workers find nothing to do.
func (w *Workers) Now(ctx context.Context, o ids.Object, size int64) error {
	if err := w.Ready(o.Cluster, size); err != nil {
		return err
	}
	return w.attemptAs(ctx, state.Pending{Bucket: o.Bucket, Key: o.Key, Cluster: o.Cluster, Size: size, Since: w.o.Now()}, true)
}

// attempt brings one row's object in step, once there is a slot for it.
func (w *Workers) attempt(ctx context.Context, row state.Pending) error {
	return w.attemptAs(ctx, row, false)
}

func (w *Workers) attemptAs(ctx context.Context, row state.Pending, awaited bool) error {
	class := limit.Live
	if row.Background {
		class = limit.Bulk
	}
	from := w.o.Router.Snapshot().Primary(row.Bucket)
	release, err := w.o.Slots.Acquire(ctx, limit.Want{
		Class: class, Bucket: row.Bucket, From: from, To: row.Cluster, Size: row.Size, Awaited: awaited,
	})
	if err != nil {
		return err
	}
	defer release()
	if err := w.rest(ctx, from, row.Cluster); err != nil {
		return err
	}
	t := object.Task{
		Object: ids.ObjectIn(row.Bucket, row.Key, row.Cluster), Size: row.Size,
		Foreign: row.Foreign, Since: row.Since, Damaged: row.Damaged, Counted: row.Counted,
	}
	if src, ok := w.seen.Get(ids.ObjectIn(row.Bucket, row.Key, "")); ok && row.Attempts == 0 && !row.Foreign && src.Size <= limit.SmallObject {
		t.Src, t.Fresh = &src, true
	}
	answer := w.o.AskSource(row.Bucket)
	v, err := w.o.Settler.Settle(ctx, t)
	if errors.Is(err, object.ErrNoSource) {
		answer(err)
	}
	if w.o.Shared() && (v == object.Moot && err == nil || errors.Is(err, object.ErrNoCopy)) {
		err = w.askAgain(ctx, t)
	}
	return err
}

// askAgain settles an object that nothing was to be done about once more, by all that is
// committed: another instance may have made the bucket or the copy a moment ago, and the
// row with it. A bucket that only other instances know is theirs.
func (w *Workers) askAgain(ctx context.Context, t object.Task) error {
	if err := w.o.CatchUp(ctx); err != nil {
		return err
	}
	v, err := w.o.Settler.Settle(ctx, t)
	if v == object.Moot && err == nil && w.o.Router.Snapshot().Bucket(t.Bucket) == nil {
		return errNotHere
	}
	return err
}

// errNotHere says that a bucket is none of this instance's configuration.
var errNotHere = errors.New("this instance does not know the bucket")
