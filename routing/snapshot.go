package routing

import (
	"cmp"
	"maps"
	"slices"

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
		Name:     en.name,
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
	s.buckets.all(func(en *entry) bool { return f(en.name) })
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

// Copies returns the copies of a bucket, of all its rules, sorted by prefix and
// cluster, in a new slice. A cursor is only kept while the copy is syncing. Copies of
// a prefix rule that is no longer declared are among them, though nothing is routed
// by them.
func (s *Snapshot) Copies(bucket string) []catalog.Copy {
	en := s.buckets.get(bucket)
	if en == nil {
		return nil
	}
	copies := s.tables.copies(en)
	slices.SortFunc(copies, func(a, b catalog.Copy) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Cluster, b.Cluster))
	})
	return copies
}

// Rules returns the rules of a bucket: the one of prefix "" first, then its prefix
// rules sorted by prefix, each with the name of its policy (the default resolved).
// Nil for an unknown bucket.
func (s *Snapshot) Rules(bucket string) []catalog.PrefixRule {
	en := s.buckets.get(bucket)
	if en == nil {
		return nil
	}
	rules := make([]catalog.PrefixRule, 1+len(en.rules()))
	for i := range rules {
		rules[i] = s.tables.rule(en, i)
	}
	return rules
}

// RuleOf returns the rule that covers a key, the default policy resolved: the longest
// matching prefix wins. False for an unknown bucket.
func (s *Snapshot) RuleOf(bucket, key string) (catalog.PrefixRule, bool) {
	en := s.buckets.get(bucket)
	if en == nil {
		return catalog.PrefixRule{}, false
	}
	return s.tables.rule(en, en.ruleOf(key)), true
}

// Allows says whether residency allows the object (bucket, key) in a cluster:
// the one question every write of replication and every choice of routing asks. An
// unknown bucket, policy or cluster is not allowed.
func (s *Snapshot) Allows(bucket, key, cluster string) bool {
	en := s.buckets.get(bucket)
	return en != nil && s.tables.allows(en.policyOf(en.ruleOf(key)), s.tables.clusterID(cluster))
}

// AllowsPolicy says whether a policy allows a cluster. An unknown policy or cluster is
// not allowed.
func (s *Snapshot) AllowsPolicy(policy, cluster string) bool {
	id, ok := s.tables.policyIDs.ids[policy]
	return ok && s.tables.allows(policyID(id), s.tables.clusterID(cluster))
}

// WantedIn returns, appended to dst, the clusters that hold or are getting a copy
// of the key (state waiting, syncing or synced), the primary included and first. Where the
// key's rule is new and has no copies yet, they are those of the rule it belonged to; where
// its former rule's copies are yet to be given to the rule that covers it now, those of both.
func (s *Snapshot) WantedIn(dst []string, bucket, key string) []string {
	en := s.buckets.get(bucket)
	if en == nil {
		return dst
	}
	rule, former := en.holding(key)
	first := len(dst)
	for i := range en.copies() {
		c := en.copyAt(i)
		if c.rule() != rule && c.rule() != former || !c.primary() && c.state() > catalog.CopySynced {
			continue
		}
		name := s.tables.clusterIDs.names[c.cluster]
		at := len(dst)
		if former >= 0 { // two rules may have copies in one cluster
			if k := slices.Index(dst[first:], name); k >= 0 {
				at = first + k
			}
		}
		if at == len(dst) {
			dst = append(dst, name)
		}
		if c.primary() {
			dst[first], dst[at] = dst[at], dst[first]
		}
	}
	return dst
}

// Primary returns the cluster a bucket is written in, "" while there is none.
func (s *Snapshot) Primary(bucket string) string {
	en := s.buckets.get(bucket)
	if en == nil {
		return ""
	}
	return s.tables.clusterIDs.names[en.primaryOf(0)]
}

// writtenIn returns the cluster that a key is written in, the declared primary while there
// are no copies; "" if there is none.
func (s *Snapshot) writtenIn(bucket, key string) string {
	en := s.buckets.get(bucket)
	if en == nil {
		return ""
	}
	return s.tables.clusterIDs.names[en.writtenIn(en.ruleOf(key))]
}

// Moving says whether a bucket is about to be written in a cluster; see [Copy].
func (s *Snapshot) Moving(bucket, cluster string) bool {
	en := s.buckets.get(bucket)
	if en == nil {
		return false
	}
	id := s.tables.clusterID(cluster)
	for i := en.firstCopy(id); i < en.copies(); i++ {
		if c := en.copyAt(i); c.cluster == id && c.moving() {
			return true
		}
	}
	return false
}

// Elsewhere says whether what is known of a bucket in a cluster was, or may have been, learnt
// at another storage than the cluster has now.
func (s *Snapshot) Elsewhere(bucket, cluster string) bool {
	en := s.buckets.get(bucket)
	if en == nil {
		return false
	}
	id := s.tables.clusterID(cluster)
	at := s.tables.site(id)
	for i := en.firstCopy(id); at != nil && i < en.copies(); i++ {
		if c := en.copyAt(i); c.cluster == id && c.elsewhere(at) {
			return true
		}
	}
	return false
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
