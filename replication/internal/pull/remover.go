package pull

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// remover takes objects out of routing and removes them.
type remover struct {
	o       *Options
	locks   locks
	marks   *marks
	buckets buckets
}

// removers bounds the groups of objects removed at a time.
const removers = 8

// remove takes objects out of routing, gives the requests in flight there their time, and
// removes them with their rows. The rows of what could not be removed stay, expired.
func (r *remover) remove(ctx context.Context, refs ...ids.Object) error {
	type place struct{ bucket, cluster string }
	groups := make(map[place][]ids.Object)
	for _, ref := range refs {
		at := place{ref.Bucket, ref.Cluster}
		groups[at] = append(groups[at], ref)
	}
	errs := make(chan error, len(groups))
	var work errgroup.Group
	work.SetLimit(removers)
	for _, group := range groups {
		work.Go(func() error {
			errs <- r.group(ctx, group)
			return nil // the others are removed all the same
		})
	}
	_ = work.Wait() // they return none
	close(errs)
	var all error
	for err := range errs {
		all = errors.Join(all, err)
	}
	return all
}

// group removes objects of one bucket in one cluster.
func (r *remover) group(ctx context.Context, refs []ids.Object) error {
	bucket, cluster := refs[0].Bucket, refs[0].Cluster
	dst, err := r.o.Sites.Usable(cluster)
	if err != nil {
		r.hide(refs)
		return err
	}
	refs = r.marks.remove(refs)
	defer r.marks.removed(refs)
	r.hide(refs)
	rows := r.expired(refs)
	if len(rows) == 0 {
		return nil
	}
	if err := r.o.Rows.Put(ctx, rows...); err != nil { // other instances leave it, too
		return err
	}
	if err := r.o.Drain.AwaitDrained(ctx, bucket, cluster, r.o.Now()); err != nil {
		return err
	}
	var failed error
	for _, ref := range refs {
		if err := r.one(ctx, ref, dst); err != nil {
			failed = err
		}
	}
	return failed
}

func (r *remover) hide(refs []ids.Object) {
	for _, ref := range refs {
		r.o.Rows.Hide(ref.Bucket, ref.Key, ref.Cluster)
	}
}

// expired returns the rows of objects that are known, as not to be used any more.
func (r *remover) expired(refs []ids.Object) (rows []state.Pulled) {
	for _, ref := range refs {
		if o, ok := r.o.known(ref); ok {
			row := rowOf(ref, o)
			row.UsedAt = r.o.Now()
			row.Until = row.UsedAt
			rows = append(rows, row)
		}
	}
	return rows
}

// one removes one object that left routing, if its primary says that nothing is lost with
// it, and then its row.
func (r *remover) one(ctx context.Context, ref ids.Object, dst *site.Site) error {
	release, err := r.locks.alone(ctx, ref)
	if err != nil {
		return err
	}
	defer release()
	o, ok := r.o.known(ref)
	if !ok || o.Current || o.Until.After(r.o.Now()) {
		return nil // it went, or came again
	}
	if err := r.primaryAnswers(ctx, ref); err != nil {
		return err
	}
	if err := r.takeAway(ctx, ref, dst); err != nil {
		return err
	}
	return r.forget(ctx, ref)
}

// primaryAnswers reports as an error that the primary's bucket is not there, is not the one that the
// object was copied from, or does not tell of the object, be it that it has it, has another version, or has none.
func (r *remover) primaryAnswers(ctx context.Context, ref ids.Object) error {
	src, err := r.o.Sites.Usable(r.o.Router.Snapshot().Of(ref.Bucket).Primary())
	if err != nil {
		return err
	}
	if _, err := src.Stat(ctx, ref.Bucket, ref.Key); err != nil {
		return fmt.Errorf("asking the primary %s before removing what was copied from it: %w", src.Name(), err)
	}
	return object.Identified(ctx, r.o.Store(), ref.Bucket, src)
}

// takeAway removes an object that was copied on demand, if it is still that, and no copy
// there has taken it over. The caller holds the key's lock.
func (r *remover) takeAway(ctx context.Context, ref ids.Object, dst *site.Site) error {
	op := guard.Op{Object: ref, Total: -1, Allowed: func(s *routing.Snapshot) bool {
		st, primary, ok := s.Of(ref.Bucket).CopyState(ref.Key, ref.Cluster)
		return !ok || !primary && st > catalog.CopySynced
	}}
	entered := false
	err := r.o.Guard.Do(ctx, op, func(ctx context.Context, pass *guard.Pass) error {
		entered = true
		return r.takeAwayNow(ctx, pass, dst)
	})
	if !entered && errors.Is(err, guard.ErrForbidden) {
		return nil // it is the copy's
	}
	return err
}

func (r *remover) takeAwayNow(ctx context.Context, pass *guard.Pass, dst *site.Site) error {
	ref := pass.Op().Object
	o, err := dst.Stat(ctx, ref.Bucket, ref.Key)
	if errors.Is(err, storage.ErrNoBucket) {
		return nil
	}
	if err == nil && o == nil { // its row goes, which is all that tells of it
		return dst.Absent(ctx, ref.Bucket, ref.Key)
	}
	if err != nil {
		return err
	}
	known, ok := r.o.known(ref)
	if !ok || !Is(known, *o) {
		r.o.Log.Warn("an object stays where one was copied on demand: it is not FaDO's any more", fieldsOf(ref, nil)...)
		return nil
	}
	versioned, err := dst.HasHistory(ctx, ref.Bucket)
	if err != nil {
		return err
	}
	if src, err := r.o.Sites.Usable(r.o.Router.Snapshot().Of(ref.Bucket).Primary()); err == nil {
		if err := r.o.Apart.Distinct(ctx, ref.Bucket, dst, src); err != nil {
			return err
		}
	}
	gone := object.Removal{At: object.Sides{Dst: dst}, Seen: *o, Versioned: versioned, Recorded: known.ETag != ""}
	// Without the primary, what only it could tell to be FaDO's stays below a delete marker.
	gone.At.Src, _ = r.o.Sites.Usable(r.o.Router.Snapshot().Of(ref.Bucket).Primary())
	_, err = r.o.Objects.Removals.ForGood(ctx, pass, gone)
	if errors.Is(err, object.ErrBelow) {
		r.o.Log.Warn("an object stays where one was copied on demand", fieldsOf(ref, err)...)
		return nil
	}
	return err
}

// withdraw removes an outdated object, to which no request is routed. The caller
// holds the key's lock.
func (r *remover) withdraw(ctx context.Context, ref ids.Object, dst *site.Site) error {
	r.o.Rows.Hide(ref.Bucket, ref.Key, ref.Cluster)
	if err := r.takeAway(ctx, ref, dst); err != nil {
		return err
	}
	return r.forget(ctx, ref)
}

// forget removes an object's row, and with the last one of a bucket the bucket.
func (r *remover) forget(ctx context.Context, ref ids.Object) error {
	if err := r.o.Rows.Delete(ctx, keyOf(ref)); err != nil {
		return err
	}
	return r.buckets.dropIfLast(ctx, ref.Bucket, ref.Cluster)
}
