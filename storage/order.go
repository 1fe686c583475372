package storage

import (
	"cmp"
	"time"
)

// Version is one version of a key as the order of versions sees it: content, or a delete
// marker. The zero Version is nothing at all.
type Version struct {
	// Object of a delete marker has Key, VersionID and LastModified only.
	Object
	// Deleted: it is a delete marker.
	Deleted bool
	// Written is when a user wrote it, in milliseconds, by the clock of the storage where
	// it was written. Copies have the original's.
	Written time.Time
}

// Exists reports whether there is a version, be it a delete marker.
func (v Version) Exists() bool { return v.Deleted || v.ETag != "" }

// CompareVersions orders the versions of one key that were written in different places: it
// is negative if a is older than b, positive if it is newer, and 0 if they are copies of
// one. The last one in this order wins wherever anything may be written.
//
// The order goes by what a copy carries along wherever it is: the time of the original
// write, then content before a delete marker (a tie takes no data away), then the
// original's ETag and size. It is total, and the same whichever storages are asked and
// whichever copies of a version they show. Clocks that are wrong change who wins, never
// that all agree.
func CompareVersions(a, b Version) int {
	if !a.Exists() || !b.Exists() {
		return rank(a.Exists()) - rank(b.Exists())
	}
	return cmp.Or(
		a.Written.Compare(b.Written),
		rank(b.Deleted)-rank(a.Deleted),
		cmp.Compare(a.origin().ETag, b.origin().ETag),
		cmp.Compare(a.origin().Size, b.origin().Size),
	)
}

func rank(higher bool) int {
	if higher {
		return 1
	}
	return 0
}

// SameState reports whether two storages show the same under a key: a copy of one version, or
// nothing, whether a delete marker says so or not.
func SameState(a, b Version) bool {
	if a.ETag == "" && b.ETag == "" {
		return true
	}
	return CompareVersions(a, b) == 0
}

// origin is what the version is a copy of; itself if it is none.
func (v Version) origin() Source {
	if v.Source.ETag != "" {
		return v.Source
	}
	return Source{ETag: v.ETag, VersionID: v.VersionID, ModTime: v.Written, Size: v.Size, Attributes: v.Attributes}
}

// stampOn is the stamp of a copy of the version: its own, if it is a copy, or fresh with
// the time that counts.
func (v Version) stampOn(fresh Source) Source {
	if v.Source.ETag != "" {
		return v.Source
	}
	fresh.ModTime = v.Written
	return fresh
}

// Rewritten is the version as if it had been written again, at another time.
func (v Version) Rewritten(at time.Time) Version {
	v.Source = v.origin()
	v.Source.ModTime, v.Written = at, at
	return v
}

// written finds out when a user wrote an object.
func written(o Object) time.Time {
	t := o.LastModified
	if o.Source.ETag != "" && !o.Source.ModTime.IsZero() {
		t = o.Source.ModTime
	}
	return t.UTC().Truncate(time.Millisecond)
}

// afterVersion is the next moment the order of versions knows.
func afterVersion(t time.Time) time.Time { return t.Truncate(time.Millisecond).Add(time.Millisecond) }

// CoverTime is the time of a delete marker that covers a version and nothing newer.
func CoverTime(v Version) time.Time { return afterVersion(v.Written) }

// isNull reports whether a version ID is that of the null version, which MinIO does not
// name in headers.
func isNull(id string) bool { return id == "" || id == "null" }

func sameVersion(a, b string) bool { return a == b || (isNull(a) && isNull(b)) }
