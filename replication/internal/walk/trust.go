package walk

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// What people say about a bucket that [Buckets.Stop] stopped.

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
func (m *Mover) TrustPrimary(ctx context.Context, bucket string) error {
	rows, err := m.o.Copies.Of(ctx, bucket)
	if err != nil {
		return err
	}
	s, err := m.o.Sites.Usable(copyrows.PrimaryOf(rows))
	if err != nil {
		return err
	}
	now, err := identityOf(ctx, s, bucket, s.BornNow)
	if err != nil {
		return err
	}
	if there, err := s.Reader().BucketExists(ctx, bucket); err != nil || !there {
		return errors.Join(err, fmt.Errorf("%w: %s has no bucket %s", object.ErrNoSource, s.Name(), s.Reader().Physical(bucket)))
	}
	err = m.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		if err := stopped(m, bucket, rows, s.Name()); err != nil {
			return rows, err
		}
		for i := range rows {
			c := &rows[i]
			if !c.Primary {
				c.Trusts, c.ScanCursor = true, ""
				continue
			}
			now.Put(c)
			c.Stopped, c.Error, c.VerifiedAt = false, "", m.o.Now()
		}
		return rows, nil
	})
	if err == nil {
		m.o.Log.Info("people confirmed what a bucket's primary holds; its copies follow", zap.String("bucket", bucket), zap.String("cluster", s.Name()))
	}
	return err
}

// stopped returns nil if a bucket is stopped and its primary is where it was. A storage that
// has another address than the one that is known stops its bucket before a walk says so.
func stopped(m *Mover, bucket string, rows []state.Copy, primary string) error {
	if copyrows.PrimaryOf(rows) != primary {
		return object.ErrChanged
	}
	for _, c := range copyrows.PrimaryRows(rows) {
		if c.Stopped {
			return nil
		}
	}
	if m.o.Router.Snapshot().Elsewhere(bucket, primary) {
		return nil
	}
	return fmt.Errorf("bucket %s: %w", bucket, ErrNotStopped)
}

// TrustCopy makes the copy in a cluster the primary of a stopped bucket. What lies in the
// other clusters, the former primary's among them, is compared with it as an import: equal
// objects are adopted, and whatever else is there stays, as conflicts.
func (m *Mover) TrustCopy(ctx context.Context, bucket, cluster string) error {
	snap := m.o.Router.Snapshot()
	from := snap.Primary(bucket)
	if !copyrows.SyncedEverywhere(snap.Copies(bucket), cluster) || snap.Elsewhere(bucket, cluster) {
		return fmt.Errorf("%s: %w", cluster, ErrNoWhole)
	}
	if _, err := m.o.Sites.Usable(cluster); err != nil {
		return err
	}
	err := m.o.Guard.Exclusively(ctx, bucket, cluster, swapPatience, func() error {
		if err := m.haltOthers(ctx, bucket, cluster); err != nil {
			return err
		}
		return m.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
			return rows, m.enthrone(bucket, from, cluster, rows)
		})
	})
	if err != nil {
		m.moveFailed(ctx, bucket)
		return err
	}
	m.o.Log.Info("people confirmed a bucket's copy; it is the primary now", zap.String("bucket", bucket), zap.String("from", from), zap.String("to", cluster))
	return m.dropRows(ctx, bucket, cluster)
}

// enthrone changes the rows of a stopped bucket so that a cluster's copies are the primary.
func (m *Mover) enthrone(bucket, from, cluster string, rows []state.Copy) error {
	if err := stopped(m, bucket, rows, from); err != nil {
		return err
	}
	if err := m.o.Control.MayWrite(); err != nil {
		return err
	}
	for i := range rows {
		c := &rows[i]
		c.Stopped, c.Moving = false, false
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
func (m *Mover) dropRows(ctx context.Context, bucket, cluster string) error {
	filter := state.PendingFilter{Bucket: bucket, Cluster: cluster}
	for {
		rows, err := m.o.Control.Store().ListPending(ctx, filter, state.PendingKey{}, scanBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		keys := make([]state.PendingKey, len(rows))
		for i, r := range rows {
			keys[i] = keyOf(r)
		}
		if err := m.o.Control.FinishPending(ctx, keys...); err != nil {
			return err
		}
	}
}

// identifyFormer finds out whether a former primary's bucket is the one that users wrote in
// until the move, before anything is carried over from it.
func (m *Mover) identifyFormer(ctx context.Context, c *carry) error {
	return m.scanner.buckets.identifyCopy(ctx, c.old, c.bucket)
}
