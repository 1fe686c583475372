package walk

import (
	"context"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// Scanner finds what synced copies lack.
type Scanner struct {
	o         *Options
	syncer    *Syncer
	began     *began
	histories *Historian
}

// Scan compares a synced copy with the primary, from where its last scan was cut if it was,
// and counts it when it did so from the beginning. The caller holds the copy's lock.
func (c *Scanner) Scan(ctx context.Context, id ids.Copy) error {
	remade, err := c.o.Buckets.Ensure(ctx, id)
	if err != nil {
		return err
	}
	if remade {
		return c.syncer.startOver(ctx, id)
	}
	if err := c.restartUnknown(ctx, id); err != nil {
		return err
	}
	if err := c.scan(ctx, id, noWatch{}); err != nil {
		return err
	}
	return c.histories.Bring(ctx, id)
}

// restartUnknown has a scan begin again that would go on where one was cut of which is not
// known when it began, or since when changes may have been missed.
func (c *Scanner) restartUnknown(ctx context.Context, id ids.Copy) error {
	if c.began.counts(c.o, id) {
		return nil
	}
	return c.Restart(ctx, id)
}

// ScanWatched is Scan for a verification, which is told what the scan meets: resumed goes on
// where a scan was cut, otherwise it is a whole one. [object.ErrChanged]: the copy is not a
// synced one any more. The caller holds the copy's lock and has made the buckets sure by
// [buckets.Buckets.Ensure].
func (c *Scanner) ScanWatched(ctx context.Context, id ids.Copy, resumed bool, w Watch) error {
	if !resumed {
		if err := c.Restart(ctx, id); err != nil {
			return err
		}
	}
	if err := c.scan(ctx, id, w); err != nil {
		return err
	}
	return c.histories.Compare(ctx, id, w)
}

func (c *Scanner) scan(ctx context.Context, id ids.Copy, watch Watch) error {
	w, err := newPass(ctx, c.o, id, catalog.CopySynced)
	if err != nil {
		return err
	}
	f := &found{pass: w}
	s := &scan{pass: w, found: f, by: &comparison{pass: w, watch: watch, found: f}}
	if err := s.since(ctx, c.began); err != nil {
		return err
	}
	err = s.run(ctx)
	if err == nil {
		c.began.forget(id)
	}
	return err
}

// Restart has the next scan be a whole one, not the rest of another. The caller holds the copy's
// lock.
func (c *Scanner) Restart(ctx context.Context, id ids.Copy) error {
	return c.o.Copies.Progress(ctx, id, func(c *state.Copy) bool {
		was := c.ScanCursor
		c.ScanCursor = ""
		return was != ""
	})
}

// CountPrimary counts a rule that has no copy but the primary's. The caller holds the copy's
// lock.
func (c *Scanner) CountPrimary(ctx context.Context, id ids.Copy) error {
	if err := c.o.Buckets.EnsurePrimary(ctx, id); err != nil {
		return err
	}
	s, err := c.o.Sites.Usable(id.Cluster)
	if err != nil {
		return err
	}
	rule := RuleOf(c.o.Router.Snapshot(), id)
	var sum copies.Delta
	for o, err := range s.Reader().List(ctx, id.Bucket, id.Prefix, "") {
		if err != nil {
			return err
		}
		if rule.Covers(o.Key) {
			sum.Objects++
			sum.Bytes += o.Size
		}
	}
	return c.o.Copies.Progress(ctx, id, func(row *state.Copy) bool {
		row.Objects, row.Bytes, row.VerifiedAt = sum.Objects, sum.Bytes, c.o.Now()
		return row.Primary
	})
}
