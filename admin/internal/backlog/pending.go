package backlog

import (
	"slices"
	"time"

	"github.com/fado-project/fado/state"
)

// PendingPageView answers GET /fado/buckets/{name}/pending.
type PendingPageView struct {
	// The rows, by key and cluster.
	Pending []PendingRowView `json:"pending"`
	// What to give as after for the next page; "" at the end.
	Next string `json:"next"`
}

// PendingRowView is an object known to differ in one cluster.
type PendingRowView struct {
	Key     string    `json:"key"`     // the object's key
	Cluster string    `json:"cluster"` // where it differs
	Size    int64     `json:"size"`    // its bytes, as far as known
	Since   time.Time `json:"since"`   // since when
	// Why it is not worked on: conflict, deletes (both wait for people), or "".
	Hold     string `json:"hold"`
	Attempts int    `json:"attempts"` // how many failed
	// When it is tried next; null where that is now, or waits for people.
	NextAttempt *time.Time `json:"next_attempt"`
	Error       string     `json:"error"`      // why the last attempt failed
	Cause       string     `json:"cause"`      // the kind of error, of those that metrics count; "" where it is not known
	Background  bool       `json:"background"` // whether a comparison found it; such rows come after others
	Node        string     `json:"node"`       // the instance that works on it; "" for none
}

// HeldDeletesView answers GET /fado/buckets/{name}/deletes.
type HeldDeletesView struct {
	// The bounds that the deletes of a copy exceeded: each that is given.
	Bound MaxDeletesView `json:"bound"`
	// The copies whose deletes are held.
	Copies []HeldCopyView `json:"copies"`
	// Some of the deletes, by key and cluster.
	Deletes []HeldDeleteView `json:"deletes"`
	// What to give as after for the next page; "" at the end.
	Next string `json:"next"`
}

// MaxDeletesView are bounds.
type MaxDeletesView struct {
	Objects int64   `json:"objects"` // deletes within ten minutes; 0: any number
	Percent float64 `json:"percent"` // the same, of the copy's objects; 0: any part
}

// HeldCopyView is a copy whose deletes are held.
type HeldCopyView struct {
	Cluster string `json:"cluster"` // where it is
	Held    int64  `json:"held"`    // deletes known so far
	Objects int64  `json:"objects"` // objects of the copy, as of its last comparison
	// When the first of the held deletes was noticed; null where none is known yet.
	Since *time.Time `json:"since"`
}

// HeldDeleteView is a delete that is held.
type HeldDeleteView struct {
	Key     string    `json:"key"`     // the object's key
	Cluster string    `json:"cluster"` // the copy that still has it
	Size    int64     `json:"size"`    // its bytes, as far as known
	Since   time.Time `json:"since"`   // when its delete was noticed
}

// ViewPending tells of a row.
func ViewPending(r state.Pending) PendingRowView {
	v := PendingRowView{
		Key: r.Key, Cluster: r.Cluster, Size: r.Size, Since: r.Since, Hold: string(r.Hold), Attempts: r.Attempts,
		Error: r.Error, Cause: string(r.Cause), Background: r.Background, Node: r.ClaimedBy,
	}
	if !r.NextAttempt.IsZero() && r.Hold == state.HoldNone {
		v.NextAttempt = &r.NextAttempt
	}
	return v
}

// HeldCopies are the copies of a bucket whose deletes are held, by its copies and their backlogs.
func HeldCopies(rows []state.Copy, logs []state.Backlog) []HeldCopyView {
	held := []HeldCopyView{}
	for _, l := range logs {
		marked := slices.ContainsFunc(rows, func(r state.Copy) bool { return r.Cluster == l.Cluster && r.HeldDeletes })
		if l.HeldDeletes == 0 && !marked {
			continue
		}
		v := HeldCopyView{Cluster: l.Cluster, Held: l.HeldDeletes}
		if !l.OldestHeld.IsZero() {
			v.Since = new(l.OldestHeld.UTC())
		}
		for _, r := range rows {
			if r.Cluster == l.Cluster {
				v.Objects += r.Objects
			}
		}
		held = append(held, v)
	}
	return held
}
