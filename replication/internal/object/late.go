package object

import (
	"context"
	"slices"
	"strings"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Late deletes: what users deleted at a former primary around its move, and FaDO still has at the new one.
// Where they are too many (see [Deletes]) they are held as others are, by rows about the former
// primary, which lacks the objects.
//
// Invariant: until people decide, the objects stay at the new primary and are not copied back. Such a delete is of
// the one object that was found at the new primary then, and which its row names: if users write
// another one there, or delete it, nothing is left to decide. Confirmed, it is deleted at the primary, and all
// copies follow; rejected, it is copied back.

// lateMark begins the names of late deletes' objects, which no object at a copy has.
const lateMark state.Foreign = "at the primary: "

// LateOf names an object at the primary whose delete is late.
func LateOf(o storage.Object) state.Foreign { return lateMark + ForeignOf(o) }

// IsLate reports whether a held row is of a late delete.
func IsLate(row state.Pending) bool {
	return row.Hold == state.HoldDeletes && strings.HasPrefix(string(row.Foreign), string(lateMark))
}

// StillLate reports whether what the primary has now is what a late delete was of, by a listing or by a HEAD.
func StillLate(f state.Foreign, o *storage.Object) bool { return o != nil && f == LateOf(*o) }

// lateBatch bounds the held rows that are read at a time.
const lateBatch = 512

// HoldsLate reports whether people have to decide about late deletes at a copy.
func (e *Settler) HoldsLate(ctx context.Context, id ids.Copy) (bool, error) {
	hold := state.HoldDeletes
	filter := state.PendingFilter{Bucket: id.Bucket, Cluster: id.Cluster, Hold: &hold}
	for rows, err := range state.PendingPages(ctx, e.o.Control.Store().Queue(), filter, lateBatch) {
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(rows, func(r state.Pending) bool { return IsLate(r) && strings.HasPrefix(r.Key, id.Prefix) }) {
			return true, nil
		}
	}
	return false, nil
}
