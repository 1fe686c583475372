package routing

import (
	"maps"

	"github.com/fado-project/fado/catalog"
)

// Snapshot is the whole catalogue as routing sees it, with the state of every
// copy. It is immutable: Edit makes the next one, sharing what did not change.
//
// Buckets are kept compactly in a persistent table and name their policies and
// clusters by id, so that changing a policy, zone or cluster touches no bucket. What
// each policy allows is worked out once per such change.
type Snapshot struct {
	zones    map[string]*catalog.Zone
	clusters map[string]*catalog.Cluster
	policies map[string]*catalog.Policy
	keys     map[string]*catalog.Key

	tables  tables
	buckets *bucketTable
	sizes   *Sizes // what is known of objects' sizes, one for all snapshots
	here    string // the cluster that this instance is in; "" where that is not said
}

// The snapshot's readers. What they return is shared: not to be changed.

// Zone returns a zone, nil when there is none of that name.
func (s *Snapshot) Zone(name string) *catalog.Zone { return s.zones[name] }

// Cluster returns a cluster, nil when there is none of that name.
func (s *Snapshot) Cluster(name string) *catalog.Cluster { return s.clusters[name] }

// Policy returns a policy, nil when there is none of that name. The built-in policy
// is there unless another has its name.
func (s *Snapshot) Policy(name string) *catalog.Policy { return s.policies[name] }

// Key returns an access key of the S3 endpoint that the API made, nil when there is none of
// that name or the configuration declares one. Whether it expired is for the caller to see.
func (s *Snapshot) Key(name string) *catalog.Key { return s.keys[name] }

// Keys calls f with every access key, in no order, until f returns false.
func (s *Snapshot) Keys(f func(*catalog.Key) bool) { each(s.keys, f) }

// Zones calls f with every zone, in no order, until f returns false.
func (s *Snapshot) Zones(f func(*catalog.Zone) bool) { each(s.zones, f) }

// Clusters calls f with every cluster, sorted by name, until f returns false.
func (s *Snapshot) Clusters(f func(*catalog.Cluster) bool) {
	for _, site := range s.tables.byName {
		if !f(site.cluster) {
			return
		}
	}
}

// Policies calls f with every policy, in no order, until f returns false.
func (s *Snapshot) Policies(f func(*catalog.Policy) bool) { each(s.policies, f) }

// DefaultPolicy returns the name of the policy of buckets that name none.
func (s *Snapshot) DefaultPolicy() string { return s.tables.defaultPolicy }

func each[T any](m map[string]T, f func(T) bool) {
	for v := range maps.Values(m) {
		if !f(v) {
			return
		}
	}
}

// Bucket rebuilds the declared form of a bucket, its prefix rules sorted by prefix;
// nil when there is none.
func (s *Snapshot) Bucket(name string) *catalog.Bucket {
	en := s.buckets.get(name)
	if en == nil {
		return nil
	}
	b := &catalog.Bucket{
		Name:     en.name(),
		Policy:   s.tables.policyIDs.names[en.policy],
		Primary:  s.tables.clusterIDs.names[en.declared()],
		Prefixes: make([]catalog.PrefixRule, 0, len(en.rules())),

		ObjectLock: en.primary&locksObjects != 0,
	}
	if en.primary&promotesManually != 0 {
		b.Promote = catalog.PromoteManual
	}
	for _, r := range en.rules() {
		b.Prefixes = append(b.Prefixes, catalog.PrefixRule{Prefix: r.prefix, Policy: s.tables.policyIDs.names[r.policy]})
	}
	return b
}

// Buckets calls f with every bucket's name, in no order, until f returns false.
func (s *Snapshot) Buckets(f func(name string) bool) {
	s.buckets.all(func(en *entry) bool { return f(en.name()) })
}

// Views calls f with the view of every bucket, in no order, until f returns false. It saves finding each.
func (s *Snapshot) Views(f func(BucketView) bool) {
	s.buckets.all(func(en *entry) bool { return f(BucketView{s, en}) })
}

// BucketsMark tells apart what snapshots have of buckets. Those of one mark have the same buckets, with the same
// rules, policies and copies.
type BucketsMark struct {
	edit          uint64
	defaultPolicy string
}

// BucketsMark returns the snapshot's.
func (s *Snapshot) BucketsMark() BucketsMark {
	return BucketsMark{s.buckets.edit, s.tables.defaultPolicy}
}

// Len returns how many resources of a kind there are; the built-in policy counts.
func (s *Snapshot) Len(k catalog.Kind) int {
	switch k {
	case catalog.KindZone:
		return len(s.zones)
	case catalog.KindCluster:
		return len(s.clusters)
	case catalog.KindPolicy:
		return len(s.policies)
	case catalog.KindBucket:
		return s.buckets.len
	case catalog.KindKey:
		return len(s.keys)
	default:
		return 0
	}
}

// AllowsPolicy says whether a policy allows a cluster. An unknown policy or cluster is
// not allowed.
func (s *Snapshot) AllowsPolicy(policy, cluster string) bool {
	id, ok := s.tables.policyIDs.ids[policy]
	return ok && s.tables.allows(policyID(id), s.tables.clusterID(cluster))
}

// Endpoints returns every function endpoint, of all clusters sorted by name. An
// endpoint that did not change is the same value in the next snapshot.
func (s *Snapshot) Endpoints() []*Endpoint { return s.tables.endpoints }

// ClusterState returns the live state of a cluster, nil when there is none of
// that name. It stays the same value across snapshots while the cluster exists.
func (s *Snapshot) ClusterState(name string) *ClusterState {
	if site := s.tables.site(s.tables.clusterID(name)); site != nil {
		return site.live
	}
	return nil
}
