package catalog

import (
	"maps"
	"slices"
	"time"
)

// Defaults of what resources leave out.
const (
	DefaultRegion      = "us-east-1"
	DefaultPolicyName  = "default"
	DefaultPullTimeout = Duration(10 * time.Second)
	DefaultPullTTL     = Duration(time.Hour)
)

// BuiltinPolicy is the policy of buckets that name none where no other default is
// declared: one copy, any zone.
func BuiltinPolicy() *Policy {
	p := &Policy{Name: DefaultPolicyName}
	p.Normalize()
	return p
}

// Normalize implements Resource.
func (z *Zone) Normalize() { z.Labels = nilIfEmpty(z.Labels) }

// Normalize implements Resource.
func (c *Cluster) Normalize() {
	c.Zones = orEmpty(c.Zones)
	c.Functions = orEmpty(c.Functions)
	c.Labels = nilIfEmpty(c.Labels)
	if len(c.Links) == 0 {
		c.Links = nil
	}
	for i := range c.Functions {
		if c.Functions[i].Weight == 0 {
			c.Functions[i].Weight = 1
		}
		if len(c.Functions[i].Header) == 0 {
			c.Functions[i].Header = nil
		}
	}
	if c.Storage != nil && c.Storage.Region == "" {
		c.Storage.Region = DefaultRegion
	}
}

// Normalize implements Resource.
func (p *Policy) Normalize() {
	if p.Copies == (Copies{}) {
		p.Copies = Copies{N: 1}
	}
	p.Zones, p.ExcludeZones = orEmpty(p.Zones), orEmpty(p.ExcludeZones)
	p.Clusters, p.Prefer = orEmpty(p.Clusters), orEmpty(p.Prefer)
	if len(p.Balance) == 0 {
		p.Balance = nil
	}
	p.Spread = orDefault(p.Spread, SpreadZone)
	p.Writes = orDefault(p.Writes, WritesPrimary)
	p.Versions = orDefault(p.Versions, VersionsAll)
	p.Primary = orDefault(p.Primary, PrimaryFollow)
	p.OnMiss = orDefault(p.OnMiss, OnMissRemote)
	p.PullTimeout = orDefault(p.PullTimeout, DefaultPullTimeout)
	p.PullTTL = orDefault(p.PullTTL, DefaultPullTTL)
}

// Normalize implements Resource.
func (b *Bucket) Normalize() { b.Prefixes = orEmpty(b.Prefixes) }

// Clone implements Resource.
func (z *Zone) Clone() Resource {
	c := *z
	c.Labels = maps.Clone(z.Labels)
	return &c
}

// Clone implements Resource.
func (c *Cluster) Clone() Resource {
	d := *c
	d.Zones, d.Functions, d.Labels = slices.Clone(c.Zones), slices.Clone(c.Functions), maps.Clone(c.Labels)
	d.Links = slices.Clone(c.Links)
	for i, l := range d.Links {
		if l.Price != nil {
			price := *l.Price
			d.Links[i].Price = &price
		}
	}
	for i := range d.Functions {
		f := &d.Functions[i]
		f.Header = slices.Clone(f.Header)
		if f.Sign != nil {
			sign := *f.Sign
			f.Sign = &sign
		}
	}
	if c.Storage != nil {
		s := *c.Storage
		d.Storage = &s
	}
	return &d
}

// Clone implements Resource.
func (p *Policy) Clone() Resource {
	q := *p
	q.Zones, q.ExcludeZones = slices.Clone(p.Zones), slices.Clone(p.ExcludeZones)
	q.Clusters, q.Prefer = slices.Clone(p.Clusters), slices.Clone(p.Prefer)
	q.Balance = slices.Clone(p.Balance)
	return &q
}

// Clone implements Resource.
func (b *Bucket) Clone() Resource {
	c := *b
	c.Prefixes = slices.Clone(b.Prefixes)
	return &c
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// nilIfEmpty makes labels that hold nothing those left out: JSON leaves both out.
func nilIfEmpty(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	return labels
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
