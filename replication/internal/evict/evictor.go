package evict

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// Evictor removes copies that are no longer wanted.
type Evictor struct {
	o *Options

	mu   sync.Mutex
	left map[ids.Copy][]string // keys whose removal waited when an eviction last ended

	behind keptBack
}

// maxLeft is how many keys of an eviction that waits are remembered. With more than that the
// copy is walked again.
const maxLeft = 1000

// New returns the evictor of an instance. Its methods are safe for concurrent use, as far as the
// copies' locks are held.
func New(o Options) *Evictor {
	if o.Timing.Poll == 0 {
		o.Timing.Poll = poll
	}
	return &Evictor{o: &o, left: make(map[ids.Copy][]string), behind: keptBack{by: make(map[ids.Copy]hiddenHistory)}}
}

// Evict takes leave of a copy that left routing: it waits for the requests in flight, then
// removes the objects, then the copy's row. It can be cut anywhere and called again. The
// caller holds the copy's lock.
func (e *Evictor) Evict(ctx context.Context, id ids.Copy) error {
	row, ok, err := e.o.Copies.Get(ctx, id)
	if err != nil {
		return err
	}
	if !ok {
		e.forget(id)
		e.behind.take(id)
		return nil
	}
	if row.State == catalog.CopyDraining {
		if err := e.AwaitDrained(ctx, id.Bucket, id.Cluster, row.DrainSince); err != nil {
			return err
		}
		if err := e.drained(ctx, id); err != nil {
			return err
		}
	}
	v, err := look(ctx, e.o, id)
	if err != nil {
		return err
	}
	defer func() { e.remember(v) }()
	if err := v.settled(); err != nil {
		return err
	}
	// Copying into this copy ended when its state changed, but for what was on its way.
	if err := e.o.Guard.Exclusively(ctx, id.Bucket, id.Cluster, e.o.Timing.CallTimeout, func() error { return nil }); err != nil {
		return err
	}
	switch err := e.o.Buckets.Identities.MayRemove(ctx, v.removal()); {
	case errors.Is(err, buckets.ErrNotTheCopy), errors.Is(err, buckets.ErrOneStorage) && v.row.VerifiedAt.IsZero(): // FaDO wrote nothing there
		return e.leave(ctx, v)
	case err != nil:
		return err
	}
	if err := e.stillBehind(ctx, v); err != nil {
		return err
	}
	late, err := e.o.Objects.HoldsLate(ctx, id)
	if err != nil {
		return err
	}
	if late && e.o.Router.Snapshot().Of(id.Bucket).Allows(id.Prefix, id.Cluster) {
		return object.ErrHeld // nothing is in a hurry
	}
	if err := v.run(ctx, e.waiting(id)); err != nil {
		return err
	}
	if err := e.keepBack(v); err != nil {
		return err
	}
	if late {
		return object.ErrHeld // they would go with the row, and the objects be back for good
	}
	return e.finish(ctx, v)
}

// keepBack returns why a copy that must not be there can't leave.
func (e *Evictor) keepBack(v *eviction) error {
	err := v.behind.reason(v.id)
	if err != nil {
		e.behind.note(v.id, v.behind)
	}
	return err
}

// stillBehind returns why a copy could not leave the last time, if that is still so of the key that it
// names: nothing is listed again until it changes.
func (e *Evictor) stillBehind(ctx context.Context, v *eviction) error {
	was, known := e.behind.take(v.id)
	if !known {
		return nil
	}
	h, err := object.HistoryAt(ctx, v.dst, v.id.Bucket, was.one, 2)
	if err != nil || len(h.Versions) < 2 || !h.Versions[0].Deleted || v.o.Router.Snapshot().Of(v.id.Bucket).Allows(was.one, v.id.Cluster) {
		return err
	}
	v.behind = was
	return e.keepBack(v)
}

// leave takes leave of a copy in whose place another bucket lies, or that never was one but the
// primary by another name. Nothing is touched there.
func (e *Evictor) leave(ctx context.Context, v *eviction) error {
	if err := e.removeRow(ctx, v.id); err != nil {
		return err
	}
	e.o.Deletes.Forget(v.id)
	e.o.Log.Warn("a copy left, and nothing was removed: what lies there is not the copy", zap.String("bucket", v.id.Bucket), zap.String("cluster", v.id.Cluster))
	e.o.Events.Emit(control.Event{
		Type: control.EventCopy, Bucket: v.id.Bucket, Prefix: v.id.Prefix, Cluster: v.id.Cluster, State: "gone",
		Reason: "what lies there is not the copy; nothing was removed",
	})
	return nil
}

// waiting returns the keys that the last eviction of a copy had to leave for later.
func (e *Evictor) waiting(id ids.Copy) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.left[id]
}

func (e *Evictor) forget(id ids.Copy) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.left, id)
}

// remember keeps what an eviction has to leave for later, if it came to look.
func (e *Evictor) remember(v *eviction) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(v.waits) > 0 && len(v.waits) <= maxLeft {
		e.left[v.id] = v.waits
		return
	}
	if v.looked {
		delete(e.left, v.id)
	}
}

// run removes what may be removed, once the rule is [eviction.settled]. An error
// says that something is left for another time. The keys that an eviction before had to leave
// come first: as long as one of them waits, nothing is listed again.
func (v *eviction) run(ctx context.Context, waiting []string) (err error) {
	v.looked = true
	v.keep = v.keeper()
	if v.versioned, err = v.dst.HasHistory(ctx, v.id.Bucket); err != nil {
		return err
	}
	if v.anywhere && v.versioned {
		return v.removeVersions(ctx)
	}
	if v.versioned {
		if v.histories, err = v.o.Objects.Histories.Kept(ctx, object.Sides{Src: v.dst, Dst: v.src}, v.id.Bucket); err != nil {
			return err
		}
	}
	if err := v.removeKeys(ctx, slices.Values(waiting)); err != nil {
		return err
	}
	if p := v.notYet.Load(); p != nil {
		return *p
	}
	if err := foresee(ctx, v); err != nil {
		return err
	}
	if err := v.removeAll(ctx); err != nil {
		return err
	}
	if p := v.notYet.Load(); p != nil {
		return *p
	}
	if !v.versioned {
		return nil
	}
	return v.removeHidden(ctx)
}

// AwaitDrained waits until no request that was routed to a bucket's objects in a cluster is
// in flight any more, or their time since they left routing is up.
func (e *Evictor) AwaitDrained(ctx context.Context, bucket, cluster string, since time.Time) error {
	// Every instance has stopped routing there; what they still serve is not known here.
	if err := e.o.Members.Confirm(ctx); err != nil {
		return err
	}
	deadline := since.Add(e.o.Timing.Drain())
	if !e.o.Hooks.Alone(ctx) && !delay.Sleep(ctx, deadline.Sub(e.o.Now())) {
		return ctx.Err()
	}
	if !delay.Sleep(ctx, e.o.Timing.DrainGrace) { // decisions taken on the snapshot before
		return ctx.Err()
	}
	for e.o.Router.Flights.InFlight(bucket, cluster) > 0 && e.o.Now().Before(deadline) {
		if !delay.Sleep(ctx, e.o.Timing.Poll) {
			return ctx.Err()
		}
	}
	return nil
}

// drained stores that nothing is served from the copy any more: its objects may go.
func (e *Evictor) drained(ctx context.Context, id ids.Copy) error {
	done, err := e.o.Copies.Amend(ctx, id, func(c *state.Copy) bool {
		if c.State != catalog.CopyDraining || c.Primary {
			return false
		}
		c.State = catalog.CopyRemoving
		return true
	})
	if err != nil || !done {
		return errors.Join(err, object.ErrChanged)
	}
	return nil
}

// finish removes the copy's row, and the physical bucket if FaDO made it and nothing is
// left in it.
func (e *Evictor) finish(ctx context.Context, v *eviction) error {
	rows, err := e.o.Copies.Of(ctx, v.id.Bucket)
	if err != nil {
		return err
	}
	last := !slices.ContainsFunc(rows, func(c state.Copy) bool {
		return c.Cluster == v.id.Cluster && c.Prefix != v.id.Prefix
	})
	if last && copyrows.MadeBucket(rows, v.id.Cluster) && v.kept.Load() == 0 {
		if err := e.o.Hooks.LeaveToPulled(ctx, v.id.Bucket, v.id.Cluster); err != nil {
			return err
		}
		if err := e.o.Buckets.Drop(ctx, v.dst, v.id.Bucket); err != nil {
			return err
		}
	}
	if err := e.removeRow(ctx, v.id); err != nil {
		return err
	}
	e.o.Deletes.Forget(v.id)
	e.tell(v)
	return nil
}

// removeRow removes the row of a copy. That FaDO made its bucket is remembered by the
// cluster's other copies.
func (e *Evictor) removeRow(ctx context.Context, id ids.Copy) error {
	return e.o.Copies.Update(ctx, id.Bucket, func(rows []state.Copy) ([]state.Copy, error) {
		i := copyrows.Index(rows, id.Prefix, id.Cluster)
		if i < 0 || rows[i].State != catalog.CopyRemoving {
			return rows, object.ErrChanged
		}
		made := rows[i].MadeBucket
		rows = slices.Delete(rows, i, i+1)
		for j := range rows {
			if rows[j].Cluster == id.Cluster {
				rows[j].MadeBucket = rows[j].MadeBucket || made
			}
		}
		return rows, nil
	})
}

// tell reports what was removed, and what stayed.
func (e *Evictor) tell(v *eviction) {
	e.o.Log.Info("copy is removed", zap.String("bucket", v.id.Bucket), zap.String("prefix", v.id.Prefix),
		zap.String("cluster", v.id.Cluster), zap.Int64("objects", v.removed.Load()), zap.Int64("left", v.kept.Load()))
	if p := v.foreign.Load(); p != nil {
		e.o.Events.Emit(control.Event{
			Type: control.EventCopy, Bucket: v.id.Bucket, Prefix: v.id.Prefix, Cluster: v.id.Cluster, State: "gone",
			Reason: fmt.Sprintf("%d objects stayed there, being not FaDO's to remove; one is %s", v.kept.Load(), *p),
		})
	}
}
