package document

import (
	"cmp"
	"slices"

	"github.com/fado-project/fado/catalog"
)

// Catalogue is one version of what is declared, such as a snapshot of routing.
type Catalogue interface {
	catalog.Lookup
	catalog.BucketLookup
	// Policies calls f for every policy until f returns false.
	Policies(f func(*catalog.Policy) bool)
}

// target is the catalogue as it is after the changes.
type target struct {
	Catalogue
	puts map[id]catalog.Resource
	gone map[id]bool
	// sorted is what is put of each kind that was visited since the last put, by name.
	sorted map[catalog.Kind][]catalog.Resource
}

func newTarget(base Catalogue) *target {
	return &target{Catalogue: base, puts: make(map[id]catalog.Resource), gone: make(map[id]bool)}
}

func (t *target) put(i id, r catalog.Resource) {
	t.puts[i], t.sorted = r, nil
}

// same says that what the base holds of a name is what the target holds.
func (t *target) same(k catalog.Kind, name string) bool {
	return t.puts[id{k, name}] == nil && !t.gone[id{k, name}]
}

// Zone implements catalog.Lookup.
func (t *target) Zone(name string) *catalog.Zone {
	if t.same(catalog.KindZone, name) {
		return t.Catalogue.Zone(name)
	}
	z, _ := t.puts[id{catalog.KindZone, name}].(*catalog.Zone)
	return z
}

// Cluster implements catalog.Lookup.
func (t *target) Cluster(name string) *catalog.Cluster {
	if t.same(catalog.KindCluster, name) {
		return t.Catalogue.Cluster(name)
	}
	c, _ := t.puts[id{catalog.KindCluster, name}].(*catalog.Cluster)
	return c
}

// Policy implements catalog.Lookup. Behind a declared policy of its name is the built-in one.
func (t *target) Policy(name string) *catalog.Policy {
	if t.same(catalog.KindPolicy, name) {
		return t.Catalogue.Policy(name)
	}
	p, _ := t.puts[id{catalog.KindPolicy, name}].(*catalog.Policy)
	if p == nil && name == catalog.DefaultPolicyName {
		return catalog.BuiltinPolicy()
	}
	return p
}

// Bucket implements catalog.BucketLookup.
func (t *target) Bucket(name string) *catalog.Bucket {
	if t.same(catalog.KindBucket, name) {
		return t.Catalogue.Bucket(name)
	}
	b, _ := t.puts[id{catalog.KindBucket, name}].(*catalog.Bucket)
	return b
}

// Zones implements catalog.Lookup.
func (t *target) Zones(f func(*catalog.Zone) bool) {
	eachOf(t, catalog.KindZone, t.Catalogue.Zones, (*catalog.Zone).ResourceName, f)
}

// Clusters implements catalog.Lookup.
func (t *target) Clusters(f func(*catalog.Cluster) bool) {
	eachOf(t, catalog.KindCluster, t.Catalogue.Clusters, (*catalog.Cluster).ResourceName, f)
}

// Policies implements Catalogue.
func (t *target) Policies(f func(*catalog.Policy) bool) {
	builtin := t.gone[id{catalog.KindPolicy, catalog.DefaultPolicyName}]
	eachOf(t, catalog.KindPolicy, t.Catalogue.Policies, (*catalog.Policy).ResourceName, func(p *catalog.Policy) bool {
		if !f(p) {
			builtin = false
			return false
		}
		return true
	})
	if builtin {
		f(catalog.BuiltinPolicy())
	}
}

// Buckets implements catalog.BucketLookup.
func (t *target) Buckets(f func(name string) bool) {
	goOn := true
	t.Catalogue.Buckets(func(name string) bool {
		if t.same(catalog.KindBucket, name) {
			goOn = f(name)
		}
		return goOn
	})
	for _, r := range t.sortedPuts(catalog.KindBucket) {
		if !goOn {
			return
		}
		goOn = f(r.ResourceName())
	}
}

// eachOf visits the resources of a kind: those of the base that stay, then those put.
func eachOf[R catalog.Resource](t *target, k catalog.Kind, base func(func(R) bool), name func(R) string, f func(R) bool) {
	goOn := true
	base(func(r R) bool {
		if t.same(k, name(r)) {
			goOn = f(r)
		}
		return goOn
	})
	for _, r := range t.sortedPuts(k) {
		if !goOn {
			return
		}
		goOn = f(r.(R))
	}
}

// sortedPuts returns what is put of a kind, sorted by name. Every resource that is checked asks.
func (t *target) sortedPuts(k catalog.Kind) []catalog.Resource {
	if t.sorted == nil {
		t.sorted = make(map[catalog.Kind][]catalog.Resource)
		for i, r := range t.puts {
			t.sorted[i.kind] = append(t.sorted[i.kind], r)
		}
		for _, rs := range t.sorted {
			slices.SortFunc(rs, func(a, b catalog.Resource) int { return cmp.Compare(a.ResourceName(), b.ResourceName()) })
		}
	}
	return t.sorted[k]
}
