package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// pullLease is how long the row of an object on its way is left alone by other instances
// without a sign of life; it is prolonged while the copy goes on.
const pullLease = time.Minute

// pulling is one pull at work.
type pulling struct {
	*run
	ref      objectRef
	src, dst *site
	row      state.Pulled // as it was stored last
}

// pull brings one object to one cluster, from its primary, and returns when it is routed by
// there. It has no more than the timeout of waiting for others to do so.
func (r *run) pull(ctx context.Context, ref objectRef, timeout time.Duration) error {
	switch st, _, covered := r.ctl.Router().Snapshot().CopyState(ref.bucket, ref.key, ref.cluster); {
	case covered && st == catalog.CopySynced:
		return r.awaitCopy(ctx, ref, timeout)
	case covered && st > catalog.CopySynced:
		return errLeaving
	}
	release, err := r.slots.acquire(ctx, classLive, ref.cluster)
	if err != nil {
		return err
	}
	defer release()
	before, err := r.pendingRow(ctx, ref)
	if err != nil {
		return err
	}
	if err := r.pullNow(ctx, ref); err != nil {
		return err
	}
	if before != nil {
		r.store(r.ctl.FinishPending(ctx, keyOf(*before)))
	}
	// A change noticed since is settled by the workers, most often by finding that there is
	// nothing to do.
	return r.awaitCurrent(ctx, ref, timeout)
}

// awaitCopy waits for a proper copy's object to be brought in step, if workers are at it.
func (r *run) awaitCopy(ctx context.Context, ref objectRef, timeout time.Duration) error {
	row, err := r.pendingRow(ctx, ref)
	if err != nil {
		return err
	}
	if row != nil && (row.Hold != state.HoldNone || row.Attempts > 0) {
		return fmt.Errorf("the copy there can't be brought in step now: %w", errNotYet)
	}
	return r.awaitCurrent(ctx, ref, timeout)
}

func (r *run) awaitCurrent(ctx context.Context, ref objectRef, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for !r.ctl.Router().Current(ref.bucket, ref.key, ref.cluster) {
		if !sleep(ctx, 2*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// pullNow copies the object. Whatever happens, a row is durable before anything is
// written, and stays for as long as something may be there.
func (r *run) pullNow(ctx context.Context, ref objectRef) error {
	release, err := r.sole(ctx, ref)
	if err != nil {
		return err
	}
	defer release()
	if r.ctl.Router().Current(ref.bucket, ref.key, ref.cluster) {
		return nil // another instance, or a worker, was faster
	}
	p := &pulling{run: r, ref: ref}
	if err := p.situate(); err != nil {
		return err
	}
	err = p.attempt(ctx)
	if err != nil && p.row.Bucket != "" {
		p.undo(err)
	}
	return err
}

// attempt copies the object; one that changes meanwhile is copied anew.
func (p *pulling) attempt(ctx context.Context) (err error) {
	for range 3 {
		if err = p.once(ctx); !errors.Is(err, storage.ErrPrecondition) {
			break
		}
	}
	return err
}

// sole keeps everybody else away from an object copied on demand: who works on its key
// here, and other instances.
func (r *run) sole(ctx context.Context, ref objectRef) (release func(), err error) {
	unlock, err := r.keys.lock(ctx, ref)
	if err != nil {
		return nil, err
	}
	others, err := r.alone(ctx, ref)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() {
		others()
		unlock()
	}, nil
}

// alone keeps other instances away from an object copied on demand, where there are any,
// and takes in what they did to it. The caller holds the key's lock.
func (r *run) alone(ctx context.Context, ref objectRef) (release func(), err error) {
	store, shared := r.ctl.Store().(state.Shared)
	if !shared {
		return func() {}, nil
	}
	for {
		lock, ok, err := store.TryLock(ctx, "pulled/"+ref.cluster+"/"+ref.bucket+"/"+ref.key)
		if err != nil {
			return nil, err
		}
		if ok {
			release := func() { r.store(lock.Unlock()) }
			if err := r.ctl.FollowPulled(ctx, state.ObjectChange{
				Kind: state.ObjectPulled, Bucket: ref.bucket, Key: ref.key, Cluster: ref.cluster,
			}); err != nil {
				release()
				return nil, err
			}
			return release, nil
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

func (p *pulling) situate() (err error) {
	primary := p.ctl.Router().Snapshot().Primary(p.ref.bucket)
	if primary == "" || primary == p.ref.cluster {
		return errMoving
	}
	if p.src, err = p.sites.usable(primary); err != nil {
		return err
	}
	p.dst, err = p.sites.usable(p.ref.cluster)
	return err
}

// once copies the object as it is now, unless it is there.
func (p *pulling) once(ctx context.Context) error {
	op := &operation{bucket: p.ref.bucket, key: p.ref.key, from: p.src.name, to: p.ref.cluster, total: -1}
	opCtx, leave, err := p.gate.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	err = p.copyThere(opCtx, op)
	if cause := context.Cause(opCtx); err != nil && cause != nil && ctx.Err() == nil {
		err = fmt.Errorf("aborted: %w", cause)
	}
	return err
}

func (p *pulling) copyThere(ctx context.Context, op *operation) error {
	src, err := p.stat(ctx, p.src, p.ref.bucket, p.ref.key)
	switch {
	case errors.Is(err, storage.ErrNoBucket):
		return fmt.Errorf("%w in %s: %w", errNoSource, p.src.name, err)
	case err != nil:
		return fmt.Errorf("asking the primary %s: %w", p.src.name, err)
	case src == nil:
		return errGone
	}
	dst, err := p.stat(ctx, p.dst, p.ref.bucket, p.ref.key)
	noBucket := errors.Is(err, storage.ErrNoBucket)
	if err != nil && !noBucket {
		return fmt.Errorf("asking %s: %w", p.dst.name, err)
	}
	known, ok := p.ctl.Router().Pulled.Get(p.ref.bucket, p.ref.key, p.ref.cluster)
	if dst != nil && !(ok && pulledIs(known, *dst)) {
		return fmt.Errorf("%w: %s has an object of this key (%d bytes, ETag %s)", errConflict, p.ref.cluster, dst.Size, dst.ETag)
	}
	op.total = src.Size
	if err := p.claim(ctx, src.Size, known.Size); err != nil {
		return err
	}
	if noBucket {
		if err := p.makePulledBucket(ctx, p.src, p.dst, p.ref.bucket); err != nil {
			return err
		}
	}
	if dst == nil || storage.Compare(*src, *dst) != storage.Equal {
		if err := p.move(ctx, op, *src, dst); err != nil {
			return err
		}
	}
	return p.admit(ctx, *src)
}

// pulledIs says whether what lies there is what FaDO put there on demand: it has FaDO's
// mark and the ETag noted. None is noted while a copy is, or was when a process ended, on
// its way; nothing or FaDO's was there when that began.
func pulledIs(known catalog.Pulled, o storage.Object) bool {
	return o.Replica && (known.ETag == "" || o.ETag == known.ETag)
}

// move writes the object and keeps its row alive meanwhile.
func (p *pulling) move(ctx context.Context, op *operation, src storage.Object, over *storage.Object) error {
	cond := storage.Condition{Absent: true}
	if over != nil {
		cond = storage.Condition{IfETag: over.ETag}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for sleep(ctx, pullLease/3) {
			row := p.row
			row.UsedAt, row.Until = p.now(), p.now().Add(pullLease)
			p.store(p.ctl.Store().TouchPulled(ctx, row))
		}
	}()
	_, err := p.transfer(ctx, op, p.src, p.dst, p.ref.bucket, src, cond)
	return err
}

// admit routes by the object if it is still what the primary has. What changes there from
// now on becomes a pending row for this cluster, too.
func (p *pulling) admit(ctx context.Context, src storage.Object) error {
	dst, err := p.stat(ctx, p.dst, p.ref.bucket, p.ref.key)
	if err != nil {
		return err
	}
	now, err := p.stat(ctx, p.src, p.ref.bucket, p.ref.key)
	switch {
	case err != nil:
		return err
	case now == nil:
		return errGone
	case dst == nil, now.ETag != src.ETag, storage.Compare(*now, *dst) == storage.Different:
		p.row.ETag = "" // what lies there is marked, and not what it should be
		return errors.Join(p.ctl.PutPulled(ctx, p.row), fmt.Errorf("%w at the primary", storage.ErrPrecondition))
	}
	p.row.ETag, p.row.Size = dst.ETag, dst.Size
	p.row.UsedAt = p.now()
	p.row.Until = p.row.UsedAt.Add(p.ttl(p.ref))
	if err := p.ctl.PutPulled(ctx, p.row); err != nil {
		return err
	}
	p.figures.copied(dst.Size)
	p.metrics.Replicated(p.ref.cluster, dst.Size)
	task{objectRef: p.ref}.emitTo(p.ctl.Events(), "copied", p.src.name, dst.Size, "")
	return nil
}

// undo takes back what a failed pull may have left; what can't be taken back now keeps its
// row, and the keeper comes back to it.
func (p *pulling) undo(cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), p.tune.CallTimeout)
	defer cancel()
	if err := p.takeAway(ctx, p.ref, p.dst); err != nil {
		p.log.Debug("an object copied on demand is yet to be removed", refFields(p.ref, errors.Join(cause, err))...)
		return
	}
	p.store(p.dropPulled(ctx, p.ref))
}

// ttl is how long an object stays after its last use.
func (e *Engine) ttl(ref objectRef) time.Duration {
	snap := e.ctl.Router().Snapshot()
	if rule, ok := snap.RuleOf(ref.bucket, ref.key); ok {
		if p := snap.Policy(rule.Policy); p != nil {
			return time.Duration(p.PullTTL)
		}
	}
	return 0
}
