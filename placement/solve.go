package placement

import (
	"maps"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// Input is all that the solver looks at.
type Input struct {
	Bucket string
	// Prefix of the rule being placed; "" for the bucket's own policy.
	Prefix   string
	Policy   *catalog.Policy
	Zones    map[string]*catalog.Zone
	Clusters map[string]*catalog.Cluster
	// Primary is the cluster the bucket is written in, "" while there is none.
	Primary string
	// PrimaryDeclared says that the bucket names its primary itself. Such a primary
	// stays even while its cluster drains; one that placement chose moves away.
	PrimaryDeclared bool
	// Current holds the clusters that hold a copy now: a full storage keeps the
	// copies it has.
	Current map[string]bool
	// UsedBytes of each cluster's storage, where known; beside Storage.Capacity.
	UsedBytes map[string]int64
}

// ClusterReason says whether a cluster was chosen, and why or why not.
type ClusterReason struct {
	Cluster string
	Zone    string
	Chosen  bool
	Reason  string
}

// Result is the solver's answer.
type Result struct {
	// Chosen clusters: the primary first, if it may stay, then in the order in which
	// they were chosen.
	Chosen []string
	// Short says what is missing when fewer clusters could be chosen than the
	// policy asks for; "" when nothing is.
	Short string
	// Reasons has one entry for every cluster, sorted by name.
	Reasons []ClusterReason
}

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

func byName(a, b *catalog.Cluster) int { return strings.Compare(a.Name, b.Name) }
