package fleet

import (
	"cmp"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// CopySumView counts the copies under one policy in one cluster, the primaries among them, by their states. A bucket
// has one for each of its rules.
type CopySumView struct {
	Policy   string `json:"policy"`   // the policy's name; "" for copies of rules that are gone
	Cluster  string `json:"cluster"`  // the cluster's name
	Synced   int    `json:"synced"`   // they have all
	Syncing  int    `json:"syncing"`  // they are being filled
	Waiting  int    `json:"waiting"`  // they are yet to be begun
	Draining int    `json:"draining"` // they have left routing, and are about to be removed
	Removing int    `json:"removing"` // they are being removed
	Failed   int    `json:"failed"`   // they can't be filled
}

func (v *CopySumView) add(state catalog.CopyState, n int) {
	switch state {
	case catalog.CopySynced:
		v.Synced += n
	case catalog.CopySyncing:
		v.Syncing += n
	case catalog.CopyWaiting:
		v.Waiting += n
	case catalog.CopyDraining:
		v.Draining += n
	case catalog.CopyRemoving:
		v.Removing += n
	case catalog.CopyFailed:
		v.Failed += n
	}
}

// Copies counts the copies by policy and cluster, sorted by these, once for a look.
func (f *Fleet) Copies(snap *routing.Snapshot) []CopySumView {
	f.counted.Do(func() {
		type at struct{ policy, cluster string }
		sums := make(map[at]*CopySumView)
		for kind, n := range snap.CountCopies() {
			of := at{kind.Policy, kind.Cluster}
			if sums[of] == nil {
				sums[of] = &CopySumView{Policy: of.policy, Cluster: of.cluster}
			}
			sums[of].add(kind.State, n)
		}
		f.copies = make([]CopySumView, 0, len(sums))
		for _, sum := range sums {
			f.copies = append(f.copies, *sum)
		}
		slices.SortFunc(f.copies, func(a, b CopySumView) int {
			return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Cluster, b.Cluster))
		})
	})
	return f.copies
}
