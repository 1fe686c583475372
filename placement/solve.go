package placement

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
)

// Solve chooses the clusters that hold the copies of one bucket's rule. It is a
// pure function: equal inputs give equal answers on every instance. To solve many rules of
// one catalogue, use a [Solver].
//
// Allowed clusters that have a storage, do not drain and are not full (or hold a
// copy already) are put in order: by their place in the policy's prefer, then by the
// rendezvous hash of bucket, prefix and cluster. The primary comes before all, if it
// is one of them. With spread zone the best of every failure domain comes before the
// second best of any. The policy's number of copies is then taken from the front.
//
// The hash is not weighted by capacity: a capacity is a bound and often not given,
// and weights would move copies whenever one is changed.
func Solve(in Input) Result {
	clusters := slices.SortedFunc(maps.Values(in.Clusters), byName)
	if in.Policy == nil {
		return placementWithout(clusters)
	}
	zone := func(name string) *catalog.Zone { return in.Zones[name] }
	rule := RuleInput{
		Bucket: in.Bucket, Prefix: in.Prefix, Policy: in.Policy.Name,
		Primary: in.Primary, PrimaryDeclared: in.PrimaryDeclared,
	}
	for name, holds := range in.Current {
		if holds {
			rule.Current = append(rule.Current, name)
		}
	}
	pl := newPlan(in.Policy, clusters, zone, in.UsedBytes)
	return pl.explain(&rule, clusters, zone)
}
