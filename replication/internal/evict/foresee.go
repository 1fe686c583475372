package evict

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
)

// foresee lists both sides once before an eviction removes anything, and counts what it would remove
// that the primary lacks, or has an older version of. The copy may hold the last there is of these: it
// is kept in step no more, and no scan looks at it.
//
// Invariant: none of them goes before all were counted. More deletes than the breaker allows are held
// before the first, and a primary that may have gone back in time stops the bucket.
func foresee(ctx context.Context, v *eviction) error {
	if v.row.HeldDeletes && !v.o.Deletes.Lets(ctx, v.id, v.row, 1) {
		return object.ErrHeld
	}
	f := &foreseen{of: v}
	switch err := f.count(ctx); {
	case errors.Is(err, storage.ErrNoBucket):
		return v.missing(ctx, err)
	case err != nil:
		return err
	case f.Extras > 0 && !v.o.Deletes.Lets(ctx, v.id, v.row, f.Extras):
		v.o.Deletes.Hold(ctx, v.id)
		return object.ErrHeld
	case v.row.Trusts:
		return nil
	case f.Older >= object.Doubtful:
		return v.o.Buckets.Identities.StopForGood(ctx, v.id.Bucket, fmt.Sprintf(
			"%d objects in %s are older than what their copies in %s were made of, which are about to go: it may have been restored from a backup", f.Older, v.src.Name(), v.id.Cluster))
	}
	lost, err := f.LostLatest(ctx, object.Sides{Src: v.src, Dst: v.dst}, v.id.Bucket, func(context.Context, storage.Object) (bool, error) { return true, nil }) // it was asked
	if err != nil || !lost {
		return err
	}
	return v.o.Buckets.Identities.StopForGood(ctx, v.id.Bucket, fmt.Sprintf(
		"what was written last is in %s, where it is about to go, and no longer in %s, which lacks %d objects: it may be another bucket, or have been restored from a backup",
		v.id.Cluster, v.src.Name(), f.Extras))
}

// foreseen is what an eviction would remove although the primary has not got it.
type foreseen struct {
	of *eviction
	object.Foreseen
}

// count looks at all pairs, and asks about those that may count.
func (f *foreseen) count(ctx context.Context) error {
	asking, actx := errgroup.WithContext(ctx)
	asking.SetLimit(evictWindow)
	err := f.list(actx, func(p listing.Pair) {
		asking.Go(func() error { return f.ask(actx, p) })
	})
	if failed := asking.Wait(); failed != nil {
		return failed
	}
	return err
}

func (f *foreseen) list(ctx context.Context, ask func(listing.Pair)) error {
	for p, err := range f.of.pairs(ctx) {
		if err != nil {
			return err
		}
		if f.of.keep(p.Key) {
			continue
		}
		if err := f.of.o.Pause.Wait(ctx); err != nil {
			return err
		}
		f.See(p.Src)
		if object.MayCount(p.Src, p.Dst) {
			ask(p.Clone())
		}
	}
	return ctx.Err()
}

// ask looks at what the copy has: what is not FaDO's stays, and does not count.
func (f *foreseen) ask(ctx context.Context, p listing.Pair) error {
	v := f.of
	dst, err := v.dst.Stat(ctx, v.id.Bucket, p.Key)
	if err != nil || dst == nil {
		return err
	}
	owns, err := owned(ctx, v, ids.ObjectIn(v.id.Bucket, p.Key, v.id.Cluster), *dst)
	if err != nil || !owns {
		return err
	}
	f.Found(p.Src, *p.Dst, *dst)
	return nil
}
