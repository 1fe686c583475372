package object

import (
	"fmt"
	"strings"
	"time"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Late deletes: what users deleted at a former primary around its move, and FaDO still has at the new one.
// Where they are too many (see [Deletes]) they are held as others are, by rows about the former
// primary, which lacks the objects.
//
// Invariant: until people decide, the objects stay at the new primary and are not copied back, and the primary stays
// where it is: a copy elsewhere may have another time, so that nothing would tell it from what users wrote since.
// What says so is the name in the row, which outlives the hold: events and scans end that. Such a delete is of
// the one object that was found at the new primary then, and which its row names: if users write
// another one there, or delete it, nothing is left to decide. Confirmed, it is deleted at the primary, and all
// copies follow; rejected, it is copied back. Either way the row has another name from then on ([LetGo]).

// Names of late deletes' objects, which no object at a copy has: lateMark begins those that people have to
// decide about, letGo is any that they have decided about.
const (
	lateMark state.Foreign = "at the primary: "
	letGo    state.Foreign = "decided"
)

// ErrLate says that a late delete waits for people.
var ErrLate = fmt.Errorf("it was deleted there around the move of the primary; %w", ErrHeld)

// LateOf names an object at the primary whose delete is late.
func LateOf(o storage.Object) state.Foreign { return lateMark + ForeignOf(o) }

// IsLate reports whether a row is of a late delete that people have to decide about. One that an event has just
// raised, or whose storage is away since, is not held now: it is held again.
func IsLate(row state.Pending) bool { return namesLate(row.Foreign) }

func namesLate(f state.Foreign) bool { return strings.HasPrefix(string(f), string(lateMark)) }

// LetGo is the row of a late delete once people decided: what the primary shows counts.
func LetGo(row state.Pending) state.Pending {
	row.Hold, row.Foreign, row.Error, row.Attempts, row.NextAttempt = state.HoldNone, letGo, "", 0, time.Time{}
	return row
}

// StillLate reports whether what the primary has now is what a late delete was of, by a listing or by a HEAD.
func StillLate(f state.Foreign, o *storage.Object) bool { return o != nil && f == LateOf(*o) }
