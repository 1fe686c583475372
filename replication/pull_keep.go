package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// changed is told that the catalogue changed: what failed before may work now, and what is
// there may have to go.
func (p *pulls) changed() {
	p.mu.Lock()
	clear(p.resting)
	p.mu.Unlock()
	p.look()
}

// look has the keeper look at everything soon.
func (p *pulls) look() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// recheck has the objects copied on demand of a bucket compared with the primary soon.
func (p *pulls) recheck(bucket string, router *routing.Router) {
	if !router.Pulled.HasBucket(bucket) {
		return
	}
	p.mu.Lock()
	p.rechecks[bucket] = struct{}{}
	p.mu.Unlock()
	p.look()
}

// busy says whether an object is on its way here, or being removed.
func (p *pulls) busy(ref objectRef) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flights[ref] != nil || p.leaving[ref]
}

// noteUses stores when objects were used since the last time.
func (e *Engine) noteUses(ctx context.Context) {
	used := e.ctl.Router().Pulled.TakeUsed()
	rows := make([]state.Pulled, 0, len(used))
	for _, o := range used {
		rows = append(rows, state.Pulled{
			Bucket: o.Bucket, Key: o.Key, Cluster: o.Cluster, UsedAt: o.UsedAt,
			Until: o.UsedAt.Add(e.ttl(objectRef{o.Bucket, o.Key, o.Cluster})),
		})
	}
	if len(rows) == 0 {
		return
	}
	if err := e.ctl.Store().TouchPulled(ctx, rows...); err != nil && ctx.Err() == nil {
		e.log.Warn("noting the use of objects copied on demand", zap.Error(err))
	}
}

// auditEvery is the time between looks at all objects copied on demand, changes apart.
const auditEvery = time.Minute

// keepPulled removes objects copied on demand that expired, that policy no longer allows
// where they are, or that were left halfway, and compares those of buckets being scanned.
func (r *run) keepPulled(ctx context.Context) {
	var audited time.Time
	for {
		kicked := false
		t := time.NewTimer(r.tune.PullEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		case <-r.pulls.kick:
			t.Stop()
			kicked = true
		}
		if kicked || time.Since(audited) > auditEvery {
			began := time.Now()
			r.auditPulled(ctx)
			audited = time.Now()
			sleep(ctx, 2*audited.Sub(began)) // many changes in a row cost a third of a core at most
		}
		r.expirePulled(ctx)
	}
}

// expireBatch bounds the objects removed in one step.
const expireBatch = 1000

func (r *run) expirePulled(ctx context.Context) {
	r.noteUses(ctx)
	rows, err := r.ctl.Store().ListPulled(ctx, state.PulledFilter{Expired: r.now()}, expireBatch)
	if err != nil {
		r.store(err)
		return
	}
	var refs []objectRef
	for _, row := range rows {
		ref := objectRef{row.Bucket, row.Key, row.Cluster}
		if row.Key == "" || !r.shards.owns(row.Bucket) || r.pulls.busy(ref) || r.taken(ref) {
			continue
		}
		if r.ctl.Router().Snapshot().Bucket(row.Bucket) == nil {
			r.store(r.ctl.DeletePulled(ctx, state.PulledKey{Bucket: row.Bucket, Key: row.Key, Cluster: row.Cluster}))
			continue
		}
		if _, known := r.ctl.Router().Pulled.Get(row.Bucket, row.Key, row.Cluster); !known {
			row.UsedAt = row.Until // not to be used
			r.store(r.ctl.PutPulled(ctx, row))
		}
		refs = append(refs, ref)
	}
	r.tell("removing expired objects", r.removePulled(ctx, refs...))
}

// tell reports what can't be done now and is tried again.
func (r *run) tell(doing string, err error) {
	if err != nil && r.ctx.Err() == nil && !errors.Is(err, errDown) {
		r.log.Warn(doing+" copied on demand", zap.Error(err))
	}
}

// auditPulled looks at every object copied on demand.
func (r *run) auditPulled(ctx context.Context) {
	p := r.pulls
	p.mu.Lock()
	rechecks := p.rechecks
	p.rechecks = make(map[string]struct{})
	p.mu.Unlock()
	_, shared := r.ctl.Store().(state.Shared)
	var remove, compare []objectRef
	for _, o := range r.ctl.Router().Pulled.List(func(_, _, _ string) bool { return true }) {
		ref := objectRef{o.Bucket, o.Key, o.Cluster}
		if !r.shards.owns(o.Bucket) || p.busy(ref) || ctx.Err() != nil {
			continue
		}
		_, scanned := rechecks[o.Bucket]
		switch r.judgePulled(ref, o.Pulled, shared) {
		case pulledForgotten:
			r.store(r.ctl.DeletePulled(ctx, state.PulledKey{Bucket: o.Bucket, Key: o.Key, Cluster: o.Cluster}))
		case pulledTaken:
			r.store(r.dropPulled(ctx, ref))
		case pulledUnwanted:
			remove = append(remove, ref)
		case pulledUnsure:
			compare = append(compare, ref)
		default:
			if scanned {
				compare = append(compare, ref)
			}
		}
	}
	r.compareAll(ctx, compare)
	r.tell("removing objects", r.removePulled(ctx, remove...))
}

// comparers bounds the objects compared at a time.
const comparers = 8

func (r *run) compareAll(ctx context.Context, refs []objectRef) {
	window := make(chan struct{}, comparers)
	var wg sync.WaitGroup
	for _, ref := range refs {
		window <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-window }()
			if ctx.Err() == nil {
				r.tell("comparing objects", r.comparePulled(ctx, ref))
			}
		}()
	}
	wg.Wait()
}

// pulledVerdict says what is to become of an object copied on demand.
type pulledVerdict uint8

const (
	pulledFine      pulledVerdict = iota
	pulledForgotten               // its bucket or cluster is not FaDO's any more; the object stays
	pulledTaken                   // a copy has it; the object stays
	pulledUnwanted                // it is to be removed
	pulledUnsure                  // it is to be compared before it is used
)

func (r *run) judgePulled(ref objectRef, o catalog.Pulled, shared bool) pulledVerdict {
	snap := r.ctl.Router().Snapshot()
	cluster := snap.Cluster(ref.cluster)
	st, primary, covered := snap.CopyState(ref.bucket, ref.key, ref.cluster)
	switch {
	case snap.Bucket(ref.bucket) == nil, cluster == nil, cluster != nil && cluster.Storage == nil:
		return pulledForgotten
	case covered && (primary || st == catalog.CopySynced):
		return pulledTaken
	case covered && st < catalog.CopySynced:
		return pulledFine // until the copy has it
	case !snap.Allows(ref.bucket, ref.key, ref.cluster), cluster.Drain:
		return pulledUnwanted
	case o.ETag == "" && !shared:
		return pulledUnwanted // a process before this one was copying it
	case o.ETag != "" && !o.Current && o.Until.After(r.now()):
		return pulledUnsure
	}
	return pulledFine
}

// comparePulled looks at an object at both sides. One that differs is left to the workers,
// as one that changed at the primary is; one that was not routed by is, if it is equal.
func (r *run) comparePulled(ctx context.Context, ref objectRef) error {
	release, err := r.sole(ctx, ref)
	if err != nil {
		return err
	}
	defer release()
	o, ok := r.ctl.Router().Pulled.Get(ref.bucket, ref.key, ref.cluster)
	if !ok || o.ETag == "" || r.pulls.busy(ref) {
		return nil
	}
	p := &pulling{run: r, ref: ref}
	if err := p.situate(); err != nil {
		return err
	}
	s := &situation{Engine: r.Engine, task: task{objectRef: ref}, src: p.src, dst: p.dst}
	src, dst, err := s.look(ctx)
	noBucket := errors.Is(err, storage.ErrNoBucket) && !errors.Is(err, errNoSource)
	if err != nil && !noBucket {
		return err
	}
	equal := src != nil && dst != nil && pulledIs(o, *dst) && storage.Compare(*src, *dst) == storage.Equal
	switch {
	case equal && o.Current:
		return nil
	case equal:
		now := r.now()
		return r.ctl.PutPulled(ctx, state.Pulled{
			Bucket: ref.bucket, Key: ref.key, Cluster: ref.cluster, Size: o.Size, ETag: o.ETag, UsedAt: now, Until: now.Add(r.ttl(ref)),
		})
	}
	return r.ctl.AddPending(ctx, state.Pending{
		Bucket: ref.bucket, Key: ref.key, Cluster: ref.cluster, Size: o.Size, Since: r.now(), Background: true,
	})
}

// removersPulled bounds the objects removed at a time.
const removersPulled = 8

// removePulled takes objects out of routing, gives the requests in flight there their time,
// and removes them with their rows. The first error is returned; the rows of what could not
// be removed stay, expired.
func (r *run) removePulled(ctx context.Context, refs ...objectRef) error {
	type place struct{ bucket, cluster string }
	groups := make(map[place][]objectRef)
	for _, ref := range refs {
		at := place{ref.bucket, ref.cluster}
		groups[at] = append(groups[at], ref)
	}
	window := make(chan struct{}, removersPulled)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for _, group := range groups {
		wg.Add(1)
		window <- struct{}{}
		go func() {
			defer wg.Done()
			defer func() { <-window }()
			if err := r.removeGroup(ctx, group); err != nil {
				mu.Lock()
				defer mu.Unlock()
				first = errors.Join(first, err)
			}
		}()
	}
	wg.Wait()
	return first
}

// removeGroup removes objects of one bucket in one cluster.
func (r *run) removeGroup(ctx context.Context, refs []objectRef) error {
	dst, err := r.sites.usable(refs[0].cluster)
	if err != nil {
		r.hide(refs)
		return err
	}
	refs = r.pulls.leave(refs)
	defer r.pulls.left(refs)
	r.hide(refs)
	var rows []state.Pulled
	for _, ref := range refs {
		if o, ok := r.ctl.Router().Pulled.Get(ref.bucket, ref.key, ref.cluster); ok {
			now := r.now()
			rows = append(rows, state.Pulled{
				Bucket: ref.bucket, Key: ref.key, Cluster: ref.cluster, Size: o.Size, ETag: o.ETag, UsedAt: now, Until: now,
			})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := r.ctl.PutPulled(ctx, rows...); err != nil { // other instances leave it, too
		return err
	}
	drain := state.Copy{Bucket: refs[0].bucket, DrainSince: r.now()}
	drain.Cluster = refs[0].cluster
	if err := r.awaitDrained(ctx, drain); err != nil {
		return err
	}
	var failed error
	for _, ref := range refs {
		if err := r.removeOne(ctx, ref, dst); err != nil {
			failed = err
		}
	}
	return failed
}

func (r *run) hide(refs []objectRef) {
	for _, ref := range refs {
		r.ctl.HidePulled(ref.bucket, ref.key, ref.cluster)
	}
}

// leave marks objects as being removed, and returns those that were not.
func (p *pulls) leave(refs []objectRef) (mine []objectRef) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ref := range refs {
		if !p.leaving[ref] {
			p.leaving[ref] = true
			mine = append(mine, ref)
		}
	}
	return mine
}

func (p *pulls) left(refs []objectRef) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ref := range refs {
		delete(p.leaving, ref)
	}
}

// removeOne removes one object that left routing, if its primary says that nothing is lost
// with it, and then its row.
func (r *run) removeOne(ctx context.Context, ref objectRef, dst *site) error {
	release, err := r.sole(ctx, ref)
	if err != nil {
		return err
	}
	defer release()
	o, ok := r.ctl.Router().Pulled.Get(ref.bucket, ref.key, ref.cluster)
	if !ok || o.Current || o.Until.After(r.now()) {
		return nil // it went, or came anew
	}
	if err := r.primaryAnswers(ctx, ref); err != nil {
		return err
	}
	if err := r.takeAway(ctx, ref, dst); err != nil {
		return err
	}
	return r.dropPulled(ctx, ref)
}

// primaryAnswers says whether the primary's bucket is there and tells of the object, be it
// that it has it, has another version, or has none.
func (r *run) primaryAnswers(ctx context.Context, ref objectRef) error {
	src, err := r.sites.usable(r.ctl.Router().Snapshot().Primary(ref.bucket))
	if err != nil {
		return err
	}
	if _, err := r.stat(ctx, src, ref.bucket, ref.key); err != nil {
		return fmt.Errorf("asking the primary %s before removing what was copied from it: %w", src.name, err)
	}
	return nil
}

// refreshPulled brings an object that was copied on demand in step with the primary. The
// caller holds the key's lock.
func (e *Engine) refreshPulled(ctx context.Context, t task) (verdict, error) {
	r := e.run.Load()
	if _, ok := e.ctl.Router().Pulled.Get(t.bucket, t.key, t.cluster); !ok || r == nil {
		return 0, errNoCopy
	}
	mine := e.pulls.leave([]objectRef{t.objectRef})
	if len(mine) == 0 {
		return 0, errMoving // it is being removed
	}
	defer e.pulls.left(mine)
	release, err := r.alone(ctx, t.objectRef)
	if err != nil {
		return 0, err
	}
	defer release()
	o, ok := e.ctl.Router().Pulled.Get(t.bucket, t.key, t.cluster)
	if !ok {
		return 0, errNoCopy
	}
	p := &pulling{run: r, ref: t.objectRef}
	if err := p.situate(); err != nil {
		return 0, err
	}
	s := &situation{Engine: e, task: t, src: p.src, dst: p.dst}
	src, dst, err := s.look(ctx)
	noBucket := errors.Is(err, storage.ErrNoBucket) && !errors.Is(err, errNoSource)
	switch {
	case err != nil && !noBucket:
		return 0, err
	case dst == nil, !pulledIs(o, *dst): // it vanished, or somebody else's took its place
		return moot, e.ctl.DeletePulled(ctx, state.PulledKey{Bucket: t.bucket, Key: t.key, Cluster: t.cluster})
	case src == nil:
		return removed, p.withdraw(ctx)
	case o.ETag != "" && storage.Compare(*src, *dst) == storage.Equal:
		return inStep, nil
	}
	if err := p.attempt(ctx); err != nil {
		if errors.Is(err, errNoRoom) || errors.Is(err, errForbidden) {
			return removed, p.withdraw(ctx)
		}
		return 0, err
	}
	return copied, nil
}

// withdraw removes an object that is out of date, which nobody is routed to.
func (p *pulling) withdraw(ctx context.Context) error {
	p.ctl.HidePulled(p.ref.bucket, p.ref.key, p.ref.cluster)
	if err := p.takeAway(ctx, p.ref, p.dst); err != nil {
		return err
	}
	p.ctl.Events().Emit(control.Event{
		Type: control.EventTransfer, Op: "removed", Bucket: p.ref.bucket, Key: p.ref.key, Cluster: p.ref.cluster,
	})
	return p.dropPulled(ctx, p.ref)
}
