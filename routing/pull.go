package routing

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
)

// PullPlan says what would have to be copied, and where it may go, for an invocation to
// run beside its data. It refers to nothing else.
type PullPlan struct {
	// Objects to have in one cluster: those named that a policy pulls.
	Objects []catalog.ObjectName
	// Clusters that may get them, best first: each has a free endpoint, a storage that is
	// not known to be down, and is allowed by the policies of all objects.
	Clusters []string
	// Timeout is how long the invocation waits.
	Timeout time.Duration
}

// Pull returns what to copy for an invocation that would read remotely, and false if its
// policies don't want that or it can't help. It allocates.
//
// Every input that is missing must be an object of a rule with on_miss pull. What only
// the load of the holders keeps away from them (spill) is not copied.
func (d *Decision) Pull() (PullPlan, bool) {
	a := &d.assessment
	if d.Reason != ReasonNone || d.Locality != LocalityRemote || a.overloaded || !a.mayPull() {
		return PullPlan{}, false
	}
	var plan PullPlan
	for _, ep := range byLoad(d.Candidates) {
		s := a.snap.tables.site(a.snap.tables.clusterID(ep.Cluster))
		if s != nil && !slices.Contains(plan.Clusters, s.name) && a.pullsInto(s) {
			plan.Clusters = append(plan.Clusters, strings.Clone(s.name))
		}
	}
	if len(plan.Clusters) == 0 {
		return PullPlan{}, false
	}
	for i := range a.targets {
		t := &a.targets[i]
		p := a.policyOf(t)
		if t.Scope != ScopeObject || p == nil || p.OnMiss != catalog.OnMissPull {
			continue // it is in all of the clusters
		}
		plan.Objects = append(plan.Objects, catalog.ObjectName{Bucket: strings.Clone(t.Bucket), Key: strings.Clone(t.Key)})
		if timeout := time.Duration(p.PullTimeout); plan.Timeout == 0 || timeout < plan.Timeout {
			plan.Timeout = timeout
		}
	}
	return plan, true
}

// byLoad orders endpoints by their requests in flight per weight, and by cluster where
// these are equal.
func byLoad(eps []*Endpoint) []*Endpoint {
	type loaded struct {
		*Endpoint
		load float64
	}
	all := make([]loaded, len(eps)) // read once: loads change meanwhile
	for i, ep := range eps {
		all[i] = loaded{ep, float64(ep.Live.InFlight.Load()) / float64(max(1, ep.Weight))}
	}
	slices.SortStableFunc(all, func(a, b loaded) int {
		return cmp.Or(cmp.Compare(a.load, b.load), cmp.Compare(a.Cluster, b.Cluster))
	})
	out := make([]*Endpoint, len(all))
	for i := range all {
		out[i] = all[i].Endpoint
	}
	return out
}

// mayPull says whether the policy of any object named pulls.
func (a *assessment) mayPull() bool {
	for i := range a.targets {
		t := &a.targets[i]
		if b := a.snap.tables.book(t.entry.policyOf(t.rule)); t.Scope == ScopeObject && b != nil && b.onMiss == catalog.OnMissPull {
			return true
		}
	}
	return false
}

func (a *assessment) policyOf(t *target) *catalog.Policy {
	if b := a.snap.tables.book(t.entry.policyOf(t.rule)); b != nil {
		return b.policy
	}
	return nil
}

// pullsInto says whether pulling makes a cluster, which may read remotely, a hit.
func (a *assessment) pullsInto(s *site) bool {
	if !s.stores || s.live.Storage() == StorageDown {
		return false
	}
	for i := range a.targets {
		t := &a.targets[i]
		if t.holds(a.snap, s, a.pending) == isCurrent {
			continue
		}
		p := a.policyOf(t)
		if t.Scope != ScopeObject || p == nil || p.OnMiss != catalog.OnMissPull || !t.allowsHit(a.snap, s.id) {
			return false
		}
		if c, ok := t.copyIn(s.id); ok && c.state() > catalog.CopySynced {
			return false // what leaves or failed is not to be added to
		}
	}
	return true
}
