package storage

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// History is every version and delete marker of one key as a listing shows them, newest
// first. What only a look at each version tells (stamp, attributes) is not in it.
type History struct {
	Key      string
	Versions []Version
	// Cut: there are older ones than these.
	Cut bool
}

// MaxHistory bounds the versions of one key that are held at a time; older ones are cut off.
const MaxHistory = 100_000

// listedVersion is a version as a listing shows it.
func listedVersion(e s3.VersionEntry) Version {
	v := Version{
		Object:  Object{Key: e.Key, VersionID: e.ID, LastModified: e.LastModified},
		Deleted: e.DeleteMarker, Written: e.LastModified.Truncate(time.Millisecond),
	}
	if !e.DeleteMarker {
		v.Size, v.ETag = e.Size, sums.ETagOr(e.ETag, e.Size, e.LastModified)
	}
	return v
}

// History implements [Reader].
func (c versions) History(ctx context.Context, bucket, key string, limit int) (History, error) {
	entries, err := versionsOf(ctx, c.conn, bucket, key, limit)
	h := History{Key: key, Cut: len(entries) >= limit}
	if err != nil {
		return h, err
	}
	entries = entries[:min(limit, len(entries))]
	h.Versions = make([]Version, len(entries))
	for i, e := range entries {
		h.Versions[i] = listedVersion(e)
	}
	return h, nil
}

// Histories implements [Reader].
func (c versions) Histories(ctx context.Context, bucket, prefix string) iter.Seq2[History, error] {
	return func(yield func(History, error) bool) {
		var h History
		for e, err := range c.wire.Versions(ctx, c.Physical(bucket), prefix, 0) {
			if err != nil {
				yield(History{}, err)
				return
			}
			if len(h.Versions) > 0 && e.Key != h.Key {
				if !yield(h, nil) {
					return
				}
				h = History{}
			}
			if h.Key, h.Cut = e.Key, len(h.Versions) >= MaxHistory; !h.Cut {
				h.Versions = append(h.Versions, listedVersion(e))
			}
		}
		if len(h.Versions) > 0 {
			yield(h, nil)
		}
	}
}

// Holds reports whether a version, or a copy that keeps what it is, is among others of its
// key: by its ID, or where that is another one or none, by the moment it was written at. All
// are as listings of storages that keep times show them.
func Holds(there []Version, v Version) bool {
	return slices.ContainsFunc(there, func(t Version) bool { return sameListed(t, v) })
}

func sameListed(a, b Version) bool {
	if a.Deleted != b.Deleted || a.ETag != b.ETag || a.Size != b.Size {
		return false
	}
	return !isNull(a.VersionID) && a.VersionID == b.VersionID || a.Written.Equal(b.Written)
}
