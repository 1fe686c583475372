package jobs

import (
	"context"
	"fmt"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/object"
)

// Decisions is what people decide about buckets that FaDO does not decide by itself: deletes that
// the breaker holds, conflicts, a primary that may not be what it was, history that keeps a copy.
type Decisions struct{ o *Options }

// MaxDeletes are the bounds of the breaker that are in force.
func (d *Decisions) MaxDeletes() object.MaxDeletes { return d.o.Deletes.Bounds() }

// Deletes applies the deletes the breaker holds for a bucket, and returns how many. Or, if they are not
// to be applied, it copies the objects back to the primary, each from a copy that has it, and returns how
// many deletes that settled. Nothing that is at the primary is overwritten. The hold ends when all are back;
// after an error it stays, and the same call resumes.
func (d *Decisions) Deletes(ctx context.Context, bucket string, apply bool) (int, error) {
	if apply {
		return confirmDeletes(ctx, d.o, bucket)
	}
	return rejectDeletes(ctx, d.o, bucket)
}

// Conflicts lists the keys of a bucket that are in conflict, in order, behind one ("" for all)
// and at most limit, with what the storages concerned hold now: the primary first. A
// cluster without the object, or whose storage can't be asked, is left out of a key's
// copies. more says that there are further keys.
func (d *Decisions) Conflicts(ctx context.Context, bucket, after string, limit int) (list []Conflict, more bool, err error) {
	return listConflicts(ctx, d.o, bucket, after, limit)
}

// Resolve settles conflicts of a bucket as an operator decided. A key that can't be
// settled is refused and left unchanged; the others are settled. control.ErrNotFound: there
// is no such bucket, or no conflict about the key.
func (d *Decisions) Resolve(ctx context.Context, bucket string, v Verdict) (Resolution, error) {
	return resolve(ctx, d.o, bucket, v)
}

// Trust takes people's word on a bucket that is stopped because the storage of its primary may
// not be the one it was: what lies in a cluster is right. If that is the primary's, copies
// follow it; otherwise the copy there becomes the primary. [move.ErrNotStopped], [move.ErrNoWhole]: the
// word can't be taken.
func (d *Decisions) Trust(ctx context.Context, bucket, cluster string) error {
	snap := d.o.Router.Snapshot()
	if snap.Bucket(bucket) == nil {
		return fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	err := d.o.Hooks.Running()
	if err != nil {
		return err
	}
	if cluster == snap.Of(bucket).Primary() {
		err = d.o.Moves.TrustPrimary(ctx, bucket)
	} else {
		err = d.o.Moves.TrustCopy(ctx, bucket, cluster)
	}
	if err != nil {
		return err
	}
	d.o.Hooks.IsThere(bucket)
	return d.o.Hooks.Sync(ctx, bucket)
}

// ReleaseHistory removes for good what the copies of a bucket in a cluster hide that are being removed:
// older versions, which may be in no copy that remains and keep a copy from leaving that the policy does not
// allow any more. It returns of how many objects there were some. [evict.ErrNoneLeaves].
func (d *Decisions) ReleaseHistory(ctx context.Context, bucket, cluster string) (int, error) {
	if d.o.Router.Snapshot().Bucket(bucket) == nil {
		return 0, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	if err := d.o.Hooks.Running(); err != nil {
		return 0, err
	}
	n, err := d.o.Evictor.ReleaseHistory(ctx, bucket, cluster)
	if err != nil {
		return n, err
	}
	return n, d.o.Hooks.Sync(ctx, bucket)
}
