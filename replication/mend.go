package replication

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// mend makes the physical buckets of a copy and its primary where they are missing, and
// has the copy's versioning follow the primary's. It says whether the copy's bucket had
// to be made. A primary's bucket that was there once and is not any more is never made
// again: an empty one in its place would look as if users had deleted everything.
func (r *run) mend(ctx context.Context, id copyID) (made bool, err error) {
	versioned, err := r.mendPrimary(ctx, id.bucket)
	if err != nil {
		return false, err
	}
	// Before the copy's bucket is touched: one that is suspended stays so.
	if err := r.mendVersions(ctx, id, r.ctl.Router().Snapshot().Primary(id.bucket), id.cluster); err != nil {
		return false, err
	}
	made, err = r.mendCopy(ctx, id, versioned || r.anywhere(id.bucket, id.prefix))
	if err != nil {
		return made, err
	}
	r.learn(ctx, id, versioned)
	return made, r.mendVersions(ctx, id, id.cluster)
}

// mendPrimary sees to the bucket at its primary and tells whether it keeps versions.
func (r *run) mendPrimary(ctx context.Context, bucket string) (versioned bool, err error) {
	rows, err := r.ledger.of(ctx, bucket)
	if err != nil {
		return false, err
	}
	primary := primaryOf(rows)
	s, err := r.sites.usable(primary)
	if err != nil {
		return false, err
	}
	cctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	versioned, err = s.client.Versioned(cctx, bucket)
	switch {
	case errors.Is(err, storage.ErrNoBucket) && everVerified(rows):
		err = fmt.Errorf("%w: %s has no bucket %s", errNoSource, primary, s.client.Physical(bucket))
		r.sourceMissing(bucket, err)
		return false, err
	case errors.Is(err, storage.ErrNoBucket):
		err = r.makeBucket(ctx, s, bucket, false)
	}
	r.observed(s, err)
	if err != nil {
		return false, fmt.Errorf("looking for the bucket at its primary %s: %w", primary, err)
	}
	r.ctl.SetIssue(bucket, "source", "")
	return versioned, r.noteSeen(ctx, bucket, rows)
}

// everVerified says whether the primary's bucket was seen, or compared with, before.
func everVerified(rows []state.Copy) bool {
	for _, c := range rows {
		if !c.VerifiedAt.IsZero() {
			return true
		}
	}
	return false
}

// noteSeen notes that the primary's bucket is there.
func (r *run) noteSeen(ctx context.Context, bucket string, rows []state.Copy) error {
	if everVerified(rows) {
		return nil
	}
	return r.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if rows[i].Primary && rows[i].VerifiedAt.IsZero() {
				rows[i].VerifiedAt = r.now()
			}
		}
		return rows, nil
	})
}

// mendCopy sees to the bucket of a copy.
func (r *run) mendCopy(ctx context.Context, id copyID, versioned bool) (made bool, err error) {
	s, err := r.sites.usable(id.cluster)
	if err != nil {
		return false, err
	}
	cctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	has, err := s.client.Versioned(cctx, id.bucket)
	switch {
	case errors.Is(err, storage.ErrNoBucket):
		made, err = true, r.makeBucket(ctx, s, id.bucket, versioned)
	case err == nil && versioned && !has:
		_, err = s.client.EnsureBucket(cctx, id.bucket, true)
	}
	r.observed(s, err)
	if errors.Is(err, storage.ErrUnsupported) {
		err = nil // no versions there: current objects are copied all the same
	}
	if err != nil {
		return made, fmt.Errorf("making the bucket at %s: %w", id.cluster, err)
	}
	return made, nil
}

// makeBucket makes a physical bucket. That it is FaDO's is noted first, and taken back
// if somebody else was faster, so that a kill in between leaves no bucket behind that
// FaDO would not remove; RemoveBucket only ever removes empty ones.
func (r *run) makeBucket(ctx context.Context, s *site, bucket string, versioned bool) error {
	if !r.writable(bucket, s.name) {
		return errForbidden
	}
	// One at a time: a bucket that FaDO made itself a moment ago is not somebody else's.
	unlock, err := r.keys.lock(ctx, objectRef{bucket, "", s.name})
	if err != nil {
		return err
	}
	defer unlock()
	rows, err := r.ledger.of(ctx, bucket)
	if err != nil {
		return err
	}
	if err := r.noteMade(ctx, bucket, s.name, true); err != nil {
		return err
	}
	cctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	made, err := s.client.EnsureBucket(cctx, bucket, versioned)
	if err != nil && versioned && errors.Is(err, storage.ErrUnsupported) {
		made, err = s.client.EnsureBucket(cctx, bucket, false)
	}
	if err != nil {
		return err
	}
	if !made {
		return r.noteMade(ctx, bucket, s.name, madeBucket(rows, s.name))
	}
	r.log.Info("made a bucket", zap.String("bucket", s.client.Physical(bucket)), zap.String("cluster", s.name))
	return nil
}

// writable says whether any rule of a bucket allows a cluster.
func (e *Engine) writable(bucket, cluster string) bool {
	snap := e.ctl.Router().Snapshot()
	for _, rule := range snap.Rules(bucket) {
		if snap.AllowsPolicy(rule.Policy, cluster) {
			return true
		}
	}
	return false
}

func (r *run) noteMade(ctx context.Context, bucket, cluster string, made bool) error {
	return r.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if rows[i].Cluster == cluster {
				rows[i].MadeBucket = made
			}
		}
		return rows, nil
	})
}

// learn notes what a copy's storages and bucket are found to be.
func (r *run) learn(ctx context.Context, id copyID, versioned bool) {
	primary := r.ctl.Router().Snapshot().Primary(id.bucket)
	for _, cluster := range []string{primary, id.cluster} {
		s, err := r.sites.usable(cluster)
		if err != nil {
			continue
		}
		if r.probeIn(ctx, s, id.bucket); cluster == primary {
			r.facts.note(bucketAt{id.bucket, s}, versioned)
		}
	}
}
