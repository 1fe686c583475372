package plan

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/placement"
)

// Inputs are what plans are made from, gathered once for many buckets. They are read-only
// and safe for concurrent use.
type Inputs struct {
	zones    map[string]*catalog.Zone
	clusters map[string]*catalog.Cluster
	policies map[string]*catalog.Policy
	allowed  map[string]map[string]bool // clusters, by policy
	used     map[string]int64
	silent   map[string]bool
	solver   *placement.Solver // for placements among all clusters
	ideal    bool              // what is placed does not stay because it is placed
	// expected are the inputs there are once every silent cluster that may just not have been
	// asked yet has answered; nil if there is no such cluster.
	expected *Inputs
}

// Catalogue is one version of what is declared, such as a snapshot of routing.
type Catalogue interface {
	catalog.Lookup
	// Policies calls f for every policy until f returns false.
	Policies(f func(*catalog.Policy) bool)
}

// NewInputs gathers the inputs from one version of the catalogue. used holds the bytes in
// each cluster's storage, where known; silent the clusters whose storage has never answered.
// None may change while the inputs are used.
func NewInputs(from Catalogue, used map[string]int64, silent map[string]bool) *Inputs {
	in := &Inputs{
		zones: make(map[string]*catalog.Zone), clusters: make(map[string]*catalog.Cluster),
		policies: make(map[string]*catalog.Policy), allowed: make(map[string]map[string]bool), used: used, silent: silent,
		solver: placement.NewSolver(from, used).Exclude(silent),
	}
	from.Zones(func(z *catalog.Zone) bool { in.zones[z.Name] = z; return true })
	from.Clusters(func(c *catalog.Cluster) bool { in.clusters[c.Name] = c; return true })
	from.Policies(func(p *catalog.Policy) bool {
		in.policies[p.Name] = p
		in.allowed[p.Name] = catalog.AllowedClusters(p, in.zones, in.clusters)
		return true
	})
	return in
}

// Rebalanced returns the inputs of plans that move what is placed to where placement would
// put it today.
func (in *Inputs) Rebalanced() *Inputs {
	ideal := *in
	ideal.ideal = true
	if in.expected != nil {
		ideal.expected = in.expected.Rebalanced()
	}
	return &ideal
}

// Expect tells which of the silent clusters may just not have been asked yet; from is what
// the inputs were gathered from.
func (in *Inputs) Expect(from Catalogue, unasked map[string]bool) *Inputs {
	if len(unasked) == 0 {
		return in
	}
	silent := maps.Clone(in.silent)
	maps.DeleteFunc(silent, func(name string, _ bool) bool { return unasked[name] })
	in.expected = NewInputs(from, in.used, silent)
	return in
}

// Unasked reports whether some of the silent clusters may just not have been asked yet.
func (in *Inputs) Unasked() bool { return in.expected != nil }

// Allows reports whether a bucket with these rules may be written in a cluster: the cluster
// has a storage, and every policy of the bucket allows it.
func (in *Inputs) Allows(rules []catalog.PrefixRule, cluster string) bool {
	for _, r := range rules {
		if !in.allowed[r.Policy][cluster] {
			return false
		}
	}
	return len(rules) > 0 && in.hasStorage(cluster)
}

// Candidates returns the clusters that a bucket with these rules may be written in, sorted.
func (in *Inputs) Candidates(rules []catalog.PrefixRule) []string {
	var names []string
	rules = perPolicy(rules)
	for _, name := range slices.Sorted(maps.Keys(in.clusters)) {
		if in.Allows(rules, name) {
			names = append(names, name)
		}
	}
	return names
}

// perPolicy returns one rule of each policy: all that matters where every cluster is looked at.
func perPolicy(rules []catalog.PrefixRule) []catalog.PrefixRule {
	if len(rules) < 2 {
		return rules
	}
	seen := make(map[string]bool)
	return slices.DeleteFunc(slices.Clone(rules), func(r catalog.PrefixRule) bool {
		known := seen[r.Policy]
		seen[r.Policy] = true
		return known
	})
}

func (in *Inputs) hasStorage(cluster string) bool {
	c := in.clusters[cluster]
	return c != nil && c.Storage != nil
}
