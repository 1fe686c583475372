package control

import (
	"fmt"
	"strings"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// judge sums a bucket up in one state and the reason for it.
func judge(snap *routing.Snapshot, st BucketStatus, stuck []string, logs []state.Backlog) (string, string) {
	for _, l := range logs {
		stuck = append(stuck, stuckBy(l)...)
	}
	for _, cp := range st.Copies {
		live := snap.ClusterState(cp.Cluster)
		switch {
		case cp.State == "failed":
			stuck = append(stuck, "copy in "+cp.Cluster+": "+cp.Error)
		case live != nil && live.Storage() == routing.StorageDown:
			stuck = append(stuck, "the storage of "+cp.Cluster+" is down")
		}
	}
	if len(stuck) > 0 {
		return BucketStuck, strings.Join(stuck, "; ")
	}
	if why := conflictsOf(st.Conflicts); len(why) > 0 {
		return BucketConflict, why[0]
	}
	if st.Primary == "" {
		return BucketSyncing, "the primary is yet to be chosen"
	}
	for _, cp := range st.Copies {
		if cp.State != "synced" {
			return BucketSyncing, "copy in " + cp.Cluster + " is " + cp.State
		}
		if cp.Pending.Objects > 0 {
			return BucketSyncing, fmt.Sprintf("%s on %s way to %s", Count(cp.Pending.Objects, "object"), its(cp.Pending.Objects), cp.Cluster)
		}
	}
	return BucketOK, ""
}

// stuckBy says what of a copy's pending objects does not get done by itself, or not now.
func stuckBy(l state.Backlog) (why []string) {
	if l.HeldDeletes > 0 {
		why = append(why, fmt.Sprintf("%s held in %s: more than max_deletes", countAre(l.HeldDeletes, "delete"), l.Cluster))
	}
	if l.Failing > 0 {
		why = append(why, fmt.Sprintf("%s can't be brought to %s yet: %s", Count(l.Failing, "object"), l.Cluster, l.LastError))
	}
	return why
}

func conflictsOf(n int64) []string {
	if n == 0 {
		return nil
	}
	if n == 1 {
		return []string{"1 object on a copy is not FaDO's and stands in the way"}
	}
	return []string{fmt.Sprintf("%d objects on copies are not FaDO's and stand in the way", n)}
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

func its(n int64) string {
	if n == 1 {
		return "its"
	}
	return "their"
}
