package walk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// Syncer brings copies in step for the first time.
type Syncer struct {
	o         *Options
	began     *began
	histories *Historian
}

// Sync walks a copy from where it stands to the end; then the copy is synced. Where it is not
// known when the walk began that it goes on with, or changes may have been missed since, it
// compares what is there again, which costs the listings only. The caller holds the copy's lock.
func (y *Syncer) Sync(ctx context.Context, id ids.Copy) error {
	if err := y.begin(ctx, id); err != nil {
		return err
	}
	w, err := newPass(ctx, y.o, id, catalog.CopySyncing)
	if err != nil {
		return err
	}
	y.resume(w)
	before := w.src.Feed.Get()
	b, err := y.walk(ctx, w)
	if err != nil {
		return err
	}
	heard := before.HeardAllUntil(w.src.Feed.Get())
	if err := y.finish(ctx, b); err != nil {
		return err
	}
	if w.anywhere || w.row.Cursor != "" || !heard {
		y.o.Hooks.RequestScan(id.Bucket) // changes behind the cursor may have gone unnoticed
	}
	return y.bringHistories(ctx, id)
}

// resume has a walk go on where this process has been since it is known when the walk began, which may be
// before where a walk of an earlier process came to.
func (y *Syncer) resume(w *pass) {
	here := progress{}
	if y.began.counts(y.o, w.id) {
		here = y.began.reached(w.id)
	}
	if here.cursor < w.row.Cursor {
		w.row.Cursor, w.row.Objects, w.row.Bytes = here.cursor, here.objects, here.bytes
	}
}

// bringHistories brings older versions along once the current ones are there: the copy is a hit
// from then on. What fails is for the next scan.
func (y *Syncer) bringHistories(ctx context.Context, id ids.Copy) error {
	err := y.histories.Bring(ctx, id)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if !errors.Is(err, object.ErrChanged) {
		y.o.Log.Warn("older versions were not all copied; a scan tries again", zap.String("bucket", id.Bucket),
			zap.String("prefix", id.Prefix), zap.String("cluster", id.Cluster), zap.Error(err))
		y.o.Hooks.RequestScan(id.Bucket)
	}
	return nil
}

// walk goes on with a walk, or begins it, and begins it again where changes may have been
// missed meanwhile.
func (y *Syncer) walk(ctx context.Context, w *pass) (*bulk, error) {
	furthest := ""
	clocks, err := w.compareClocks(ctx)
	if err != nil {
		return nil, err
	}
	for {
		if err := w.since(ctx, y.began); err != nil {
			return nil, err
		}
		if w.row.Cursor == "" {
			if err := foresee(ctx, w); err != nil {
				return nil, err
			}
		}
		b := &bulk{
			pass: w, clocks: clocks, track: copies.NewTracker(w.row.Cursor, w.row.Objects, w.row.Bytes), furthest: furthest,
			reach: func(cursor string, objects, bytes int64) { y.began.reach(w.id, progress{cursor, objects, bytes}) },
		}
		err := b.run(ctx)
		if !errors.Is(err, errMissed) {
			return b, err
		}
		low, _, _ := b.track.Mark()
		furthest = max(furthest, low)
		w.row.Cursor, w.row.Objects, w.row.Bytes = "", 0, 0
	}
}

// begin makes the buckets and puts a waiting copy into state syncing.
func (y *Syncer) begin(ctx context.Context, id ids.Copy) error {
	if _, err := y.o.Buckets.Ensure(ctx, id); err != nil {
		return err
	}
	s, err := y.o.Sites.Usable(id.Cluster)
	if err != nil {
		return err
	}
	clock, err := s.Clock(ctx)
	if err != nil {
		return err
	}
	rows, err := y.o.Copies.Of(ctx, id.Bucket)
	if err != nil {
		return err
	}
	i := copyrows.Index(rows, id.Prefix, id.Cluster)
	if i < 0 || rows[i].State == catalog.CopySyncing {
		return nil
	}
	adopts := mayAdopt(rows, id.Cluster)
	y.o.Copies.DropTally(id)
	_, err = y.o.Copies.Amend(ctx, id, func(c *state.Copy) bool {
		if c.State != catalog.CopyWaiting {
			return false
		}
		c.State, c.Cursor, c.ScanCursor, c.Error, c.Objects, c.Bytes = catalog.CopySyncing, "", "", "", 0, 0
		if c.OwnedUntil.IsZero() && adopts {
			c.OwnedUntil = clock
		}
		return true
	})
	return err
}

// mayAdopt reports whether objects without FaDO's mark may lie in a cluster that were there before the
// first sync.
//
// Invariant: no clock makes an object of others FaDO's where FaDO made the bucket and users have not written
// since, as in a primary: all that is FaDO's there has its mark. Elsewhere only the storage's clock tells
// what was there before from what others wrote there later.
func mayAdopt(rows []state.Copy, cluster string) bool {
	return !copyrows.MadeBucket(rows, cluster) || slices.ContainsFunc(rows, func(c state.Copy) bool {
		return c.Cluster == cluster && (c.Primary || c.FormerPrimary || c.Anywhere || !c.OwnedUntil.IsZero())
	})
}

// finish makes the copy a synced one.
func (y *Syncer) finish(ctx context.Context, b *bulk) error {
	_, objects, bytes := b.track.Mark()
	err := y.o.Copies.Update(ctx, b.id.Bucket, func(rows []state.Copy) ([]state.Copy, error) {
		c, err := b.own(rows, catalog.CopySyncing)
		if err != nil {
			return rows, err
		}
		y.o.Copies.DropTally(b.id)
		c.State, c.Cursor, c.ScanCursor, c.Error = catalog.CopySynced, "", "", ""
		c.Objects, c.Bytes, c.VerifiedAt = objects, bytes, b.began
		if p := b.primaryRow(rows); p != nil {
			p.Objects, p.Bytes, p.VerifiedAt = objects, bytes, y.o.Now()
		}
		return rows, nil
	})
	if err != nil {
		return err
	}
	y.began.forget(b.id)
	y.o.Router.Compared.EndWalk(b.name())
	y.o.Log.Info("copy is synced", zap.String("bucket", b.id.Bucket), zap.String("prefix", b.id.Prefix),
		zap.String("cluster", b.id.Cluster), zap.Int64("objects", objects), zap.Int64("bytes", bytes))
	return nil
}

// Fail stores that a copy as a whole has failed.
func (y *Syncer) Fail(ctx context.Context, id ids.Copy, cause error) error {
	_, err := y.o.Copies.Amend(ctx, id, func(c *state.Copy) bool {
		if c.Primary || c.State > catalog.CopySyncing {
			return false
		}
		c.State, c.Error = catalog.CopyFailed, cause.Error()
		return true
	})
	if err != nil {
		return fmt.Errorf("storing that the copy in %s failed: %w", id.Cluster, err)
	}
	return nil
}

// startOver has a copy whose bucket vanished synced from the beginning: it leaves routing
// at once.
func (y *Syncer) startOver(ctx context.Context, id ids.Copy) error {
	y.o.Log.Warn("a copy's bucket was missing and is made again; the copy is synced from the beginning",
		zap.String("bucket", id.Bucket), zap.String("cluster", id.Cluster))
	return y.o.Copies.Update(ctx, id.Bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if c := &rows[i]; c.Cluster == id.Cluster && !c.Primary && c.State <= catalog.CopySynced {
				copyrows.Resync(c)
				c.OwnedUntil = time.Time{} // nothing is left there of what was compared
			}
		}
		return rows, nil
	})
}
