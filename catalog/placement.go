package catalog

import (
	"maps"
	"slices"
	"strings"
)

// Placement decides two things, and keeps them apart:
//
//   - what is allowed: [AllowedClusters], [PolicyAllows] and [Solver.Allows] all ask
//     deny, and nothing else decides residency. The state of a cluster (draining,
//     full, without a storage) never matters to it.
//   - what is chosen among the allowed: [Solver.Choose], and [Solve] with reasons,
//     both of which take from the front of plan.sort's order.
//
// What holds whatever the input, and is tested as properties:
//
//   - Residency: what is chosen is allowed.
//   - Determinism: the answer depends on the values of the input only, not on their
//     order, on earlier calls, or on the instance. The hash of a cluster for a rule
//     is fixed for good: another one would move everybody's data.
//   - Stability: the order among clusters for a rule is total and does not depend on
//     which others there are. So when one cluster joins or leaves (or fills up,
//     drains, comes to be allowed) at most one chosen cluster changes.
//   - Growth: what is chosen for n copies is the beginning of what is chosen for n+1.
//   - Spread: no failure domain gets a second copy while another that could take one
//     has none, a third while another has one, and so on.

// PlacementInput is all that the solver looks at.
type PlacementInput struct {
	Bucket string
	// Prefix of the rule being placed; "" for the bucket's own policy.
	Prefix   string
	Policy   *Policy
	Zones    map[string]*Zone
	Clusters map[string]*Cluster
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
	Cluster string `json:"cluster"`
	Zone    string `json:"zone"`
	Chosen  bool   `json:"chosen"`
	Reason  string `json:"reason"`
}

// Placement is the solver's answer.
type Placement struct {
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
// pure function: equal inputs give equal answers on every instance. Whoever solves
// many rules of one catalogue makes a [Solver].
//
// Allowed clusters that have a storage, do not drain and are not full (or hold a
// copy already) are put in order: by their place in the policy's prefer, then by the
// rendezvous hash of bucket, prefix and cluster. The primary comes before all, if it
// is one of them. With spread zone the best of every failure domain comes before the
// second best of any. The policy's number of copies is then taken from the front.
//
// The hash is not weighted by capacity: a capacity is a bound and often not given,
// and weights would move copies whenever one is changed.
func Solve(in PlacementInput) Placement {
	clusters := slices.SortedFunc(maps.Values(in.Clusters), byName)
	if in.Policy == nil {
		return placementWithout(clusters)
	}
	zone := func(name string) *Zone { return in.Zones[name] }
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

func byName(a, b *Cluster) int { return strings.Compare(a.Name, b.Name) }

// AllowedClusters returns the names of the clusters whose zones a policy allows,
// whatever their state: the one place residency is decided.
//
// A cluster is allowed if none of its zones, nor a zone these lie in, is among the
// policy's exclude_zones; and one of them is among its zones, if it names any; and
// the cluster is among its clusters, if it names any. Where a cluster's zone, or one
// it lies in, is not declared (any more), what it lies in is not known: such a
// cluster is not allowed by a policy that excludes zones.
func AllowedClusters(p *Policy, zones map[string]*Zone, clusters map[string]*Cluster) map[string]bool {
	zone := func(name string) *Zone { return zones[name] }
	out := make(map[string]bool)
	for name, c := range clusters {
		if deny(p, c, zone).kind == allowed {
			out[name] = true
		}
	}
	return out
}

// PolicyAllows says whether a policy allows one cluster, as [AllowedClusters] does.
func PolicyAllows(p *Policy, c *Cluster, in Lookup) bool {
	return deny(p, c, in.Zone).kind == allowed
}

// maxZoneDepth bounds how many zones may lie in one another. It also ends the way
// up where, against validation, zones lie in one another in a circle.
const maxZoneDepth = 100

// denialKind says which part of a policy keeps a cluster out.
type denialKind uint8

const (
	allowed     denialKind = iota
	excluded               // one of its zones is excluded
	unknownZone            // where it is is not known, and the policy excludes zones
	outside                // none of its zones is among the policy's
	notListed              // it is not among the policy's clusters
)

// denial is the answer of deny: the cause, and the zones it lies in.
type denial struct {
	kind denialKind
	zone string // of the cluster
	in   string // the zone above it that the policy names, if not itself
}

// deny says why a policy does not allow a cluster. It decides residency; see
// [AllowedClusters] for the rule.
func deny(p *Policy, c *Cluster, zone func(string) *Zone) denial {
	if len(p.ExcludeZones) > 0 {
		if d := denyExcluded(p, c, zone); d.kind != allowed {
			return d
		}
	}
	if len(p.Zones) > 0 && !slices.ContainsFunc(c.Zones, func(z string) bool {
		in, _ := climb(z, p.Zones, zone)
		return in != ""
	}) {
		return denial{kind: outside}
	}
	if len(p.Clusters) > 0 && !slices.Contains(p.Clusters, c.Name) {
		return denial{kind: notListed}
	}
	return denial{}
}

func denyExcluded(p *Policy, c *Cluster, zone func(string) *Zone) denial {
	unknown := denial{}
	if len(c.Zones) == 0 {
		unknown = denial{kind: unknownZone}
	}
	for _, z := range c.Zones {
		in, known := climb(z, p.ExcludeZones, zone)
		if in != "" {
			return denial{kind: excluded, zone: z, in: in}
		}
		if !known {
			unknown = denial{kind: unknownZone, zone: z}
		}
	}
	return unknown
}

// climb goes from a zone up through its parents until one is in the list, and
// returns that one, "" if none is. known is false if the way up ended at a zone that
// is not declared, or did not end.
func climb(name string, list []string, zone func(string) *Zone) (in string, known bool) {
	for range maxZoneDepth {
		if slices.Contains(list, name) {
			return name, true
		}
		z := zone(name)
		if z == nil {
			return "", false
		}
		if z.Parent == "" {
			return "", true
		}
		name = z.Parent
	}
	return "", false
}
