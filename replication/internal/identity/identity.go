package identity

import (
	"time"

	"github.com/fado-project/fado/state"
)

// Identity says which physical bucket facts were learnt at, or which one is there.
type Identity struct {
	At   int64     // address of the storage; see catalog.Storage.Address. 0: not known
	Born time.Time // when the bucket was made; zero where the storage does not tell
}

// nowhere is the address of what no storage is any more: addresses are odd.
const nowhere = 2

// Nowhere is the identity of facts that hold at no storage, whatever it looks like.
var Nowhere = Identity{At: nowhere}

// Of returns where a copy's facts were learnt.
func Of(c state.Copy) Identity { return Identity{c.At, c.Born} }

// OfTarget returns where what a purge is to remove was learnt.
func OfTarget(t state.PurgeTarget) Identity { return Identity{t.At, t.Born} }

// Put notes in a row where its facts were learnt.
func (i Identity) Put(c *state.Copy) { c.At, c.Born = i.At, i.Born }

// Verdict says what comparing a known identity with the present one found.
type Verdict uint8

// The values of Verdict.
const (
	Same    Verdict = iota
	Unknown         // nothing was noted yet
	Other           // it is another bucket, or nothing proves that it is the same
)

// Compare tells whether what is there now is what facts were learnt at.
func (i Identity) Compare(now Identity) Verdict {
	switch {
	case i.At == 0:
		return Unknown
	case i.At == nowhere:
		return Other
	case !i.Born.IsZero() && !now.Born.IsZero() && !sameMoment(i.Born, now.Born):
		return Other
	case i.At == now.At:
		return Same
	case !i.Born.IsZero() && sameMoment(i.Born, now.Born) && i.Born.Nanosecond() != 0:
		return Same // by another name
	default:
		return Other
	}
}

// Learnt is the identity to note once now was found to be the same: a storage that tells less
// than before takes nothing away.
func (i Identity) Learnt(now Identity) Identity {
	if now.Born.IsZero() && i.At == now.At {
		now.Born = i.Born
	}
	return now
}

// Differ reports whether birth dates prove that two buckets are not one.
func Differ(a, b Identity) bool {
	return !a.Born.IsZero() && !b.Born.IsZero() && !sameMoment(a.Born, b.Born)
}

// sameMoment compares moments as stores keep them.
func sameMoment(a, b time.Time) bool { return a.UnixMilli() == b.UnixMilli() }
