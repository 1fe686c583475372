package move

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// MustConverge reports whether rows are marked as written anywhere while their policies say
// otherwise.
func MustConverge(snap *routing.Snapshot, rows []state.Copy) bool {
	return slices.ContainsFunc(rows, func(c state.Copy) bool { return converges(snap, c) })
}

func converges(snap *routing.Snapshot, c state.Copy) bool {
	return c.Anywhere && !slices.Contains(snap.Of(c.Bucket).RulesAnywhere(), c.Prefix)
}

// Converger ends writes anywhere.
type Converger struct {
	o     *Options
	whole whole
}

// Converge ends writes anywhere: it compares every copy and settles the differences by the
// last writer. From then on users write at the primary alone; FaDO may replace objects that
// a copy held at that moment of its clock, and later ones are foreign. Until then the last
// writer still wins.
func (g *Converger) Converge(ctx context.Context, bucket string) error {
	rows, err := g.o.Copies.Of(ctx, bucket)
	if err != nil {
		return err
	}
	snap := g.o.Router.Snapshot()
	primary := copyrows.PrimaryOf(rows)
	clocks := make(map[string]time.Time)
	for _, c := range rows {
		if _, compared := clocks[c.Cluster]; compared || c.Cluster == primary || !converges(snap, c) {
			continue
		}
		if c.State != catalog.CopySynced {
			return object.ErrNotYet // it is on its way, or leaves
		}
		if clocks[c.Cluster], err = g.compareOnce(ctx, rows, c.Cluster); err != nil {
			return err
		}
	}
	for _, cluster := range append(slices.Sorted(maps.Keys(clocks)), primary) {
		if err := g.awaitNone(ctx, bucket, cluster); err != nil {
			return err
		}
	}
	return g.onlyPrimary(ctx, bucket, clocks)
}

// compareOnce scans a cluster's copies of a bucket, and returns its clock from before.
func (g *Converger) compareOnce(ctx context.Context, rows []state.Copy, cluster string) (time.Time, error) {
	s, err := g.o.Sites.Usable(cluster)
	if err != nil {
		return time.Time{}, err
	}
	clock, err := s.Clock(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return clock, g.whole.scan(ctx, rows, cluster)
}

// awaitNone gives what is pending in a cluster a while to be settled.
func (g *Converger) awaitNone(ctx context.Context, bucket, cluster string) error {
	for until := g.o.Now().Add(g.o.Timing.Patience); ; {
		signal := g.o.signal(bucket)
		logs, err := g.o.Control.Store().Queue().Backlogs(ctx, bucket)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(logs, func(l state.Backlog) bool { return l.Cluster == cluster }) {
			return nil
		}
		if g.o.Now().After(until) || !g.o.changed(ctx, signal) {
			return fmt.Errorf("bringing together what was written anywhere: objects are still on their way to %s: %w", cluster, object.ErrNotYet)
		}
	}
}

// onlyPrimary makes a bucket's copies ones that only FaDO writes.
func (g *Converger) onlyPrimary(ctx context.Context, bucket string, clocks map[string]time.Time) error {
	err := g.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		snap := g.o.Router.Snapshot()
		for i := range rows {
			c := &rows[i]
			if !converges(snap, *c) {
				continue
			}
			clock, compared := clocks[c.Cluster]
			switch {
			case c.Primary:
			case !compared, c.State != catalog.CopySynced:
				return rows, object.ErrChanged
			default:
				c.OwnedUntil, c.VerifiedAt = clock, g.o.Now()
			}
			c.Anywhere = false
		}
		return rows, nil
	})
	if err == nil {
		g.o.Log.Info("only the primary is written from now on", zap.String("bucket", bucket))
	}
	return err
}
