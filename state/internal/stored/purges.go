package stored

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fado-project/fado/state"
)

// MergePurges makes purges of rows that hold a purge with at most one target each, in any
// order.
func MergePurges(rows []state.Purge) (all []state.Purge) {
	slices.SortStableFunc(rows, func(a, b state.Purge) int { return cmp.Compare(a.ID, b.ID) })
	for _, p := range rows {
		if n := len(all); n > 0 && all[n-1].ID == p.ID {
			all[n-1].Targets = append(all[n-1].Targets, p.Targets...)
			continue
		}
		all = append(all, p)
	}
	for _, p := range all {
		slices.SortFunc(p.Targets, func(a, b state.PurgeTarget) int { return strings.Compare(a.Cluster, b.Cluster) })
	}
	return all
}
