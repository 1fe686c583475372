package routing

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/catalog"
)

// edits numbers the edits of the process; 0 is none.
var edits atomic.Uint64

// Editor collects the changes that make the next snapshot. It is of no use once the
// function it was given to has returned.
type Editor struct {
	base, next *Snapshot
	edit       uint64
	placed     []placedCopy // scratch

	ownZones, ownClusters, ownPolicies, ownKeys bool // the maps were copied, and so changed
	defaultChanged                              bool
}

// NewSnapshot returns an empty snapshot in which only the built-in default policy
// exists.
func NewSnapshot() *Snapshot {
	s := &Snapshot{
		zones:    map[string]*catalog.Zone{},
		clusters: map[string]*catalog.Cluster{},
		policies: map[string]*catalog.Policy{},
		keys:     map[string]*catalog.Key{},
		tables: tables{
			clusterIDs:    newNameTable(),
			policyIDs:     newNameTable(),
			defaultPolicy: catalog.DefaultPolicyName,
		},
		buckets: new(bucketTable),
		sizes:   new(Sizes),
	}
	return s.Edit(func(e *Editor) { e.PutPolicy(catalog.BuiltinPolicy()) })
}

// Edit returns the snapshot that f's changes make of s. s itself stays as it is.
// The cost is that of the shards touched, plus that of the tables of zones,
// clusters and policies when one of those changes. Loading a million buckets in one
// Edit copies no shard twice.
func (s *Snapshot) Edit(f func(*Editor)) *Snapshot {
	next := *s
	e := &Editor{base: s, next: &next, edit: edits.Add(1)}
	f(e)
	next.buckets.trim(e.edit)
	if e.ownZones || e.ownClusters {
		e.rebuildSites()
	}
	if e.ownZones || e.ownClusters || e.ownPolicies || e.defaultChanged {
		e.rebuildBooks()
	}
	return e.next
}

// PutZone adds or replaces a valid, normalized zone, which must not be changed
// afterwards.
func (e *Editor) PutZone(z *catalog.Zone) { put(&e.next.zones, &e.ownZones, z.Name, z) }

// PutCluster adds or replaces a valid, normalized cluster, which must not be changed
// afterwards. Endpoints that stay (same URL) keep their live state.
func (e *Editor) PutCluster(c *catalog.Cluster) { put(&e.next.clusters, &e.ownClusters, c.Name, c) }

// PutPolicy adds or replaces a valid, normalized policy, which must not be changed
// afterwards.
func (e *Editor) PutPolicy(p *catalog.Policy) { put(&e.next.policies, &e.ownPolicies, p.Name, p) }

// PutKey adds or replaces a valid, normalized access key, which must not be changed
// afterwards.
func (e *Editor) PutKey(k *catalog.Key) { put(&e.next.keys, &e.ownKeys, k.Name, k) }

// PutBucket adds or replaces a valid, normalized bucket. It keeps the copies a bucket
// of that name has.
func (e *Editor) PutBucket(b *catalog.Bucket) {
	e.next.buckets = e.next.buckets.owned(e.edit)
	en := e.next.buckets.ownedEntry(e.edit, b.Name)
	en.policy = e.policyID(b.Policy)
	en.primary = e.clusterID(b.Primary)
	if b.Promote == catalog.PromoteManual {
		en.primary |= promotesManually
	}
	if b.ObjectLock {
		en.primary |= locksObjects
	}
	e.setRules(en, b.Prefixes)
}

// Delete removes a resource; a bucket's copies go with it. Deleting what is not
// there does nothing, and deleting the policy that has the built-in one's name
// brings that back. Buckets that name a deleted policy are allowed nowhere until
// there is one of that name again.
func (e *Editor) Delete(k catalog.Kind, name string) {
	switch k {
	case catalog.KindZone:
		remove(&e.next.zones, &e.ownZones, name)
	case catalog.KindCluster:
		remove(&e.next.clusters, &e.ownClusters, name)
	case catalog.KindPolicy:
		remove(&e.next.policies, &e.ownPolicies, name)
		if name == catalog.DefaultPolicyName {
			e.PutPolicy(catalog.BuiltinPolicy())
		}
	case catalog.KindKey:
		remove(&e.next.keys, &e.ownKeys, name)
	case catalog.KindBucket:
		if e.next.buckets.get(name) != nil {
			e.next.buckets = e.next.buckets.owned(e.edit)
			e.next.buckets.remove(e.edit, name)
		}
	}
}

// SetDefaultPolicy names the policy of buckets that name none; "" is the built-in.
func (e *Editor) SetDefaultPolicy(name string) {
	if name == "" {
		name = catalog.DefaultPolicyName
	}
	e.next.tables.defaultPolicy, e.defaultChanged = strings.Clone(name), true
}

// SetHere says in which cluster this instance is; "" where that is not said.
func (e *Editor) SetHere(cluster string) { e.next.here = cluster }

// SetCopies replaces the copies of a bucket (all rules). An unknown bucket is
// ignored.
func (e *Editor) SetCopies(bucket string, copies []catalog.Copy) {
	if e.next.buckets.get(bucket) == nil {
		return
	}
	for i := range copies {
		if c := &copies[i]; c.Primary {
			e.next.sizes.noteRule(bucket, c.Prefix, c.MeanSize)
		}
	}
	e.next.buckets = e.next.buckets.owned(e.edit)
	e.setCopies(e.next.buckets.ownedEntry(e.edit, bucket), copies)
}

func put[T any](m *map[string]T, own *bool, name string, v T) {
	ownMap(m, own)
	(*m)[name] = v
}

func remove[T any](m *map[string]T, own *bool, name string) {
	if _, ok := (*m)[name]; ok {
		ownMap(m, own)
		delete(*m, name)
	}
}

func ownMap[T any](m *map[string]T, own *bool) {
	if !*own {
		*m, *own = maps.Clone(*m), true
	}
}

func (e *Editor) clusterID(name string) clusterID {
	id, t := e.next.tables.clusterIDs.intern(e.edit, name)
	e.next.tables.clusterIDs = t
	return clusterID(id)
}

func (e *Editor) policyID(name string) policyID {
	id, t := e.next.tables.policyIDs.intern(e.edit, name)
	e.next.tables.policyIDs = t
	return policyID(id)
}

// rebuildSites makes the tables of clusters and endpoints, with the live state of
// those that were there before.
func (e *Editor) rebuildSites() {
	names := slices.Sorted(maps.Keys(e.next.clusters))
	for _, name := range names {
		e.clusterID(name)
	}
	t := &e.next.tables
	t.sites = make([]*site, len(t.clusterIDs.names))
	t.byName, t.endpoints = make([]*site, 0, len(names)), nil
	for _, name := range names {
		id := t.clusterID(name)
		site := newSite(e.next.clusters[name], id, e.presentAddress(id, e.next.clusters[name]), e.base.tables.site(id))
		t.sites[id] = site
		t.byName = append(t.byName, site)
		for i := range site.seats {
			t.endpoints = append(t.endpoints, site.seats[i].Endpoint)
		}
	}
}

// rebuildBooks works out what policies allow: all of them when zones or clusters
// changed, else those that are new.
func (e *Editor) rebuildBooks() {
	for name := range e.next.policies {
		e.policyID(name)
	}
	t := &e.next.tables
	t.books = make([]*book, len(t.policyIDs.names))
	for name, p := range e.next.policies {
		id := policyID(t.policyIDs.ids[name])
		before := e.base.tables.book(id)
		if before != nil && before.policy == p && !e.ownZones && !e.ownClusters {
			t.books[id] = before
			continue
		}
		t.books[id] = e.newBook(p)
	}
	t.books[0] = t.book(policyID(t.policyIDs.ids[t.defaultPolicy]))
}

func (e *Editor) newBook(p *catalog.Policy) *book {
	b := &book{
		policy: p, onMiss: p.OnMiss, balance: p.Balance,
		anywhere: p.Writes == catalog.WritesAnywhere, history: p.Versions != catalog.VersionsCurrent, staleness: time.Duration(p.MaxStaleness),
	}
	t := &e.next.tables
	for name, allowed := range catalog.AllowedClusters(p, e.next.zones, e.next.clusters) {
		if id := t.clusterID(name); allowed && t.site(id) != nil {
			b.allowed.add(id)
		}
	}
	return b
}
