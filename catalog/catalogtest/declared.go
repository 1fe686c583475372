// Package catalogtest has a catalogue in memory for tests of what reads one. Only tests use
// it.
package catalogtest

import (
	"maps"
	"slices"

	"github.com/fado-project/fado/catalog"
)

// Declared is a catalogue as plain maps. It is a [catalog.Lookup] and a
// [catalog.BucketLookup].
type Declared struct {
	ZoneMap    map[string]*catalog.Zone
	ClusterMap map[string]*catalog.Cluster
	PolicyMap  map[string]*catalog.Policy
	BucketMap  map[string]*catalog.Bucket
}

// New returns a catalogue that holds the resources, normalized, and the
// built-in policy.
func New(resources ...catalog.Resource) *Declared {
	d := &Declared{
		ZoneMap:    map[string]*catalog.Zone{},
		ClusterMap: map[string]*catalog.Cluster{},
		PolicyMap:  map[string]*catalog.Policy{catalog.DefaultPolicyName: catalog.BuiltinPolicy()},
		BucketMap:  map[string]*catalog.Bucket{},
	}
	for _, r := range resources {
		d.Put(r)
	}
	return d
}

// Put adds or replaces a resource, which it normalizes.
func (d *Declared) Put(r catalog.Resource) {
	r.Normalize()
	switch r := r.(type) {
	case *catalog.Zone:
		d.ZoneMap[r.Name] = r
	case *catalog.Cluster:
		d.ClusterMap[r.Name] = r
	case *catalog.Policy:
		d.PolicyMap[r.Name] = r
	case *catalog.Bucket:
		d.BucketMap[r.Name] = r
	}
}

// Zone returns a zone, nil if it is not declared.
func (d *Declared) Zone(name string) *catalog.Zone { return d.ZoneMap[name] }

// Cluster returns a cluster, nil if it is not declared.
func (d *Declared) Cluster(name string) *catalog.Cluster { return d.ClusterMap[name] }

// Policy returns a policy, nil if it is not declared.
func (d *Declared) Policy(name string) *catalog.Policy { return d.PolicyMap[name] }

// Bucket returns a bucket, nil if it is not declared.
func (d *Declared) Bucket(name string) *catalog.Bucket { return d.BucketMap[name] }

// DefaultPolicy returns the name of the built-in policy.
func (d *Declared) DefaultPolicy() string { return catalog.DefaultPolicyName }

// Zones calls f with every zone until it returns false.
func (d *Declared) Zones(f func(*catalog.Zone) bool) {
	maps.Values(d.ZoneMap)(f)
}

// Clusters calls f with every cluster until it returns false.
func (d *Declared) Clusters(f func(*catalog.Cluster) bool) {
	maps.Values(d.ClusterMap)(f)
}

// Buckets calls f with the names of buckets, sorted, until it returns false.
func (d *Declared) Buckets(f func(string) bool) {
	slices.Values(slices.Sorted(maps.Keys(d.BucketMap)))(f)
}
