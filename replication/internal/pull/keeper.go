package pull

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// keeper removes objects copied on demand that expired, that policy no longer allows where
// they are, or that were left halfway, and compares those it is asked to.
type keeper struct {
	o       *Options
	locks   locks
	marks   *marks
	uses    uses
	remover *remover

	kick chan struct{} // asks for an audit now

	mu       sync.Mutex
	rechecks map[string]struct{} // buckets whose objects are to be compared
}

// auditEvery is the time between checks of all objects copied on demand, changes apart.
const auditEvery = time.Minute

// look asks for an audit soon.
func (k *keeper) look() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// recheck schedules a comparison of a bucket's objects with the primary.
func (k *keeper) recheck(bucket string) {
	if !k.o.Router.Pulled.HasBucket(bucket) {
		return
	}
	k.mu.Lock()
	k.rechecks[bucket] = struct{}{}
	k.mu.Unlock()
	k.look()
}

// run audits and expires objects until ctx ends.
func (k *keeper) run(ctx context.Context) {
	var audited time.Time
	for ctx.Err() == nil {
		kicked, err := wait(ctx, k.kick, k.o.Timing.Every)
		if err != nil {
			return
		}
		if kicked || k.o.Now().Sub(audited) > auditEvery {
			began := time.Now() // what it costs, by no other clock
			k.audit(ctx)
			audited = k.o.Now()
			delay.Sleep(ctx, 2*time.Since(began)) // many changes in a row cost a third of a core at most
		}
		k.expire(ctx)
	}
}

// expireBatch bounds the objects removed in one step.
const expireBatch = 1000

// expire removes objects whose time is over.
func (k *keeper) expire(ctx context.Context) {
	k.uses.note(ctx)
	if k.o.Router.Pulled.Len() == 0 {
		return // memory has all that is stored
	}
	rows, err := k.o.Store().Pulls().ListPulled(ctx, state.PulledFilter{Expired: k.o.Now()}, expireBatch)
	if err != nil {
		k.o.warn(ctx, "could not read which objects copied on demand expired; will retry", err)
		return
	}
	var refs []ids.Object
	for _, row := range rows {
		ref := refOf(row)
		if row.Key == "" || !k.o.Owns(row.Bucket) || k.marks.busy(ref) || k.o.taken(ref) {
			continue
		}
		if k.o.Router.Snapshot().Bucket(row.Bucket) == nil {
			k.forsake(ctx, ref)
			continue
		}
		if _, known := k.o.known(ref); !known {
			row.UsedAt = row.Until // not to be used
			k.o.warn(ctx, "could not store that an object copied on demand expired; will retry", k.o.Rows.Put(ctx, row))
		}
		refs = append(refs, ref)
	}
	k.o.tell(ctx, "could not remove all expired objects copied on demand; will retry", k.remover.remove(ctx, refs...))
}

// forsake forgets an object that is no longer FaDO's; it stays where it is.
func (k *keeper) forsake(ctx context.Context, ref ids.Object) {
	k.o.warn(ctx, "could not forget an object copied on demand that is not FaDO's any more; will retry", k.o.Rows.Delete(ctx, keyOf(ref)))
}

// takeRechecks returns the buckets to be compared, and forgets them.
func (k *keeper) takeRechecks() map[string]struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	buckets := k.rechecks
	k.rechecks = make(map[string]struct{})
	return buckets
}

// audit looks at every object copied on demand.
func (k *keeper) audit(ctx context.Context) {
	rechecks := k.takeRechecks()
	_, shared := k.o.Store().(state.Shared)
	var remove, compare []ids.Object
	for _, p := range k.o.Router.Pulled.List(func(_, _, _ string) bool { return true }) {
		ref := ids.ObjectIn(p.Bucket, p.Key, p.Cluster)
		if !k.o.Owns(p.Bucket) || k.marks.busy(ref) || ctx.Err() != nil {
			continue
		}
		v := k.judge(ref, p.Pulled, shared)
		if _, asked := rechecks[p.Bucket]; asked && v == fine {
			v = unsure
		}
		switch v {
		case fine:
		case forgotten:
			k.forsake(ctx, ref)
		case takenOver:
			k.o.warn(ctx, "could not hand an object copied on demand over to the copy there; will retry", k.remover.forget(ctx, ref))
		case unwanted:
			remove = append(remove, ref)
		case unsure:
			compare = append(compare, ref)
		}
	}
	k.compareAll(ctx, compare)
	k.o.tell(ctx, "could not remove all objects copied on demand that are not wanted any more; will retry", k.remover.remove(ctx, remove...))
}

// verdict says what is to become of an object copied on demand.
type verdict uint8

const (
	fine      verdict = iota
	forgotten         // its bucket or cluster is not FaDO's any more; the object stays
	takenOver         // a copy has it; the object stays
	unwanted          // it is to be removed
	unsure            // it is to be compared before it is used
)

func (k *keeper) judge(ref ids.Object, p catalog.Pulled, shared bool) verdict {
	snap := k.o.Router.Snapshot()
	cluster := snap.Cluster(ref.Cluster)
	st, primary, covered := snap.Of(ref.Bucket).CopyState(ref.Key, ref.Cluster)
	switch {
	case snap.Bucket(ref.Bucket) == nil, cluster == nil, cluster != nil && cluster.Storage == nil:
		return forgotten
	case covered && (primary || st == catalog.CopySynced):
		return takenOver
	case covered && st < catalog.CopySynced:
		return fine // until the copy has it
	case !snap.Of(ref.Bucket).Allows(ref.Key, ref.Cluster), cluster.Drain:
		return unwanted
	case p.ETag == "" && !shared:
		return unwanted // a process before this one was copying it
	case p.ETag != "" && !p.Current && p.Until.After(k.o.Now()):
		return unsure
	}
	return fine
}

// comparers bounds the objects compared at a time.
const comparers = 8

func (k *keeper) compareAll(ctx context.Context, refs []ids.Object) {
	var work errgroup.Group
	work.SetLimit(comparers)
	for _, ref := range refs {
		work.Go(func() error {
			if ctx.Err() == nil {
				k.o.tell(ctx, "could not compare an object copied on demand with the primary; will retry", k.compare(ctx, ref))
			}
			return nil // the others are compared all the same
		})
	}
	_ = work.Wait() // they return none
}

// compare looks at an object at both sides. One that differs is left to the workers, as one
// that changed at the primary is; one that was not routed by is, if it is equal.
func (k *keeper) compare(ctx context.Context, ref ids.Object) error {
	release, err := k.locks.alone(ctx, ref)
	if err != nil {
		return err
	}
	defer release()
	p, ok := k.o.known(ref)
	if !ok || p.ETag == "" || k.marks.busy(ref) {
		return nil
	}
	began := k.o.Now()
	equal, err := k.equal(ctx, ref, p)
	if err != nil {
		return err
	}
	compared := func(err error) error {
		if err == nil {
			k.o.Router.Pulled.Compare(ref.Bucket, ref.Key, ref.Cluster, began)
		}
		return err
	}
	switch {
	case equal && p.Current:
		return compared(nil)
	case equal:
		row := rowOf(ref, p)
		row.UsedAt = k.o.Now()
		row.Until = row.UsedAt.Add(k.o.ttl(ref))
		return compared(k.o.Rows.Put(ctx, row))
	}
	return compared(k.o.Pending.Add(ctx, state.Pending{
		Bucket: ref.Bucket, Key: ref.Key, Cluster: ref.Cluster, Size: p.Size, Since: k.o.Now(), Background: true,
	}))
}

// equal reports whether the object is there as FaDO put it, and what the primary has.
func (k *keeper) equal(ctx context.Context, ref ids.Object, p catalog.Pulled) (bool, error) {
	at, err := k.o.sides(ref)
	if err != nil {
		return false, err
	}
	src, dst, err := object.Look(ctx, at, ref.Bucket, ref.Key)
	if err != nil && !noBucket(err) {
		return false, err
	}
	return src != nil && dst != nil && Is(p, *dst) && storage.Compare(*src, *dst) == storage.Equal, nil
}
