package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// claim makes room for an object and notes that it is on its way. The row is what keeps
// the room: it counts from here on.
func (p *pulling) claim(ctx context.Context, size, had int64) error {
	unlock, err := p.pulls.rooms.lock(ctx, p.ref.cluster)
	if err != nil {
		return err
	}
	defer unlock()
	if err := p.makeRoom(ctx, size-had); err != nil {
		return err
	}
	now := p.now()
	row := state.Pulled{
		Bucket: p.ref.bucket, Key: p.ref.key, Cluster: p.ref.cluster, Size: size, UsedAt: now, Until: now.Add(pullLease),
	}
	if err := p.ctl.PutPulled(ctx, row); err != nil {
		return err
	}
	p.row = row
	return nil
}

// victimsAtATime is how many objects are looked at, and perhaps removed, in one step of
// making room.
const victimsAtATime = 64

// makeRoom removes what was not used for longest until so many bytes fit.
func (p *pulling) makeRoom(ctx context.Context, need int64) error {
	capacity := int64(p.dst.decl.Capacity)
	if capacity == 0 || need <= 0 {
		return nil
	}
	room := capacity - p.ctl.UsedBytes()[p.ref.cluster]
	if need > room {
		return fmt.Errorf("%w: %d bytes, %d of %d not taken by copies", errNoRoom, need, max(0, room), capacity)
	}
	p.noteUses(ctx)
	for range 1000 {
		pulled, err := p.ctl.Store().PulledBytes(ctx)
		if err != nil {
			return err
		}
		short := need - (room - pulled[p.ref.cluster])
		if short <= 0 {
			return nil
		}
		victims, err := p.victims(ctx, short)
		if err != nil {
			return err
		}
		if len(victims) == 0 {
			break
		}
		if err := p.removePulled(ctx, victims...); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %d bytes, and what was copied on demand before is in use", errNoRoom, need)
}

// victims chooses the least recently used objects of the cluster whose sizes make up for
// what is short.
func (p *pulling) victims(ctx context.Context, short int64) (refs []objectRef, err error) {
	rows, err := p.ctl.Store().ListPulled(ctx, state.PulledFilter{Cluster: p.ref.cluster}, victimsAtATime)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		ref := objectRef{row.Bucket, row.Key, row.Cluster}
		if row.Key == "" || ref == p.ref || row.ETag == "" || p.pulls.busy(ref) || p.taken(ref) {
			continue
		}
		if refs = append(refs, ref); short <= row.Size {
			break
		}
		short -= row.Size
	}
	return refs, nil
}

// taken says whether a copy of the cluster's own has, or is getting, the object.
func (e *Engine) taken(ref objectRef) bool {
	st, primary, ok := e.ctl.Router().Snapshot().CopyState(ref.bucket, ref.key, ref.cluster)
	return ok && (primary || st <= catalog.CopySynced)
}

// bucketRow is what notes that FaDO made a physical bucket for objects copied on demand. It
// sorts before those objects.
func bucketRow(bucket, cluster string) state.Pulled {
	return state.Pulled{
		Bucket: bucket, Cluster: cluster, UsedAt: time.UnixMilli(1), Until: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func bucketKey(bucket, cluster string) state.PulledKey {
	return state.PulledKey{Bucket: bucket, Cluster: cluster}
}

// pulledIn tells of a bucket in a cluster whether FaDO made it for objects copied on
// demand, and whether there is any.
func (e *Engine) pulledIn(ctx context.Context, bucket, cluster string) (made, objects bool, err error) {
	rows, err := e.ctl.Store().ListPulled(ctx, state.PulledFilter{Bucket: bucket, Cluster: cluster}, 2)
	for _, row := range rows {
		made, objects = made || row.Key == "", objects || row.Key != ""
	}
	return made, objects, err
}

// makePulledBucket makes the physical bucket, versioned as the primary's is. That it is
// FaDO's is noted first, and taken back if it is not.
func (r *run) makePulledBucket(ctx context.Context, src, dst *site, bucket string) error {
	unlock, err := r.keys.lock(ctx, objectRef{bucket, "", dst.name})
	if err != nil {
		return err
	}
	defer unlock()
	if !r.writable(bucket, dst.name) {
		return errForbidden
	}
	versioned, err := r.keepsVersions(ctx, src, bucket)
	if err != nil {
		return err
	}
	before, _, err := r.pulledIn(ctx, bucket, dst.name)
	if err != nil {
		return err
	}
	if err := r.ctl.PutPulled(ctx, bucketRow(bucket, dst.name)); err != nil {
		return err
	}
	cctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	made, err := dst.client.EnsureBucket(cctx, bucket, versioned)
	if versioned && errors.Is(err, storage.ErrUnsupported) {
		made, err = dst.client.EnsureBucket(cctx, bucket, false)
	}
	r.observed(dst, err)
	if err != nil {
		return fmt.Errorf("making the bucket at %s: %w", dst.name, err) // the row stays: it may have been made
	}
	if !made && !before {
		return r.ctl.DeletePulled(ctx, bucketKey(bucket, dst.name))
	}
	return nil
}

// leaveToPulled notes that FaDO made a bucket whose last copy goes, if objects copied on
// demand stay in it.
func (r *run) leaveToPulled(ctx context.Context, bucket, cluster string) error {
	if _, objects, err := r.pulledIn(ctx, bucket, cluster); err != nil || !objects {
		return err
	}
	return r.ctl.PutPulled(ctx, bucketRow(bucket, cluster))
}

// takeAway removes an object that was copied on demand, if it is still that, and no copy
// there has taken it over. The caller holds the key's lock.
func (r *run) takeAway(ctx context.Context, ref objectRef, dst *site) error {
	op := &operation{bucket: ref.bucket, key: ref.key, to: ref.cluster, total: -1, allowed: func(s *routing.Snapshot) bool {
		st, primary, ok := s.CopyState(ref.bucket, ref.key, ref.cluster)
		return !ok || !primary && st > catalog.CopySynced
	}}
	opCtx, leave, err := r.gate.enter(ctx, op)
	if errors.Is(err, errForbidden) {
		return nil
	}
	if err != nil {
		return err
	}
	defer leave()
	o, err := r.stat(opCtx, dst, ref.bucket, ref.key)
	if errors.Is(err, storage.ErrNoBucket) {
		return nil
	}
	if err != nil || o == nil {
		return err
	}
	if known, ok := r.ctl.Router().Pulled.Get(ref.bucket, ref.key, ref.cluster); !ok || !pulledIs(known, *o) {
		r.log.Warn("an object stays where one was copied on demand: it is not FaDO's any more", refFields(ref, nil)...)
		return nil
	}
	versioned, err := r.keepsVersions(opCtx, dst, ref.bucket)
	if err != nil {
		return err
	}
	_, err = r.removeForGood(opCtx, dst, ref, *o, versioned)
	return err
}

// dropPulled removes an object's row, and with the last one of a bucket FaDO made in a
// cluster the bucket, unless copies are there, whose it becomes.
func (r *run) dropPulled(ctx context.Context, ref objectRef) error {
	err := r.ctl.DeletePulled(ctx, state.PulledKey{Bucket: ref.bucket, Key: ref.key, Cluster: ref.cluster})
	if err != nil {
		return err
	}
	return r.dropPulledBucket(ctx, ref.bucket, ref.cluster)
}

func (r *run) dropPulledBucket(ctx context.Context, bucket, cluster string) error {
	unlock, err := r.keys.lock(ctx, objectRef{bucket, "", cluster})
	if err != nil {
		return err
	}
	defer unlock()
	made, objects, err := r.pulledIn(ctx, bucket, cluster)
	if err != nil || !made || objects {
		return err
	}
	handed, err := r.handBucketOver(ctx, bucket, cluster)
	if err != nil {
		return err
	}
	if !handed {
		dst, err := r.sites.usable(cluster)
		if err != nil {
			return err
		}
		if err := r.dropBucket(ctx, dst, bucket); err != nil {
			return err
		}
	}
	return r.ctl.DeletePulled(ctx, bucketKey(bucket, cluster))
}

// handBucketOver notes with the copies a bucket has in a cluster that FaDO made the
// physical bucket; false if there are none.
func (r *run) handBucketOver(ctx context.Context, bucket, cluster string) (handed bool, err error) {
	err = r.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
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

func refFields(ref objectRef, err error) []zap.Field {
	return []zap.Field{
		zap.String("bucket", ref.bucket), zap.String("key", ref.key), zap.String("cluster", ref.cluster), zap.Error(err),
	}
}
