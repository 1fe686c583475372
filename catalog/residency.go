package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// AllowedClusters returns the names of the clusters whose zones a policy allows,
// whatever their state.
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
		if Deny(p, c, zone).Allowed() {
			out[name] = true
		}
	}
	return out
}

// PolicyAllows says whether a policy allows one cluster, as [AllowedClusters] does.
func PolicyAllows(p *Policy, c *Cluster, in Lookup) bool {
	return Deny(p, c, in.Zone).Allowed()
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

// Denial is the answer of [Deny]: what keeps a cluster out, and the zones that lies in.
// The zero value says that nothing does.
type Denial struct {
	kind denialKind
	zone string // of the cluster
	in   string // the zone above it that the policy names, if not itself
}

// Allowed says whether the policy allows the cluster.
func (d Denial) Allowed() bool { return d.kind == allowed }

// Deny says why a policy does not allow a cluster, whatever the cluster's state. It
// alone decides residency; see [AllowedClusters] for the rule.
func Deny(p *Policy, c *Cluster, zone func(string) *Zone) Denial {
	if len(p.ExcludeZones) > 0 {
		if d := denyExcluded(p, c, zone); !d.Allowed() {
			return d
		}
	}
	if len(p.Zones) > 0 && !slices.ContainsFunc(c.Zones, func(z string) bool {
		in, _ := climb(z, p.Zones, zone)
		return in != ""
	}) {
		return Denial{kind: outside}
	}
	if len(p.Clusters) > 0 && !slices.Contains(p.Clusters, c.Name) {
		return Denial{kind: notListed}
	}
	return Denial{}
}

func denyExcluded(p *Policy, c *Cluster, zone func(string) *Zone) Denial {
	unknown := Denial{}
	if len(c.Zones) == 0 {
		unknown = Denial{kind: unknownZone}
	}
	for _, z := range c.Zones {
		in, known := climb(z, p.ExcludeZones, zone)
		if in != "" {
			return Denial{kind: excluded, zone: z, in: in}
		}
		if !known {
			unknown = Denial{kind: unknownZone, zone: z}
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

// Reason says in words why the policy, the one given to [Deny], does not allow the cluster.
func (d Denial) Reason(p *Policy) string {
	switch d.kind {
	case excluded:
		if d.in != d.zone {
			return "zone " + d.zone + " is in zone " + d.in + ", which is excluded by the policy"
		}
		return "zone " + d.zone + " is excluded by the policy"
	case unknownZone:
		if d.zone == "" {
			return "in no zone, so it may be in one that is excluded by the policy"
		}
		return "zone " + d.zone + " or one it lies in is not declared, so it may be in one that is excluded by the policy"
	case outside:
		return "not in the policy's zones " + listed(p.Zones)
	case notListed:
		return "not among the policy's clusters " + listed(p.Clusters)
	default:
		return "allowed"
	}
}

// maxListed is how many items of a list an explanation names.
const maxListed = 10

func listed(items []string) string {
	if len(items) <= maxListed {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:maxListed], ", "), len(items)-maxListed)
}
