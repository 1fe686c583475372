package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/control/internal/reason"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Reason is one thing that keeps a bucket from being ok.
type Reason = reason.Reason

// ReasonCode says what a Reason is about, to programs.
type ReasonCode = reason.Code

// The codes. What looks after buckets finds out what has none of its own.
const (
	ReasonFound       = reason.Found
	ReasonHeldDeletes = reason.HeldDeletes
	ReasonFailing     = reason.Failing
	ReasonCopyFailed  = reason.CopyFailed
	ReasonStorageDown = reason.StorageDown
	ReasonConflict    = reason.Conflict
	ReasonNoPrimary   = reason.NoPrimary
	ReasonCopyState   = reason.CopyState
	ReasonPending     = reason.Pending
	ReasonTooFew      = reason.TooFew
	ReasonFull        = reason.Full
	ReasonDamaged     = reason.Damaged
	ReasonKeyRefused  = reason.KeyRefused

	ReasonHiddenHistory = reason.HiddenHistory
	ReasonStopped       = reason.Stopped
)

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
		stuck = append(stuck, stuckBy(snap, l)...)
	}
	for _, cp := range st.Copies {
		down := snap.ClusterState(cp.Cluster).DownSince()
		switch {
		case cp.State == "failed":
			stuck = append(stuck, Reason{Code: ReasonCopyFailed, Text: "copy in " + cp.Cluster + ": " + cp.Error, Cluster: cp.Cluster})
		case !down.IsZero() && !saysDown(stuck, cp.Cluster):
			stuck = append(stuck, Reason{Code: ReasonStorageDown, Text: "the storage of " + cp.Cluster + " is down", Cluster: cp.Cluster, Since: down})
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
		return r.Code == ReasonStorageDown && r.Cluster == cluster ||
			(r.Cluster == "" || r.Cluster == cluster) && strings.Contains(r.Text, "the storage of "+cluster+" is down")
	})
}

// stuckBy says what of a copy's pending objects does not get done by itself, or not now.
func stuckBy(snap *routing.Snapshot, l state.Backlog) []Reason {
	return reason.Of(l, snap.ClusterState(l.Cluster).DownSince())
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
func Count(n int64, noun string) string { return reason.Count(n, noun) }
