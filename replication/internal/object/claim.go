package object

import (
	"context"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Claim is what FaDO's claim on an object at a copy rests on.
type Claim struct {
	By         *Provenance
	Bucket     string
	Copy       catalog.Copy
	MadeBucket bool  // FaDO made the physical bucket
	At         Sides // the primary, and the copy
	// Foreign is what is on record as foreign under the key.
	Foreign state.Foreign
	// OwnedUntil is the copy's, read when it decides.
	OwnedUntil func(ctx context.Context) (time.Time, error)
}

// OwnedUntil returns a Claim's from a row that is known.
func OwnedUntil(row state.Copy) func(context.Context) (time.Time, error) {
	return func(context.Context) (time.Time, error) { return row.OwnedUntil, nil }
}

// Owns reports whether FaDO may replace or remove the object at the copy. An object with
// FaDO's mark is FaDO's if it was compared with the primary in this copy's life, or lies in
// a bucket that FaDO made; one without is if it was compared, which it was when it is
// older than the comparison and not on record as foreign, or when FaDO copied this
// very version from here a moment ago, while the bucket was written here. The mark is that
// of the very version, see package storage: users' server-side copies carry metadata along.
//
// What is on record as foreign is one object. Another one that stands under its key is FaDO's by
// its mark alone: FaDO wrote it once the foreign one had gone.
func (c Claim) Owns(ctx context.Context, key string, o storage.Object) (bool, error) {
	if c.Foreign == state.ForeignAny || c.Foreign == ForeignOf(o) {
		return false, nil
	}
	if c.compared(key) || c.MadeBucket {
		if ours, err := c.By.Marked(ctx, c.Bucket, c.At.Dst, o); err != nil || ours {
			return ours, err
		}
	}
	switch {
	case !c.compared(key) || c.Foreign != "":
		return false, nil
	case c.By.Gave(c.Bucket, key, c.At.Dst, c.At.Src, o):
		return true, nil
	}
	until, err := c.OwnedUntil(ctx)
	return err == nil && WrittenBefore(o, until), err
}

// ForeignOf names an object that is not FaDO's. Listings and HEADs tell the same name.
func ForeignOf(o storage.Object) state.Foreign {
	return state.Foreign(o.ETag + " of " + o.LastModified.UTC().Format(time.RFC3339))
}

// compared reports whether the key was compared with the primary since the copy began.
func (c Claim) compared(key string) bool {
	return c.Copy.Verified ||
		(c.Copy.State == catalog.CopySyncing && c.Copy.Cursor != "" && key <= c.Copy.Cursor)
}

// WrittenBefore reports whether an object was written before a moment, both by the clock
// of its storage. HEAD and Date headers tell whole seconds, so that the second of the
// moment itself does not count.
func WrittenBefore(o storage.Object, moment time.Time) bool {
	return !moment.IsZero() && o.LastModified.Before(moment.Truncate(time.Second))
}

// supersedes reports whether the primary's object is a newer version of a marked copy that
// an earlier life of the bucket left: replacing that loses nothing.
func supersedes(src, dst storage.Object, foreign bool) bool {
	was := dst.Source.ModTime
	if was.IsZero() {
		was = dst.LastModified
	}
	return dst.Replica && !foreign && src.LastModified.Truncate(time.Second).After(was)
}

func nullID(id string) bool { return id == "" || id == "null" }
