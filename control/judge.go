package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Reason is one thing that keeps a bucket from being ok.
type Reason struct {
	Code ReasonCode
	Text string // a sentence
	// Cluster is the one it is about, if it is about one.
	Cluster string
	// Since when it is so; zero where that is not known.
	Since time.Time
}

// ReasonCode says what a Reason is about, to programs.
type ReasonCode string

// The codes. What looks after buckets finds out what has none of its own.
const (
	ReasonFound       ReasonCode = "found"
	ReasonHeldDeletes ReasonCode = "held-deletes" // by the delete-storm breaker
	ReasonFailing     ReasonCode = "failing"      // objects that are tried again
	ReasonCopyFailed  ReasonCode = "copy-failed"
	ReasonStorageDown ReasonCode = "storage-down"
	ReasonConflict    ReasonCode = "conflict"
	ReasonNoPrimary   ReasonCode = "no-primary"
	ReasonCopyState   ReasonCode = "copy-state" // a copy is on its way in or out
	ReasonPending     ReasonCode = "pending"    // objects are on their way
	ReasonTooFew      ReasonCode = "too-few-clusters"
	ReasonFull        ReasonCode = "storage-full" // no room for a copy that is yet to be filled
	ReasonDamaged     ReasonCode = "damaged"      // a verification could not repair it
	ReasonKeyRefused  ReasonCode = "key-refused"  // a storage never takes an object of a copy that is filled
	// ReasonHiddenHistory: a copy can't leave for older versions that may be in no other.
	ReasonHiddenHistory ReasonCode = "hidden-history"
	// ReasonStopped: the primary's storage may not be the one it was, and people have to say which side is right.
	ReasonStopped ReasonCode = "stopped"
)

// texts joins the sentences of reasons.
func texts(reasons []Reason) string {
	all := make([]string, len(reasons))
	for i, r := range reasons {
		all[i] = r.Text
	}
	return strings.Join(all, "; ")
}

// found are the reasons that finders gave.
func found(issues []Issue) []Reason {
	var all []Reason
	for _, i := range issues {
		all = append(all, Reason{Code: cmp.Or(i.Code, ReasonFound), Text: i.Reason, Cluster: i.Cluster, Since: i.Since})
	}
	return all
}

// judge sums a bucket up in one state and the reasons for it.
func judge(snap *routing.Snapshot, st BucketStatus, stuck []Reason, logs []state.Backlog) (string, []Reason) {
	for _, l := range logs {
		stuck = append(stuck, stuckBy(l)...)
	}
	for _, cp := range st.Copies {
		live := snap.ClusterState(cp.Cluster)
		switch {
		case cp.State == "failed":
			stuck = append(stuck, Reason{Code: ReasonCopyFailed, Text: "copy in " + cp.Cluster + ": " + cp.Error, Cluster: cp.Cluster})
		case live != nil && live.Storage() == routing.StorageDown && !saysDown(stuck, cp.Cluster):
			stuck = append(stuck, Reason{ReasonStorageDown, "the storage of " + cp.Cluster + " is down", cp.Cluster, live.StorageSince()})
		}
	}
	if len(stuck) > 0 {
		return BucketStuck, stuck
	}
	if why := conflictsOf(st.Conflicts); why != nil {
		why[0].Text, why[0].Since = why[0].Text+wrongPrimary(st, logs), oldestConflict(logs)
		return BucketConflict, why
	}
	if st.Primary == "" || len(st.Copies) == 0 { // it may be declared, and nobody has looked there yet
		return BucketSyncing, []Reason{{Code: ReasonNoPrimary, Text: "the primary is yet to be chosen"}}
	}
	for _, cp := range st.Copies {
		if cp.State != "synced" {
			return BucketSyncing, []Reason{{Code: ReasonCopyState, Text: "copy in " + cp.Cluster + " is " + cp.State, Cluster: cp.Cluster}}
		}
		if cp.Pending.Objects > 0 {
			text := Count(cp.Pending.Objects, "object") + " on the way to " + cp.Cluster
			why := Reason{Code: ReasonPending, Text: text, Cluster: cp.Cluster}
			if cp.Pending.Oldest != nil {
				why.Since = *cp.Pending.Oldest
			}
			return BucketSyncing, []Reason{why}
		}
	}
	return BucketOK, nil
}

// saysDown says whether reasons already tell that a cluster's storage is down, and why.
func saysDown(reasons []Reason, cluster string) bool {
	return slices.ContainsFunc(reasons, func(r Reason) bool {
		return strings.Contains(r.Text, "the storage of "+cluster+" is down")
	})
}

// stuckBy says what of a copy's pending objects does not get done by itself, or not now.
func stuckBy(l state.Backlog) (why []Reason) {
	if l.HeldDeletes > 0 {
		why = append(why, Reason{ReasonHeldDeletes, fmt.Sprintf("%s held in %s: more than max_deletes", countAre(l.HeldDeletes, "delete"), l.Cluster), l.Cluster, l.Oldest})
	}
	if l.Failing > 0 {
		why = append(why, Reason{ReasonFailing, fmt.Sprintf("%s can't be brought to %s yet: %s", Count(l.Failing, "object"), l.Cluster, l.LastError), l.Cluster, l.Oldest})
	}
	return why
}

// oldestConflict is since when the oldest objects differ that wait where conflicts are.
func oldestConflict(logs []state.Backlog) (oldest time.Time) {
	for _, l := range logs {
		if l.Conflicts > 0 && (oldest.IsZero() || l.Oldest.Before(oldest)) {
			oldest = l.Oldest
		}
	}
	return oldest
}

func conflictsOf(n int64) []Reason {
	switch n {
	case 0:
		return nil
	case 1:
		return []Reason{{Code: ReasonConflict, Text: "1 object on a copy is not FaDO's and stands in the way"}}
	}
	return []Reason{{Code: ReasonConflict, Text: fmt.Sprintf("%d objects on copies are not FaDO's and stand in the way", n)}}
}

// wrongPrimary is a hint where all that a bucket has are objects on one copy that are not
// FaDO's: it was probably imported with another primary than the one that it was written in.
func wrongPrimary(st BucketStatus, logs []state.Backlog) string {
	p := slices.IndexFunc(st.Copies, func(c CopyStatus) bool { return c.Role == "primary" && c.Objects == 0 && c.VerifiedAt != nil })
	l := slices.IndexFunc(logs, func(l state.Backlog) bool { return l.Conflicts > 0 })
	if p < 0 || l < 0 || logs[l].Conflicts != st.Conflicts {
		return ""
	}
	return fmt.Sprintf("; %s, the primary, is empty, and all objects are in %s: if that is where the bucket is written, "+
		`resolve them with {"winner": %q}, or delete the bucket here (its data stays) and create it with "primary": %q`,
		st.Copies[p].Cluster, logs[l].Cluster, logs[l].Cluster, logs[l].Cluster)
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
