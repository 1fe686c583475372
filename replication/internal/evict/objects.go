package evict

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// evictWindow bounds the objects removed at a time from one copy.
const evictWindow = 8

// removeAll walks both listings and removes what may be removed.
func (v *eviction) removeAll(ctx context.Context) error {
	removals, rctx := errgroup.WithContext(ctx)
	removals.SetLimit(evictWindow)
	err := v.each(rctx, func(key string) {
		removals.Go(func() error {
			return v.sort(key, v.o.Objects.Persist(rctx, func() error { return v.object(rctx, key) }))
		})
	})
	if failed := removals.Wait(); failed != nil {
		return failed
	}
	if errors.Is(err, storage.ErrNoBucket) {
		return v.missing(ctx, err)
	}
	return err
}

// removeKeys removes what may be removed of some keys.
func (v *eviction) removeKeys(ctx context.Context, keys iter.Seq[string]) error {
	for key := range keys {
		if v.keep(key) {
			continue
		}
		if err := v.o.Pause.Wait(ctx); err != nil {
			return err
		}
		if err := v.sort(key, v.o.Objects.Persist(ctx, func() error { return v.object(ctx, key) })); err != nil {
			return err
		}
	}
	return nil
}

// pairs merges both listings.
func (v *eviction) pairs(ctx context.Context) iter.Seq2[listing.Pair, error] {
	src := v.src.Reader().List(ctx, v.id.Bucket, v.id.Prefix, "")
	dst := v.dst.Reader().List(ctx, v.id.Bucket, v.id.Prefix, "")
	return listing.Merge(ctx, src, dst, v.src.Name(), v.dst.Name())
}

// each calls f with every key that lies in the copy and is this copy's to remove.
func (v *eviction) each(ctx context.Context, f func(key string)) error {
	for p, err := range v.pairs(ctx) {
		if err != nil {
			return err
		}
		if p.Dst == nil || v.keep(p.Key) {
			continue
		}
		if err := v.o.Pause.Wait(ctx); err != nil {
			return err
		}
		f(p.Key)
	}
	return ctx.Err()
}

// sort puts aside what an object's removal has to wait for. Other errors end the walk.
func (v *eviction) sort(key string, err error) error {
	if !errors.Is(err, object.ErrNotYet) && !errors.Is(err, storage.ErrPrecondition) && !errors.Is(err, storage.ErrLocked) {
		return err
	}
	err = fmt.Errorf("%w: %w", object.ErrNotYet, err)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waits = append(v.waits, key)
	if p := v.notYet.Load(); p == nil || !errors.Is(*p, storage.ErrLocked) { // a lock is what people have to know of
		v.notYet.Store(&err)
	}
	return nil
}

// object removes one object if the primary has what it holds, or has moved on from it.
func (v *eviction) object(ctx context.Context, key string) error {
	ref := ids.ObjectIn(v.id.Bucket, key, v.id.Cluster)
	return v.removing(ctx, ref, func(ctx context.Context, p *guard.Pass) error { return v.judge(ctx, p, ref) })
}

// judge decides by fresh answers of both storages.
func (v *eviction) judge(ctx context.Context, p *guard.Pass, ref ids.Object) error {
	at := object.Sides{Src: v.src, Dst: v.dst}
	src, dst, err := object.Look(ctx, at, ref.Bucket, ref.Key)
	if err != nil {
		return err
	}
	if dst == nil {
		return v.dst.Absent(ctx, ref.Bucket, ref.Key)
	}
	owns, err := owned(ctx, v, ref, *dst)
	if err != nil {
		return err
	}
	switch {
	case src == nil && !owns:
		v.stays(ref, "the primary does not have it")
		return nil
	case src == nil:
		if !v.o.Deletes.Take(ctx, v.id, v.row) {
			v.o.Deletes.Hold(ctx, v.id)
			return object.ErrHeld
		}
	case storage.Compare(*src, *dst) != storage.Equal && !owns:
		v.stays(ref, "the primary has another one")
		return nil
	default:
		if err := v.elsewhere(ctx, ref); err != nil {
			return err
		}
	}
	if err := v.bringHome(ctx, ref); err != nil {
		return err
	}
	covered, err := v.o.Objects.Removals.ForGood(ctx, p, object.Removal{At: at, Seen: *dst, Versioned: v.versioned})
	if errors.Is(err, object.ErrBelow) {
		v.stays(ref, err.Error())
		return nil
	}
	if covered {
		v.stays(ref, "versions of it are not known to be FaDO's; they stay below a delete marker")
	}
	if err == nil {
		v.removed.Add(1)
	}
	return err
}

// owned reports whether one of the copy's objects is FaDO's to remove.
func owned(ctx context.Context, v *eviction, ref ids.Object, o storage.Object) (bool, error) {
	foreign, err := v.o.Objects.Foreign(ctx, ref)
	if err != nil {
		return false, err
	}
	claim := object.Claim{
		By: v.o.Objects.Provenance, Bucket: ref.Bucket, Copy: v.row.Routed(), MadeBucket: copyrows.MadeBucket(v.rows, ref.Cluster),
		At: object.Sides{Src: v.src, Dst: v.dst}, Foreign: foreign, OwnedUntil: object.OwnedUntil(v.row),
	}
	return claim.Owns(ctx, ref.Key, o)
}

// elsewhere reports whether the object is where policy wants it now, by [object.ErrNotYet] if not. A
// conflict at another copy is for people to resolve and does not keep this one.
func (v *eviction) elsewhere(ctx context.Context, ref ids.Object) error {
	for _, c := range v.o.Router.Snapshot().Of(ref.Bucket).WantedIn(nil, ref.Key) {
		row, err := v.o.Objects.PendingRow(ctx, ids.ObjectIn(ref.Bucket, ref.Key, c))
		if err != nil {
			return err
		}
		if row != nil && row.Hold != state.HoldConflict {
			return fmt.Errorf("%s is on its way to %s: %w", ref.Key, c, object.ErrNotYet)
		}
	}
	return v.settled()
}

// removeHidden removes what a listing does not show: versions of FaDO's below a delete
// marker. They are what the primary deleted or replaced.
func (v *eviction) removeHidden(ctx context.Context) error {
	for key, err := range v.dst.Reader().VersionedKeys(ctx, v.id.Bucket, v.id.Prefix) {
		if err != nil {
			return err
		}
		if v.keep(key) {
			continue
		}
		if err := v.o.Pause.Wait(ctx); err != nil {
			return err
		}
		if err := v.o.Objects.Persist(ctx, func() error { return v.hidden(ctx, key) }); err != nil {
			return err
		}
	}
	return nil
}

// hidden removes those of one key's versions for good that FaDO wrote, if it has no current one.
func (v *eviction) hidden(ctx context.Context, key string) error {
	ref := ids.ObjectIn(v.id.Bucket, key, v.id.Cluster)
	return v.removing(ctx, ref, func(ctx context.Context, p *guard.Pass) error {
		now, err := v.dst.Stat(ctx, ref.Bucket, key)
		if err != nil || now != nil {
			return err // it stayed for a reason, or came since
		}
		if err := v.bringHome(ctx, ref); err != nil {
			return err
		}
		left, err := v.o.Objects.Removals.Hidden(ctx, p, object.Sides{Src: v.src, Dst: v.dst})
		if err == nil && left > 0 && !v.o.Router.Snapshot().Of(v.id.Bucket).Allows(key, v.id.Cluster) {
			v.behind.note(key) // it must not be there
		}
		return err
	})
}
