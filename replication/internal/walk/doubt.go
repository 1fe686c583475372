package walk

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Before a scan or a first sync has anything done about objects that make it doubt the primary, people decide; see
// [object.Doubt].

// doubt is what a scan found that may mean that the primary went back in time.
type doubt struct {
	object.Doubt
	older []state.Pending // objects that the primary has an older version of than its copy
}

// stopOlder stops the bucket because of so many objects.
func stopOlder(ctx context.Context, w *pass, n int) error {
	return stop(ctx, w, fmt.Sprintf(
		"%d objects in %s are older than what their copies in %s were made of: it may have been restored from a backup", n, w.src.Name(), w.id.Cluster))
}

// stopLost stops the bucket because the primary lacks so many, those that were written last among them.
func stopLost(ctx context.Context, w *pass, n int64) error {
	return stop(ctx, w, fmt.Sprintf(
		"what was written last is in %s and no longer in %s, and it lacks %d objects: it may be another bucket, or have been restored from a backup",
		w.id.Cluster, w.src.Name(), n))
}

// stop stops the bucket. Where its primary has moved and a former one's last writes are yet to be brought
// along, what looks lost there is on its way: the pass ends with [object.ErrNotYet], and nothing is done
// about what it found.
func stop(ctx context.Context, w *pass, why string) error {
	rows, err := w.o.Copies.Of(ctx, w.id.Bucket)
	if err != nil {
		return err
	}
	if copyrows.CarryingOver(rows) {
		return fmt.Errorf("%w: the primary has moved to %s, and what was written last before is yet to be brought there", object.ErrNotYet, w.src.Name())
	}
	return w.o.Buckets.Identities.StopForGood(ctx, w.id.Bucket, why)
}

// ours reports whether an object of the copy is FaDO's.
func (w *pass) ours(ctx context.Context, o storage.Object) (bool, error) {
	ref := ids.ObjectIn(w.id.Bucket, o.Key, w.id.Cluster)
	foreign, err := w.o.Objects.Foreign(ctx, ref)
	if err != nil {
		return false, err
	}
	claim := object.Claim{
		By: w.o.Objects.Provenance, Bucket: ref.Bucket, Copy: w.known, MadeBucket: copyrows.MadeBucket(w.rows, ref.Cluster),
		At: object.Sides{Src: w.src, Dst: w.dst}, Foreign: foreign, OwnedUntil: object.OwnedUntil(w.row),
	}
	return claim.Owns(ctx, o.Key, o)
}

// mayBeOurs reports whether what the copy alone has under a key is FaDO's, as far as can be told: an object
// that can't be asked for counts as FaDO's.
func mayBeOurs(ctx context.Context, w *pass, key string) bool {
	dst, err := w.dst.Stat(ctx, w.id.Bucket, key)
	if err != nil || dst == nil {
		return true
	}
	owns, err := w.ours(ctx, *dst)
	return owns || err != nil
}

// doubts reports whether the pass is one that may doubt.
func (w *pass) doubts() bool { return !w.anywhere && !w.row.Trusts }

// rolledBack stops the bucket if too many of the primary's objects are older than their
// copies.
func (s *scan) rolledBack(ctx context.Context) error {
	s.found.mu.Lock()
	n := len(s.found.doubt.older)
	s.found.mu.Unlock()
	if n < object.Doubtful {
		return nil
	}
	return stopOlder(ctx, s.pass, n)
}

// lostLatest stops the bucket if what was written last at the primary is there no more,
// without a trace of a delete.
func (s *scan) lostLatest(ctx context.Context) error {
	if s.found.tripped || !s.doubts() {
		return nil
	}
	lost, err := s.found.doubt.LostLatest(ctx, object.Sides{Src: s.src, Dst: s.dst}, s.id.Bucket, s.ours)
	if err != nil || !lost {
		return err
	}
	return stopLost(ctx, s.pass, s.found.deleted)
}

// emptied puts a copy back to its first sync that lost most of its objects: with one row for
// each of them it would cost memory and a place in the store for as long as they are missing,
// and it is no hit for them anyway.
func (s *scan) emptied(ctx context.Context) error {
	s.found.mu.Lock()
	missing := s.found.missing
	s.found.mu.Unlock()
	if missing <= s.o.ScanMissing || 2*missing < s.by.srcSums.Objects || s.anywhere {
		return nil
	}
	s.o.Log.Warn("a copy lost most of its objects; it is synced from the beginning",
		zap.String("bucket", s.id.Bucket), zap.String("cluster", s.id.Cluster), zap.Int64("missing", missing))
	_, err := s.o.Copies.Amend(ctx, s.id, func(c *state.Copy) bool {
		if c.State != catalog.CopySynced || c.Primary {
			return false
		}
		copyrows.Resync(c)
		return true
	})
	if err != nil {
		return err
	}
	return object.ErrChanged
}
