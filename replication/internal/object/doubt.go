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
// the primary lacks or shows to be older, people decide if there is a doubt. Only what is FaDO's there
// makes one: what others write at a copy says nothing of the primary.

const (
	// Doubtful is how many objects make a walk doubt.
	Doubtful = 10
	// mostLost bounds how many objects are asked for whose they are, the latest first: as many of
	// others' may lie above what FaDO copied.
	mostLost = 10_000
)

// Doubt is what a walk found of objects that the primary lacks.
type Doubt struct {
	newest time.Time        // when the latest of the primary's objects was written
	lost   []storage.Object // of those that only the copy has, the latest and perhaps more
}

// Seen notes an object of the primary; nil is none.
func (d *Doubt) Seen(o *storage.Object) {
	if o != nil && o.LastModified.After(d.newest) {
		d.newest = o.LastModified
	}
}

// Extra notes an object that only the copy has.
func (d *Doubt) Extra(o storage.Object) {
	if d.lost = append(d.lost, o); len(d.lost) == 2*mostLost {
		d.latest()
	}
}

// latest keeps the latest of the objects that only the copy has, and sorts them so.
func (d *Doubt) latest() []storage.Object {
	slices.SortStableFunc(d.lost, func(a, b storage.Object) int { return b.LastModified.Compare(a.LastModified) })
	d.lost = d.lost[:min(len(d.lost), mostLost)]
	return d.lost
}

// LostLatest reports whether what was written last at the primary is there no more, without a
// trace of a delete. ours reports whether an object of the copy is FaDO's.
func (d *Doubt) LostLatest(ctx context.Context, at Sides, bucket string, ours func(context.Context, storage.Object) (bool, error)) (bool, error) {
	if len(d.lost) < Doubtful {
		return false, nil
	}
	found, last := 0, ""
	for _, o := range d.latest() {
		dst, err := at.Dst.Stat(ctx, bucket, o.Key)
		if err != nil {
			return false, err
		}
		if dst == nil {
			continue
		}
		switch owns, err := ours(ctx, *dst); {
		case err != nil:
			return false, err
		case !owns:
			continue
		case !Modified(*dst).After(d.newest):
			return false, nil
		}
		if found++; found == 1 {
			last = o.Key
		}
		if found == Doubtful {
			deleted, err := deletedByUser(ctx, at, bucket, last)
			return err == nil && !deleted, err
		}
	}
	return false, nil
}

// deletedByUser reports whether the primary's bucket remembers that a key was deleted.
func deletedByUser(ctx context.Context, at Sides, bucket, key string) (bool, error) {
	if versioned, err := at.Src.HasHistory(ctx, bucket); err != nil || !versioned {
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
	return dst.Replica && src.LastModified.Truncate(time.Second).Before(Modified(dst).Truncate(time.Second))
}

// Modified is when users wrote an object's content: of a copy, when the object was written that it was made of.
func Modified(o storage.Object) time.Time {
	if !o.Source.ModTime.IsZero() {
		return o.Source.ModTime
	}
	return o.LastModified
}
