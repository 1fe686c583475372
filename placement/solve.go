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
// Allowed clusters that have a storage that answered once, do not drain and are not full
// (or hold a copy already) are put in order: first those that hold a copy, then those that
// are getting one, then the others; among each by their place in the policy's prefer, then
// by the rendezvous hash of bucket, prefix and cluster. The primary comes before all, if it
// is one of them. With spread zone the best of every failure domain comes before the
// second best of any, among those that hold a copy and among the others. The policy's number
// of copies is then taken from the front.
//
// So what is placed stays while it is allowed: neither a new cluster nor another preference
// moves it. Input.Ideal leaves out what is placed.
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
	rule.Current, rule.Coming, rule.Ideal = named(in.Current), named(in.Coming), in.Ideal
	pl := newPlan(in.Policy, clusters, zone, in.UsedBytes, in.Silent)
	return pl.explain(&rule, clusters, zone)
}

func named(set map[string]bool) (names []string) {
	for name, in := range set {
		if in {
			names = append(names, name)
		}
	}
	return names
}
