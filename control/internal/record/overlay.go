package record

import "github.com/fado-project/fado/catalog"

// Overlay is a Lookup in which one resource already is what it is about to become.
type Overlay struct {
	catalog.Lookup
	To catalog.Resource
}

// Zone implements catalog.Lookup.
func (o *Overlay) Zone(name string) *catalog.Zone {
	if z, ok := o.To.(*catalog.Zone); ok && z.Name == name {
		return z
	}
	return o.Lookup.Zone(name)
}

// Cluster implements catalog.Lookup.
func (o *Overlay) Cluster(name string) *catalog.Cluster {
	if c, ok := o.To.(*catalog.Cluster); ok && c.Name == name {
		return c
	}
	return o.Lookup.Cluster(name)
}

// Policy implements catalog.Lookup.
func (o *Overlay) Policy(name string) *catalog.Policy {
	if p, ok := o.To.(*catalog.Policy); ok && p.Name == name {
		return p
	}
	return o.Lookup.Policy(name)
}

// Clusters implements catalog.Lookup.
func (o *Overlay) Clusters(f func(*catalog.Cluster) bool) {
	next, _ := o.To.(*catalog.Cluster)
	if next != nil && !f(next) {
		return
	}
	o.Lookup.Clusters(func(c *catalog.Cluster) bool { return next != nil && c.Name == next.Name || f(c) })
}

// Zones implements catalog.Lookup.
func (o *Overlay) Zones(f func(*catalog.Zone) bool) {
	next, _ := o.To.(*catalog.Zone)
	if next != nil && !f(next) {
		return
	}
	o.Lookup.Zones(func(z *catalog.Zone) bool { return next != nil && z.Name == next.Name || f(z) })
}
