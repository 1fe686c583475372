package reason

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/state"
)

// Reason is one thing that keeps a bucket from being ok.
type Reason struct {
	Code Code
	Text string // a sentence
	// Cluster is the one it is about, if it is about one.
	Cluster string
	// Since when it is so; zero where that is not known.
	Since time.Time
}

// Code says what a Reason is about, to programs.
type Code string

// The codes.
const (
	Found       Code = "found"        // by what looks after buckets; the sentence tells
	HeldDeletes Code = "held-deletes" // by the delete-storm breaker
	Failing     Code = "failing"      // objects that are tried again
	CopyFailed  Code = "copy-failed"
	StorageDown Code = "storage-down"
	Conflict    Code = "conflict"
	NoPrimary   Code = "no-primary"
	CopyState   Code = "copy-state" // a copy is on its way in or out
	Pending     Code = "pending"    // objects are on their way
	TooFew      Code = "too-few-clusters"
	Full        Code = "storage-full" // no room for a copy, or for objects of it
	Damaged     Code = "damaged"      // bytes are not what a storage acknowledged, and could not be repaired
	KeyRefused  Code = "key-refused"  // a storage never takes an object
	// HiddenHistory: a copy can't leave for older versions that may be in no other.
	HiddenHistory Code = "hidden-history"
	// Stopped: the primary's storage may not be the one it was, and people have to say which side is right.
	Stopped Code = "stopped"
)

// codes are those of the causes that have one; objects that fail for others are Failing.
var codes = map[state.Cause]Code{
	state.CauseDown:    StorageDown,
	state.CauseFull:    Full,
	state.CauseRefused: KeyRefused,
	state.CauseCorrupt: Damaged,
}

// Of says what of a copy's pending objects does not get done by itself, or not now: each code once. It is told
// since when the copy's storage is down; where it is not, objects that fail since one is wait for another.
func Of(l state.Backlog, down time.Time) (why []Reason) {
	if l.HeldDeletes > 0 {
		why = append(why, Reason{HeldDeletes, fmt.Sprintf("%s held in %s: more than max_deletes", countAre(l.HeldDeletes, "delete"), l.Cluster), l.Cluster, l.OldestHeld})
	}
	if l.Failing == 0 {
		return why
	}
	some := Count(l.Failing, "object")
	if len(l.Causes) > 1 {
		some = "some of " + some
	}
	for _, c := range l.Causes {
		code, since := codes[c.Cause], c.Oldest
		switch {
		case code == "", code == StorageDown && down.IsZero():
			code = Failing
		case code == StorageDown: // the objects may have waited before
			since = down
		}
		r := Reason{code, fmt.Sprintf("%s can't be brought to %s yet: %s", some, l.Cluster, c.Error), l.Cluster, since}
		switch i := slices.IndexFunc(why, func(r Reason) bool { return r.Code == code }); {
		case i < 0:
			why = append(why, r)
		case r.Since.Before(why[i].Since):
			why[i] = r
		}
	}
	return why
}

// Texts joins the sentences of reasons.
func Texts(reasons []Reason) string {
	all := make([]string, len(reasons))
	for i, r := range reasons {
		all[i] = r.Text
	}
	return strings.Join(all, "; ")
}

// Count is a number with its noun, as people write it: "1 object", "2 objects".
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func countAre(n int64, noun string) string {
	if n == 1 {
		return Count(n, noun) + " is"
	}
	return Count(n, noun) + " are"
}
