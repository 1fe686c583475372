package catalog

// Snapshot is the whole catalogue as routing sees it, with the state of every
// copy. It is immutable: Edit makes the next one, sharing what did not change.
//
// TODO(snapshot): implement. Sharded map of compact bucket entries; clusters and
// policies interned to dense ids so that a policy or cluster change touches no
// bucket entry; per policy the set of allowed clusters, computed once per change.
type Snapshot struct{}

// NewSnapshot returns an empty snapshot in which only the built-in default policy
// exists.
func NewSnapshot() *Snapshot { return &Snapshot{} }

// Editor collects the changes that make the next snapshot.
type Editor struct{}

// Edit returns the snapshot that f's changes make of s. s itself stays as it is.
// The cost is that of the shards touched, plus that of the tables of zones,
// clusters and policies when one of those changes. Loading a million buckets in one
// Edit copies no shard twice.
func (s *Snapshot) Edit(f func(*Editor)) *Snapshot { f(&Editor{}); return s }

// PutZone, PutCluster, PutPolicy and PutBucket add or replace a valid, normalized
// resource, which must not be changed afterwards. PutBucket keeps the copies a
// bucket of that name has.
func (e *Editor) PutZone(z *Zone)       {}
func (e *Editor) PutCluster(c *Cluster) {}
func (e *Editor) PutPolicy(p *Policy)   {}
func (e *Editor) PutBucket(b *Bucket)   {}

// Delete removes a resource; a bucket's copies go with it. Deleting what is not
// there does nothing.
func (e *Editor) Delete(k Kind, name string) {}

// SetDefaultPolicy names the policy of buckets that name none.
func (e *Editor) SetDefaultPolicy(name string) {}

// SetCopies replaces the copies of a bucket (all rules). An unknown bucket is
// ignored.
func (e *Editor) SetCopies(bucket string, copies []Copy) {}

// The snapshot's readers. What they return is shared: not to be changed.
func (s *Snapshot) Zone(name string) *Zone         { return nil }
func (s *Snapshot) Cluster(name string) *Cluster   { return nil }
func (s *Snapshot) Policy(name string) *Policy     { return nil }
func (s *Snapshot) Zones(f func(*Zone) bool)       {}
func (s *Snapshot) Clusters(f func(*Cluster) bool) {}
func (s *Snapshot) Policies(f func(*Policy) bool)  {}
func (s *Snapshot) DefaultPolicy() string          { return "" }

// Bucket rebuilds the declared form of a bucket; nil when there is none.
func (s *Snapshot) Bucket(name string) *Bucket { return nil }

// Buckets calls f with every bucket's name, in no order, until f returns false.
func (s *Snapshot) Buckets(f func(name string) bool) {}

// Len returns how many resources of a kind there are.
func (s *Snapshot) Len(k Kind) int { return 0 }

// Copies returns the copies of a bucket, of all its rules, in a new slice.
func (s *Snapshot) Copies(bucket string) []Copy { return nil }

// Rules returns the rules of a bucket: the one of prefix "" first, then its prefix
// rules sorted by prefix, each with the name of its policy (the default resolved).
// Nil for an unknown bucket.
func (s *Snapshot) Rules(bucket string) []PrefixRule { return nil }

// RuleOf returns the rule that covers a key: the longest matching prefix wins.
func (s *Snapshot) RuleOf(bucket, key string) (PrefixRule, bool) { return PrefixRule{}, false }

// Allows says whether residency allows the object (bucket, key) in a cluster:
// the one question every write of replication and every choice of routing asks. An
// unknown bucket, policy or cluster is not allowed.
func (s *Snapshot) Allows(bucket, key, cluster string) bool { return false }

// AllowsPolicy says whether a policy allows a cluster.
func (s *Snapshot) AllowsPolicy(policy, cluster string) bool { return false }

// WantedIn returns, appended to dst, the clusters that hold or are getting a copy
// of the key (state waiting, syncing or synced), the primary included and first.
func (s *Snapshot) WantedIn(dst []string, bucket, key string) []string { return dst }

// Primary returns the cluster a bucket is written in, "" while there is none.
func (s *Snapshot) Primary(bucket string) string { return "" }

// Endpoints returns every function endpoint, of all clusters.
func (s *Snapshot) Endpoints() []*Endpoint { return nil }

// ClusterState returns the live state of a cluster, nil when there is none of
// that name. It stays the same value across snapshots while the cluster exists.
func (s *Snapshot) ClusterState(name string) *ClusterState { return nil }
