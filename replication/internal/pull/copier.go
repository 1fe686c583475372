package pull

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// copier copies objects on demand, one per call.
type copier struct {
	o       *Options
	locks   locks
	buckets buckets
	remover *remover
	room    *room
}

// copying is one object being copied.
type copying struct {
	*copier
	ref ids.Object
	at  object.Sides
	row state.Pulled // as it was stored last; zero: none was
}

// pull brings one object to one cluster, from its primary, and returns when it is routed by
// there. It has no more than the timeout of waiting for others to do so.
func (c *copier) pull(ctx context.Context, ref ids.Object, timeout time.Duration) error {
	switch st, _, covered := c.o.Router.Snapshot().Of(ref.Bucket).CopyState(ref.Key, ref.Cluster); {
	case covered && st == catalog.CopySynced:
		return c.awaitCopy(ctx, ref, timeout)
	case covered && st > catalog.CopySynced:
		return object.ErrLeaving
	}
	release, err := c.o.Slots.Acquire(ctx, limit.Want{Class: limit.Live, To: ref.Cluster})
	if err != nil {
		return err
	}
	defer release()
	before, err := c.o.Objects.PendingRow(ctx, ref)
	if err != nil {
		return err
	}
	if err := c.awaitFeed(ctx, ref); err != nil {
		return err
	}
	if err := c.pullNow(ctx, ref); err != nil {
		return err
	}
	if before != nil {
		c.o.warn(ctx, "could not store that a pending object is in step; workers find that out",
			c.o.Pending.Finish(ctx, before.RowKey()))
	}
	// A change noticed since is settled by the workers, most often by finding that there is
	// nothing to do; what may have been missed since, by looking again.
	for waited := time.Duration(0); ; waited += lookAgain {
		err := c.awaitCurrent(ctx, ref, min(timeout, lookAgain))
		if err == nil || ctx.Err() != nil || waited+lookAgain >= timeout {
			return err
		}
		if err := c.pullNow(ctx, ref); err != nil {
			return err
		}
	}
}

const (
	// lookAgain is how long a pull waits for an object that is there to be routed by before it
	// looks at it again.
	lookAgain = time.Second
	// feedPatience is how long a pull waits for a gap at the primary to end: a comparison that
	// begins in it does not count.
	feedPatience = 5 * time.Second
	feedLook     = 25 * time.Millisecond
)

// awaitFeed waits while changes at an object's primary may be missed.
func (c *copier) awaitFeed(ctx context.Context, ref ids.Object) error {
	for waited := time.Duration(0); waited < feedPatience; waited += feedLook {
		snap := c.o.Router.Snapshot()
		st := snap.ClusterState(snap.Of(ref.Bucket).Primary())
		if st == nil || st.Storage() == routing.StorageDown {
			return nil
		}
		if end, open := st.Gap(); !open && !end.After(c.o.Now()) {
			return nil
		}
		if !delay.Sleep(ctx, feedLook) {
			return ctx.Err()
		}
	}
	return nil
}

// awaitCopy waits for a proper copy's object to be brought in step, if workers are at it.
func (c *copier) awaitCopy(ctx context.Context, ref ids.Object, timeout time.Duration) error {
	row, err := c.o.Objects.PendingRow(ctx, ref)
	if err != nil {
		return err
	}
	if row != nil && (row.Hold != state.HoldNone || row.Attempts > 0) {
		return errBehind
	}
	return c.awaitCurrent(ctx, ref, timeout)
}

// rarely is how often routing is checked without a signal about the object: a copy
// as a whole, or the catalogue, may have changed.
const rarely = 100 * time.Millisecond

func (c *copier) awaitCurrent(ctx context.Context, ref ids.Object, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		changed := c.o.Pending.Changed(ref.Bucket)
		if c.o.current(ref) {
			return nil
		}
		if _, err := wait(ctx, changed, rarely); err != nil {
			return err
		}
	}
}

// pullNow copies the object, and takes back what it left if that fails.
func (c *copier) pullNow(ctx context.Context, ref ids.Object) error {
	release, err := c.locks.alone(ctx, ref)
	if err != nil {
		return err
	}
	defer release()
	if c.o.current(ref) {
		return nil // another instance, or a worker, was faster
	}
	p := &copying{copier: c, ref: ref}
	if p.at, err = c.o.sides(ref); err != nil {
		return err
	}
	err = p.attempt(ctx)
	if err != nil && p.row.Bucket != "" {
		p.undo(ctx, err)
	}
	return err
}

// attempts at an object that changes meanwhile.
const attempts = 3

func (p *copying) attempt(ctx context.Context) (err error) {
	op := guard.Op{Object: p.ref, From: p.at.Src.Name(), Total: -1}
	for range attempts {
		if err = p.o.Guard.Do(ctx, op, p.once); !errors.Is(err, storage.ErrPrecondition) {
			break
		}
	}
	return err
}

// once copies the object as it is now, unless it is there. A row is durable before anything
// is written, and stays for as long as something may be there.
func (p *copying) once(ctx context.Context, pass *guard.Pass) error {
	src, dst, err := p.look(ctx)
	missing := errors.Is(err, storage.ErrNoBucket) && src != nil
	if err != nil && !missing {
		return err
	}
	known, ok := p.o.known(p.ref)
	if dst != nil && (!ok || !Is(known, *dst)) {
		return object.Conflict(*dst, "%s has an object of this key (%d bytes, ETag %s)", p.ref.Cluster, dst.Size, dst.ETag)
	}
	if !missing {
		if err := p.o.Apart.Distinct(ctx, p.ref.Bucket, p.at.Dst, p.at.Src); err != nil {
			return err
		}
	}
	pass.Sized(src.Size)
	row, err := p.room.claim(ctx, p.ref, p.at.Dst, src.Size, known.Size)
	if err != nil {
		return err
	}
	p.row = row
	if missing {
		if err := p.buckets.create(ctx, pass, p.at); err != nil {
			return err
		}
	}
	if dst == nil || storage.Compare(*src, *dst) != storage.Equal {
		if err := p.o.Record(ctx, p.ref, p.at.Src.Name(), src.Size); err != nil {
			return err
		}
		if err := p.transfer(ctx, pass, *src, dst); err != nil {
			return err
		}
	}
	return p.admit(ctx, *src)
}

// look asks the primary first, and the cluster only if the primary has the object. src is
// set if only the cluster's bucket is missing.
func (p *copying) look(ctx context.Context) (src, dst *storage.Object, err error) {
	src, err = p.at.Src.Stat(ctx, p.ref.Bucket, p.ref.Key)
	switch {
	case errors.Is(err, storage.ErrNoBucket):
		return nil, nil, fmt.Errorf("%w in %s: %w", object.ErrNoSource, p.at.Src.Name(), err)
	case err != nil:
		return nil, nil, fmt.Errorf("asking the primary %s: %w", p.at.Src.Name(), err)
	case src == nil:
		return nil, nil, errGone
	}
	dst, err = p.at.Dst.Stat(ctx, p.ref.Bucket, p.ref.Key)
	if err != nil {
		err = fmt.Errorf("asking %s: %w", p.at.Dst.Name(), err)
	}
	return src, dst, err
}

// transfer writes the object and keeps its row alive meanwhile.
func (p *copying) transfer(ctx context.Context, pass *guard.Pass, src storage.Object, over *storage.Object) error {
	cond := storage.Condition{Absent: true}
	if over != nil {
		cond = storage.Condition{IfETag: over.ETag}
	}
	ctx, cancel := context.WithCancel(ctx)
	var alive sync.WaitGroup
	defer alive.Wait()
	defer cancel()
	row := p.row
	alive.Go(func() {
		for delay.Sleep(ctx, Lease/3) {
			row.UsedAt = p.o.Now()
			row.Until = row.UsedAt.Add(Lease)
			p.o.warn(ctx, "could not store that an object is still being copied on demand; will retry", p.o.Store().Pulls().TouchPulled(ctx, row))
		}
	})
	_, err := p.o.Objects.Writes.Transfer(ctx, pass, p.at, src, storage.CopyOptions{If: cond, Unlocked: true})
	return err
}

// admit routes by the object if it is still what the primary has. What changes there from
// now on becomes a pending row for this cluster, too.
func (p *copying) admit(ctx context.Context, src storage.Object) error {
	began := p.o.Now()
	dst, err := p.at.Dst.Stat(ctx, p.ref.Bucket, p.ref.Key)
	if err != nil {
		return err
	}
	now, err := p.at.Src.Stat(ctx, p.ref.Bucket, p.ref.Key)
	switch {
	case err != nil:
		return err
	case now == nil:
		return errGone
	case dst == nil, now.ETag != src.ETag, storage.Compare(*now, *dst) == storage.Different:
		p.row.ETag = "" // the object there is marked, and differs from the primary's
		return errors.Join(p.o.Rows.Put(ctx, p.row), fmt.Errorf("%w at the primary", storage.ErrPrecondition))
	}
	p.row.ETag, p.row.Size = dst.ETag, dst.Size
	p.row.UsedAt = p.o.Now()
	p.row.Until = p.row.UsedAt.Add(p.o.ttl(p.ref))
	if err := p.o.Rows.Put(ctx, p.row); err != nil {
		return err
	}
	p.o.Router.Pulled.Compare(p.ref.Bucket, p.ref.Key, p.ref.Cluster, began)
	p.o.Report.Copied(p.ref, p.at.Src.Name(), dst.Size)
	return nil
}

// undo takes back what a failed pull may have left, although what it was for may have ended;
// what can't be taken back now keeps its row, and the keeper comes back to it.
func (p *copying) undo(ctx context.Context, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.o.Timing.CallTimeout)
	defer cancel()
	if err := p.remover.takeAway(ctx, p.ref, p.at.Dst); err != nil {
		p.o.Log.Debug("an object copied on demand is yet to be removed", fieldsOf(p.ref, errors.Join(cause, err))...)
		return
	}
	p.o.warn(ctx, "could not remove the row of an object that is not copied on demand; will retry", p.remover.forget(ctx, p.ref))
}
