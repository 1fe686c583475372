package pull

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// buckets are the physical buckets that FaDO makes for objects copied on demand. A row
// without a key says that it made one.
type buckets struct{ o *Options }

// madeRow is what notes that FaDO made a physical bucket. It never expires, and sorts before
// the bucket's objects.
func madeRow(bucket, cluster string) state.Pulled {
	return state.Pulled{
		Bucket: bucket, Cluster: cluster, UsedAt: time.UnixMilli(1), Until: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func madeKey(bucket, cluster string) state.PulledKey {
	return state.PulledKey{Bucket: bucket, Cluster: cluster}
}

// state tells of a bucket in a cluster whether FaDO made it for objects copied on demand,
// and whether there are any.
func (b buckets) state(ctx context.Context, bucket, cluster string) (made, objects bool, err error) {
	rows, err := b.o.Store().Pulls().ListPulled(ctx, state.PulledFilter{Bucket: bucket, Cluster: cluster}, 2)
	for _, row := range rows {
		made, objects = made || row.Key == "", objects || row.Key != ""
	}
	return made, objects, err
}

// create makes the physical bucket for an operation's object, versioned as the primary's is.
// That it is FaDO's is stored first, and taken back if it is not.
func (b buckets) create(ctx context.Context, pass *guard.Pass, at object.Sides) error {
	bucket, cluster := pass.Op().Bucket, at.Dst.Name()
	unlock, err := b.o.Guard.Lock(ctx, ids.ObjectIn(bucket, "", cluster))
	if err != nil {
		return err
	}
	defer unlock()
	if !guard.AnyRule(bucket, cluster)(b.o.Router.Snapshot()) {
		return guard.ErrForbidden
	}
	versioned, err := at.Src.KeepsVersions(ctx, bucket)
	if err != nil {
		return err
	}
	before, _, err := b.state(ctx, bucket, cluster)
	if err != nil {
		return err
	}
	if err := b.o.Rows.Put(ctx, madeRow(bucket, cluster)); err != nil {
		return err
	}
	made, err := b.ensure(ctx, pass, at, versioned)
	if err != nil {
		return fmt.Errorf("making the bucket at %s: %w", cluster, err) // the row stays: it may have been made
	}
	if !made && !before {
		return b.o.Rows.Delete(ctx, madeKey(bucket, cluster))
	}
	return nil
}

// ensure sends the request; a storage that keeps no versions gets a bucket without.
func (b buckets) ensure(ctx context.Context, pass *guard.Pass, at object.Sides, versioned bool) (made bool, err error) {
	w, err := pass.Writer(at.Dst)
	if err != nil {
		return false, err
	}
	ctx, cancel := at.Dst.Call(ctx)
	defer cancel()
	made, err = w.EnsureBucket(ctx, pass.Op().Bucket, versioned)
	if versioned && errors.Is(err, storage.ErrUnsupported) {
		made, err = w.EnsureBucket(ctx, pass.Op().Bucket, false)
	}
	at.Dst.Observed(err)
	return made, err
}

// leaveTo notes that FaDO made a bucket whose last copy goes, if objects copied on demand
// stay in it.
func (b buckets) leaveTo(ctx context.Context, bucket, cluster string) error {
	if _, objects, err := b.state(ctx, bucket, cluster); err != nil || !objects {
		return err
	}
	return b.o.Rows.Put(ctx, madeRow(bucket, cluster))
}

// dropIfLast removes a bucket that FaDO made when none of its objects is left there, unless
// copies are, whose it becomes.
func (b buckets) dropIfLast(ctx context.Context, bucket, cluster string) error {
	unlock, err := b.o.Guard.Lock(ctx, ids.ObjectIn(bucket, "", cluster))
	if err != nil {
		return err
	}
	defer unlock()
	made, objects, err := b.state(ctx, bucket, cluster)
	if err != nil || !made || objects {
		return err
	}
	handed, err := b.handOver(ctx, bucket, cluster)
	if err != nil {
		return err
	}
	if !handed {
		dst, err := b.o.Sites.Usable(cluster)
		if err != nil {
			return err
		}
		if err := b.o.Buckets.Drop(ctx, dst, bucket); err != nil {
			return err
		}
	}
	return b.o.Rows.Delete(ctx, madeKey(bucket, cluster))
}

// handOver notes with the copies a bucket has in a cluster that FaDO made the physical
// bucket; false if there are none.
func (b buckets) handOver(ctx context.Context, bucket, cluster string) (handed bool, err error) {
	err = b.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		handed = false
		for i := range rows {
			if rows[i].Cluster == cluster {
				rows[i].MadeBucket, handed = true, true
			}
		}
		return rows, nil
	})
	return handed, err
}
