package walk

import (
	"context"
	"errors"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
)

// foresee lists both sides before a first sync begins again at the first key, and counts what it would
// remove or replace at the copy that the primary lacks, or has an older version of. So much may lie
// there that was copied before FaDO restarted, or before the copy was emptied, and the primary may have been
// restored from a backup since.
//
// Invariant: none of it goes before all was counted, as with a scan. More deletes than the breaker allows
// are held before the first, and a primary that may have gone back in time stops the bucket. What
// becomes older behind the count is counted by the walk, see bulk.
func foresee(ctx context.Context, w *pass) error {
	if !w.doubts() || !w.known.Verified && w.known.Cursor == "" && !copyrows.MadeBucket(w.rows, w.id.Cluster) {
		return nil // whatever lies there is not FaDO's
	}
	f := &foreseen{pass: w}
	if err := f.count(ctx); err != nil {
		return err
	}
	if f.Older >= object.Doubtful {
		return stopOlder(ctx, w, f.Older)
	}
	if f.Extras == 0 {
		return nil
	}
	if !w.o.Deletes.Lets(ctx, w.id, w.row, f.Extras) {
		return w.o.Deletes.StoreHold(ctx, w.id)
	}
	lost, err := f.LostLatest(ctx, object.Sides{Src: w.src, Dst: w.dst}, w.id.Bucket,
		func(context.Context, storage.Object) (bool, error) { return true, nil }) // it was asked
	if err != nil || !lost {
		return err
	}
	return stopLost(ctx, w, f.Extras)
}

// foreseen is what a first sync would remove or replace although the primary has nothing newer.
type foreseen struct {
	*pass
	object.Foreseen
}

// foreseeAtOnce bounds the requests under way.
const foreseeAtOnce = 16

// count looks at all pairs, and asks about those that may count.
func (f *foreseen) count(ctx context.Context) error {
	asking, actx := errgroup.WithContext(ctx)
	asking.SetLimit(foreseeAtOnce)
	err := f.list(actx, func(p listing.Pair) { asking.Go(func() error { return f.ask(actx, p) }) })
	if failed := asking.Wait(); failed != nil {
		return failed
	}
	if errors.Is(err, storage.ErrNoBucket) {
		return nil // the walk finds out whose it is
	}
	return err
}

func (f *foreseen) list(ctx context.Context, ask func(listing.Pair)) error {
	there := new(extent)
	src := f.src.Reader().List(ctx, f.id.Bucket, f.id.Prefix, "")
	dst := there.of(f.dst.Reader().List(ctx, f.id.Bucket, f.id.Prefix, ""))
	for p, err := range listing.Merge(ctx, src, dst, f.src.Name(), f.dst.Name()) {
		if err != nil {
			return err
		}
		if p.Dst == nil && f.done(there, p.Key) {
			return nil
		}
		if !f.rule.Covers(p.Key) {
			continue
		}
		f.See(p.Src)
		if object.MayCount(p.Src, p.Dst) {
			ask(p.Clone())
		}
	}
	return ctx.Err()
}

// done reports whether the rest of the primary's listing says nothing: the copy has nothing behind a
// key, and so little that the primary lacks that it does not matter when the primary's latest was written.
func (f *foreseen) done(there *extent, key string) bool {
	return f.Few() && there.before(key)
}

// ask looks at what the copy has: what is not FaDO's stays, and does not count.
func (f *foreseen) ask(ctx context.Context, p listing.Pair) error {
	dst, err := f.dst.Stat(ctx, f.id.Bucket, p.Key)
	if err != nil || dst == nil {
		return err
	}
	owns, err := f.ours(ctx, *dst)
	if err != nil || !owns {
		return err
	}
	f.Found(p.Src, *p.Dst, *dst)
	return nil
}

// extent is how far a listing goes, once it was read to its end.
type extent struct {
	mu    sync.Mutex
	last  string
	ended bool
}

func (e *extent) of(l iter.Seq2[storage.Object, error]) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for o, err := range l {
			e.mu.Lock()
			e.last = max(e.last, o.Key)
			e.mu.Unlock()
			if !yield(o, err) || err != nil {
				return
			}
		}
		e.mu.Lock()
		e.ended = true
		e.mu.Unlock()
	}
}

// before reports whether it is known to end before a key.
func (e *extent) before(key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended && e.last < key
}
