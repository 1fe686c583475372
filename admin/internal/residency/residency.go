// Package residency tells which clusters a policy allows, and why it does not allow the others.
package residency

import (
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// PolicyCheckView answers POST /fado/policies/check.
type PolicyCheckView struct {
	// Every cluster, sorted by name.
	Clusters []AllowedView `json:"clusters"`
}

// AllowedView says whether a policy allows one cluster.
type AllowedView struct {
	Cluster string `json:"cluster"` // the cluster's name
	Zone    string `json:"zone"`    // its failure domain
	// Whether data under the policy may be there, and functions that read it may run there.
	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"` // why, or why not
	// Whether it can take new copies: it has a storage, and does not drain.
	TakesCopies bool `json:"takes_copies"`
}

// Of tells what a policy allows of what a snapshot has.
func Of(p *catalog.Policy, snap *routing.Snapshot) PolicyCheckView {
	v := PolicyCheckView{Clusters: []AllowedView{}}
	snap.Clusters(func(cl *catalog.Cluster) bool {
		denial := catalog.Deny(p, cl, snap.Zone)
		v.Clusters = append(v.Clusters, AllowedView{
			Cluster: cl.Name, Zone: cl.FailureDomain(), Allowed: denial.Allowed(), Reason: denial.Reason(p),
			TakesCopies: cl.Storage != nil && !cl.Drain,
		})
		return true
	})
	slices.SortFunc(v.Clusters, func(a, b AllowedView) int { return strings.Compare(a.Cluster, b.Cluster) })
	return v
}
