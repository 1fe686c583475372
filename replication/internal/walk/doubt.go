package walk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What makes a scan doubt that the primary is the one it was, where the storages don't tell: it
// went back in time, as one that was restored from a backup, or whose directory is not mounted,
// does. Users replace objects by newer ones, and what they delete is not all that was written
// last. Before a scan has anything done about such objects, people decide.

// doubtful is how many objects make a scan doubt.
const doubtful = 10

// doubt is what a scan found that may mean that the primary went back in time.
type doubt struct {
	older  []state.Pending  // objects that the primary has an older version of than its copy
	newest time.Time        // when the latest of the primary's objects was written
	lost   []storage.Object // of those that only the copy has, the latest, sorted so
}

// seen notes an object of the primary.
func (d *doubt) seen(o *storage.Object) {
	if o != nil && o.LastModified.After(d.newest) {
		d.newest = o.LastModified
	}
}

// extra notes an object that only the copy has.
func (d *doubt) extra(o storage.Object) {
	i, _ := slices.BinarySearchFunc(d.lost, o, func(a, b storage.Object) int { return b.LastModified.Compare(a.LastModified) })
	if i >= doubtful {
		return
	}
	d.lost = slices.Insert(d.lost, i, o)
	d.lost = d.lost[:min(len(d.lost), doubtful)]
}

// mayBeOlder reports whether a pair is to be looked at because the primary's object may be
// older than what the copy was made of: the copy's own time is not before that.
func mayBeOlder(p listing.Pair) bool {
	return p.Src != nil && p.Dst != nil && p.Src.LastModified.Before(p.Dst.LastModified)
}

// madeOf is when the object that a copy was made of was written.
func madeOf(dst storage.Object) time.Time {
	if !dst.Source.ModTime.IsZero() {
		return dst.Source.ModTime
	}
	return dst.LastModified
}

// isOlder reports whether the primary's object is older than what a copy that FaDO made was
// made of.
func isOlder(src, dst storage.Object) bool {
	return dst.Replica && src.LastModified.Truncate(time.Second).Before(madeOf(dst).Truncate(time.Second))
}

// doubts reports whether the scan is one that may doubt.
func (s *scan) doubts() bool { return !s.anywhere && !s.row.Trusts }

// olderAt puts a key aside whose object at the primary is older than its copy.
func (s *scan) olderAt(p listing.Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found++
	s.doubt.older = append(s.doubt.older, s.rowOf(p.Key, sizeOf(p.Src)))
}

// rolledBack stops the bucket if too many of the primary's objects are older than their
// copies.
func (s *scan) rolledBack(ctx context.Context) error {
	s.mu.Lock()
	n := len(s.doubt.older)
	s.mu.Unlock()
	if n < doubtful {
		return nil
	}
	return s.o.Buckets.Identities.StopForGood(ctx, s.id.Bucket, fmt.Sprintf(
		"%d objects in %s are older than what their copies in %s were made of: it may have been restored from a backup", n, s.src.Name(), s.id.Cluster))
}

// lostLatest stops the bucket if what was written last at the primary is there no more,
// without a trace of a delete.
func (s *scan) lostLatest(ctx context.Context) error {
	if len(s.doubt.lost) < doubtful || s.tripped || !s.doubts() {
		return nil
	}
	for _, o := range s.doubt.lost {
		dst, err := s.dst.Stat(ctx, s.id.Bucket, o.Key)
		if err != nil {
			return err
		}
		if dst == nil || !madeOf(*dst).After(s.doubt.newest) {
			return nil
		}
	}
	deleted, err := s.deletedByUser(ctx, s.doubt.lost[0].Key)
	if err != nil || deleted {
		return err
	}
	return s.o.Buckets.Identities.StopForGood(ctx, s.id.Bucket, fmt.Sprintf(
		"what was written last is in %s and no longer in %s, and it lacks %d objects: it may be another bucket, or have been restored from a backup",
		s.id.Cluster, s.src.Name(), s.deleted))
}

// deletedByUser reports whether the primary's bucket remembers that a key was deleted.
func (s *scan) deletedByUser(ctx context.Context, key string) (bool, error) {
	if versioned, err := s.src.KeepsVersions(ctx, s.id.Bucket); err != nil || !versioned {
		return false, err
	}
	cctx, cancel := s.src.Call(ctx)
	defer cancel()
	v, err := s.src.Reader().Version(cctx, s.id.Bucket, key, "")
	s.src.Observed(err)
	return v.Deleted, err
}

// emptied puts a copy back to its first sync that lost most of its objects: with one row for
// each of them it would cost memory and a place in the store for as long as they are missing,
// and it is no hit for them anyway.
func (s *scan) emptied(ctx context.Context) error {
	s.mu.Lock()
	missing := s.missing
	s.mu.Unlock()
	if missing <= s.o.ScanMissing || 2*missing < s.srcSums.Objects || s.anywhere {
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
