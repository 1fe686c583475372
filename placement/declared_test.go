package placement_test

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
)

// declared is a catalogue as plain maps.
type declared struct {
	zones    map[string]*catalog.Zone
	clusters map[string]*catalog.Cluster
	policies map[string]*catalog.Policy
	buckets  map[string]*catalog.Bucket
}

// newDeclared returns a catalogue that holds the resources, normalized, and the
// built-in policy.
func newDeclared(resources ...catalog.Resource) *declared {
	d := &declared{
		zones:    map[string]*catalog.Zone{},
		clusters: map[string]*catalog.Cluster{},
		policies: map[string]*catalog.Policy{catalog.DefaultPolicyName: catalog.BuiltinPolicy()},
		buckets:  map[string]*catalog.Bucket{},
	}
	for _, r := range resources {
		d.put(r)
	}
	return d
}

func (d *declared) put(r catalog.Resource) {
	r.Normalize()
	switch r := r.(type) {
	case *catalog.Zone:
		d.zones[r.Name] = r
	case *catalog.Cluster:
		d.clusters[r.Name] = r
	case *catalog.Policy:
		d.policies[r.Name] = r
	case *catalog.Bucket:
		d.buckets[r.Name] = r
	}
}

func (d *declared) Zone(name string) *catalog.Zone       { return d.zones[name] }
func (d *declared) Cluster(name string) *catalog.Cluster { return d.clusters[name] }
func (d *declared) Policy(name string) *catalog.Policy   { return d.policies[name] }
func (d *declared) Bucket(name string) *catalog.Bucket   { return d.buckets[name] }
func (d *declared) DefaultPolicy() string                { return catalog.DefaultPolicyName }

func (d *declared) Zones(f func(*catalog.Zone) bool) {
	maps.Values(d.zones)(f)
}

func (d *declared) Clusters(f func(*catalog.Cluster) bool) {
	maps.Values(d.clusters)(f)
}

func (d *declared) Buckets(f func(string) bool) {
	slices.Values(slices.Sorted(maps.Keys(d.buckets)))(f)
}
