package move

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// Decisions carries out what people say about where a bucket is written from now on: one that was
// stopped ([buckets.Identities.Stop]), or whose primary is lost.
type Decisions struct {
	o     *Options
	halts *Halts
}

// dropBatch bounds the rows that are removed at a time.
const dropBatch = 512

// Why people's word on a stopped bucket can't be taken.
var (
	// ErrNotStopped: there is nothing to say.
	ErrNotStopped = errors.New("the bucket is not stopped")
	// ErrNoWhole: the cluster has no whole copy of the bucket that could take the primary's
	// place.
	ErrNoWhole = errors.New("no synced copy of the whole bucket is there")
)

// TrustPrimary goes on with what lies at a stopped bucket's primary now: its copies follow it,
// within the breaker's bounds.
func (d *Decisions) TrustPrimary(ctx context.Context, bucket string) error {
	rows, err := d.o.Copies.Of(ctx, bucket)
	if err != nil {
		return err
	}
	s, err := d.o.Sites.Usable(copyrows.PrimaryOf(rows))
	if err != nil {
		return err
	}
	now, err := buckets.IdentityNow(ctx, s, bucket)
	if err != nil {
		return err
	}
	if there, err := s.Reader().BucketExists(ctx, bucket); err != nil || !there {
		return errors.Join(err, fmt.Errorf("%w: %s has no bucket %s", object.ErrNoSource, s.Name(), s.Reader().Physical(bucket)))
	}
	err = d.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		if err := d.stopped(bucket, rows, s.Name()); err != nil {
			return rows, err
		}
		for i := range rows {
			c := &rows[i]
			if !c.Primary {
				c.Trusts, c.ScanCursor = true, ""
				continue
			}
			now.Put(c)
			c.Stopped, c.Error, c.VerifiedAt = false, "", d.o.Now()
		}
		return rows, nil
	})
	if err == nil {
		d.o.Log.Info("people confirmed what a bucket's primary holds; its copies follow", zap.String("bucket", bucket), zap.String("cluster", s.Name()))
	}
	return err
}

// stopped returns nil if a bucket is stopped and its primary is where it was. A storage that
// has another address than the one that is known stops its bucket before a walk says so.
func (d *Decisions) stopped(bucket string, rows []state.Copy, primary string) error {
	if copyrows.PrimaryOf(rows) != primary {
		return object.ErrChanged
	}
	for _, c := range copyrows.PrimaryRows(rows) {
		if c.Stopped {
			return nil
		}
	}
	if d.o.Router.Snapshot().Of(bucket).Elsewhere(primary) {
		return nil
	}
	return fmt.Errorf("bucket %s: %w", bucket, ErrNotStopped)
}

// TrustCopy makes the copy in a cluster the primary of a stopped bucket. What lies in the
// other clusters, the former primary's among them, is compared with it as an import: equal
// objects are adopted, and whatever else is there stays, as conflicts.
func (d *Decisions) TrustCopy(ctx context.Context, bucket, cluster string) error {
	snap := d.o.Router.Snapshot()
	from := snap.Of(bucket).Primary()
	if !copyrows.SyncedEverywhere(snap.Of(bucket).Copies(), cluster) || snap.Of(bucket).Elsewhere(cluster) {
		return fmt.Errorf("%s: %w", cluster, ErrNoWhole)
	}
	if _, err := d.o.Sites.Usable(cluster); err != nil {
		return err
	}
	err := d.o.Guard.Exclusively(ctx, bucket, cluster, swapPatience, func() error {
		if err := d.halts.others(ctx, bucket, cluster); err != nil {
			return err
		}
		return d.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
			return rows, d.enthrone(bucket, from, cluster, rows)
		})
	})
	if err != nil {
		d.halts.failed(ctx, bucket)
		return err
	}
	d.o.Log.Info("people confirmed a bucket's copy; it is the primary now", zap.String("bucket", bucket), zap.String("from", from), zap.String("to", cluster))
	return d.dropRows(ctx, bucket, cluster)
}

// enthrone changes the rows of a stopped bucket so that a cluster's copies are the primary.
func (d *Decisions) enthrone(bucket, from, cluster string, rows []state.Copy) error {
	if err := d.stopped(bucket, rows, from); err != nil {
		return err
	}
	if err := d.o.Control.MayWrite(); err != nil {
		return err
	}
	for i := range rows {
		c := &rows[i]
		c.Stopped, c.Moving, c.FormerPrimary = false, false, false
		switch {
		case c.Cluster == cluster && (c.State != catalog.CopySynced || c.Primary):
			return object.ErrChanged
		case c.Cluster == cluster:
			c.Primary, c.ScanCursor, c.Error = true, "", ""
		case c.Primary || c.State <= catalog.CopySynced || c.State == catalog.CopyFailed:
			c.Primary = false
			copyrows.Import(c)
		}
	}
	return nil
}

// dropRows removes the rows about a cluster that has become the primary: they speak of what the
// former one had.
func (d *Decisions) dropRows(ctx context.Context, bucket, cluster string) error {
	filter := state.PendingFilter{Bucket: bucket, Cluster: cluster}
	for {
		rows, err := d.o.Control.Store().Queue().ListPending(ctx, filter, state.PendingKey{}, dropBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		keys := make([]state.PendingKey, len(rows))
		for i, r := range rows {
			keys[i] = r.RowKey()
		}
		if err := d.o.Control.FinishPending(ctx, keys...); err != nil {
			return err
		}
	}
}
