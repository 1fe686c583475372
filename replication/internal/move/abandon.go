package move

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/state"
)

// Abandon forgets a bucket's copies in a cluster whose storage is lost for good. Where that
// was the bucket's primary, another cluster's copy takes its place, "" for none: what that one
// lacks is lost. The other copies are then compared with it as imports: equal objects are
// adopted, and whatever else is there stays, as conflicts.
func (d *Decisions) Abandon(ctx context.Context, bucket, lost, heir string) error {
	drop := func() error {
		return d.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
			if err := d.o.Control.MayWrite(); err != nil {
				return rows, err
			}
			return inherit(rows, lost, heir), nil
		})
	}
	if heir == "" {
		return drop()
	}
	err := d.o.Guard.Exclusively(ctx, bucket, heir, swapPatience, func() error {
		if err := d.halts.others(ctx, bucket, heir); err != nil {
			return err
		}
		return drop()
	})
	if err != nil {
		d.halts.failed(ctx, bucket)
		return err
	}
	d.o.Log.Warn("a bucket's primary was abandoned; a copy takes its place",
		zap.String("bucket", bucket), zap.String("from", lost), zap.String("to", heir))
	return d.dropRows(ctx, bucket, heir)
}

// inherit returns the rows without those of a lost cluster, with an heir's as the primary if
// the lost one was it.
func inherit(rows []state.Copy, lost, heir string) []state.Copy {
	wasPrimary := copyrows.PrimaryOf(rows) == lost
	rows = slices.DeleteFunc(rows, func(c state.Copy) bool { return c.Cluster == lost })
	if !wasPrimary || heir == "" {
		return rows
	}
	for i := range rows {
		c := &rows[i]
		c.Stopped, c.Moving, c.FormerPrimary = false, false, false
		switch {
		case c.Cluster == heir:
			c.Primary, c.State, c.Cursor, c.ScanCursor, c.Error = true, catalog.CopySynced, "", "", ""
		case c.State <= catalog.CopySynced || c.State == catalog.CopyFailed:
			copyrows.Import(c)
		}
	}
	return rows
}
