package object

import (
	"context"
	"slices"
	"time"

	"github.com/fado-project/fado/storage"
)

// What makes a walk doubt that the primary is the one it was, where the storages don't tell: it
// went back in time, as one that was restored from a backup, or whose directory is not mounted,
// does. Users replace objects by newer ones, and what they delete is not all that was written
// last.
//
// Invariant: before anything is removed from a copy, or replaced there, because of what a listing of
// the primary lacks or shows to be older, people decide if there is a doubt.

// Doubtful is how many objects make a walk doubt.
const Doubtful = 10

// Doubt is what a walk found of objects that the primary lacks.
type Doubt struct {
	newest time.Time        // when the latest of the primary's objects was written
	lost   []storage.Object // of those that only the copy has, the latest, sorted so
}

// Seen notes an object of the primary; nil is none.
func (d *Doubt) Seen(o *storage.Object) {
	if o != nil && o.LastModified.After(d.newest) {
		d.newest = o.LastModified
	}
}

// Extra notes an object that only the copy has.
func (d *Doubt) Extra(o storage.Object) {
	i, _ := slices.BinarySearchFunc(d.lost, o, func(a, b storage.Object) int { return b.LastModified.Compare(a.LastModified) })
	if i >= Doubtful {
		return
	}
	d.lost = slices.Insert(d.lost, i, o)
	d.lost = d.lost[:min(len(d.lost), Doubtful)]
}

// LostLatest reports whether what was written last at the primary is there no more, without a
// trace of a delete.
func (d *Doubt) LostLatest(ctx context.Context, at Sides, bucket string) (bool, error) {
	if len(d.lost) < Doubtful {
		return false, nil
	}
	for _, o := range d.lost {
		dst, err := at.Dst.Stat(ctx, bucket, o.Key)
		if err != nil || dst == nil || !madeOf(*dst).After(d.newest) {
			return false, err
		}
	}
	deleted, err := deletedByUser(ctx, at, bucket, d.lost[0].Key)
	return err == nil && !deleted, err
}

// deletedByUser reports whether the primary's bucket remembers that a key was deleted.
func deletedByUser(ctx context.Context, at Sides, bucket, key string) (bool, error) {
	if versioned, err := at.Src.KeepsVersions(ctx, bucket); err != nil || !versioned {
		return false, err
	}
	ctx, cancel := at.Src.Call(ctx)
	defer cancel()
	v, err := at.Src.Reader().Version(ctx, bucket, key, "")
	at.Src.Observed(err)
	return v.Deleted, err
}

// MayBeOlder reports whether a pair is to be looked at because the primary's object may be
// older than what the copy was made of: the copy's own time is not before that.
func MayBeOlder(src, dst *storage.Object) bool {
	return src != nil && dst != nil && src.LastModified.Before(dst.LastModified)
}

// IsOlder reports whether the primary's object is older than what a copy that FaDO made was
// made of.
func IsOlder(src, dst storage.Object) bool {
	return dst.Replica && src.LastModified.Truncate(time.Second).Before(madeOf(dst).Truncate(time.Second))
}

// madeOf is when the object that a copy was made of was written.
func madeOf(dst storage.Object) time.Time {
	if !dst.Source.ModTime.IsZero() {
		return dst.Source.ModTime
	}
	return dst.LastModified
}
