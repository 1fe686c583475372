package object

import (
	"context"
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Versions that users remove from the primary by their IDs, for good.
//
// Invariant: a version goes from a copy for good only on the word of the primary's storage that it
// removed that very version, which is an event of its listener, and then only if
//
//   - the primary has it not when asked: by its answer about that ID, and by its listing of the key;
//   - what the copy has under that ID is what FaDO copied as that version, by its mark, or a delete marker;
//   - both buckets are those that the rows speak of;
//   - the breaker lets it through: a key whose versions go counts as a delete;
//   - the copy shows the same without it, or what the primary shows.
//
// That a version is not there is no reason by itself, no matter who finds out: it looks the same where a storage
// was restored from a backup, was replaced, or never had it, and the copy's may be the last one. So
// what a listener missed stays at the copies.

// goneVersions are those of a task's key that the primary's storage told it has removed.
type goneVersions struct {
	Task
	o    *Options
	hist *Histories
	pass *guard.Pass
	at   Sides
	id   ids.Copy
	// row reads the copy's row, and identified finds out whether both buckets are those of the rows.
	row        func(context.Context) (state.Copy, error)
	identified func(context.Context) error
}

// drop removes them from the copy. dropped is false if they are still there, because the copy would show
// something else without them.
func (s *goneVersions) drop(ctx context.Context) (dropped bool, err error) {
	if s.Gone == "" {
		return true, nil
	}
	if kept, err := s.hist.keeps(ctx, s.at, s.Bucket, s.Key); err != nil || !kept {
		return true, err
	}
	ours, err := HistoryAt(ctx, s.at.Dst, s.Bucket, s.Key, storage.MaxHistory)
	if err != nil {
		return false, err
	}
	theirs, err := HistoryAt(ctx, s.at.Src, s.Bucket, s.Key, storage.MaxHistory)
	if err != nil || theirs.Cut {
		return true, err
	}
	gone, err := s.proven(ctx, ours.Versions, theirs.Versions)
	if err != nil || len(gone) == 0 {
		return true, err
	}
	left := slices.DeleteFunc(slices.Clone(ours.Versions), func(v storage.Version) bool { return hasID(gone, v.VersionID) })
	if !showsSame(left, ours.Versions) && !showsSame(left, theirs.Versions) {
		return false, nil
	}
	if err := s.identified(ctx); err != nil {
		return false, err
	}
	return true, s.remove(ctx, gone, ours.Versions, left)
}

// proven returns those of the copy's versions for good that the invariant is true of.
func (s *goneVersions) proven(ctx context.Context, ours, theirs []storage.Version) (gone []storage.Version, err error) {
	for _, v := range ours {
		if nullID(v.VersionID) || !s.Gone.Has(v.VersionID) || hasID(theirs, v.VersionID) {
			continue
		}
		_, there, err := versionAt(ctx, s.at.Src, s.Bucket, v)
		if err != nil {
			return nil, err
		}
		copied, here, err := versionAt(ctx, s.at.Dst, s.Bucket, v)
		if err != nil {
			return nil, err
		}
		if !there && here && (copied.Deleted || copied.Replica && copied.ETag == v.ETag) {
			gone = append(gone, v)
		}
	}
	return gone, nil
}

// versionAt looks at one version by its ID.
func versionAt(ctx context.Context, at *site.Site, bucket string, v storage.Version) (found storage.Version, there bool, err error) {
	ctx, cancel := at.Call(ctx)
	defer cancel()
	found, err = at.Reader().Version(ctx, bucket, v.Key, v.VersionID)
	at.Observed(err)
	return found, found.Exists(), err
}

// remove removes versions that have gone at the primary, if the breaker lets it.
func (s *goneVersions) remove(ctx context.Context, gone, ours, left []storage.Version) error {
	row, err := s.row(ctx)
	if err != nil {
		return err
	}
	if !s.o.Deletes.Take(ctx, s.id, row) {
		s.o.Deletes.Hold(ctx, s.id)
		return ErrHeld
	}
	err = DropVersions(ctx, s.pass, s.at.Dst, gone)
	if LosesHistory(err) || errors.Is(err, storage.ErrLocked) {
		s.o.Log.Warn("versions that were removed from the primary stay at a copy", zap.String("bucket", s.Bucket),
			zap.String("key", s.Key), zap.String("cluster", s.Cluster), zap.Error(err))
		return nil
	}
	if err == nil && !s.Counted {
		was, is := shownOf(ours), shownOf(left)
		s.o.Copies.Tally(s.id, copies.Delta{Objects: is.Objects - was.Objects, Bytes: is.Bytes - was.Bytes})
	}
	return err
}

func hasID(vs []storage.Version, id string) bool {
	return slices.ContainsFunc(vs, func(v storage.Version) bool { return v.VersionID == id })
}

// showsSame reports whether two lists of a key's versions, newest first, show the same version, or nothing.
func showsSame(a, b []storage.Version) bool {
	if shows(a) != shows(b) {
		return false
	}
	return !shows(a) || storage.Holds(b[:1], a[0])
}

func shows(vs []storage.Version) bool { return len(vs) > 0 && !vs[0].Deleted }

// shownOf counts the object that versions show.
func shownOf(vs []storage.Version) copies.Delta {
	if !shows(vs) {
		return copies.Delta{}
	}
	return copies.Delta{Objects: 1, Bytes: vs[0].Size}
}
