package routing

import (
	"cmp"
	"slices"

	"github.com/fado-project/fado/catalog"
)

// A BucketView answers what a snapshot knows of one bucket: its rules, its copies, where its
// keys may be and may be written. It is as immutable as the snapshot, costs nothing to make
// beyond finding the bucket, and is meant to be asked several questions. That of an unknown
// bucket is asked like any other: it has no rules and no copies, and nothing is allowed in it.
type BucketView struct {
	snap  *Snapshot
	entry *entry // nil for an unknown bucket
}

// Of returns the view of a bucket.
func (s *Snapshot) Of(bucket string) BucketView { return BucketView{s, s.buckets.get(bucket)} }

// Known says whether there is such a bucket. Name, PoliciesIn and ClustersIn are of known ones only.
func (b BucketView) Known() bool { return b.entry != nil }

// Name returns the bucket's.
func (b BucketView) Name() string { return b.entry.name() }

// A Condition is what copies are like, in short.
type Condition uint8

// The conditions. Where a copy has failed the bucket is unsettled, whatever else there is.
const (
	Unsettled Condition = iota // there is no primary or no copy, or one that is not synced
	Settled
	Down // the storage of a copy is
)

// Condition tells the one of the bucket's copies.
func (b BucketView) Condition() Condition {
	if b.entry == nil {
		return Unsettled
	}
	n, down := b.entry.copies(), false
	is := Settled
	if n == 0 || b.entry.primaryOf(0) == 0 {
		is = Unsettled
	}
	for i := range n {
		c := b.entry.copyAt(i)
		switch c.state() {
		case catalog.CopySynced:
		case catalog.CopyFailed:
			return Unsettled
		default:
			is = Unsettled
		}
		at := b.snap.tables.site(c.cluster)
		down = down || at != nil && at.live.Storage() == StorageDown
	}
	if down {
		return Down
	}
	return is
}

// PoliciesIn returns, appended to dst, the policy of each rule; ClustersIn the cluster of each copy, of any
// rule and in any state.
func (b BucketView) PoliciesIn(dst []string) []string {
	for i := range 1 + len(b.entry.rules()) {
		dst = append(dst, b.snap.tables.policyName(b.entry.policyOf(i)))
	}
	return dst
}

// ClustersIn is described with PoliciesIn.
func (b BucketView) ClustersIn(dst []string) []string {
	for i := range b.entry.copies() {
		dst = append(dst, b.snap.tables.clusterIDs.names[b.entry.copyAt(i).cluster])
	}
	return dst
}

// CopyKind is what many copies have in common. One of a rule that is gone has no policy.
type CopyKind struct {
	Policy, Cluster string
	State           catalog.CopyState
}

// CountCopies counts the copies of all buckets.
func (s *Snapshot) CountCopies() map[CopyKind]int {
	kinds := make(map[CopyKind]int)
	s.buckets.all(func(en *entry) bool {
		for i := range en.copies() {
			c := en.copyAt(i)
			kind := CopyKind{Cluster: s.tables.clusterIDs.names[c.cluster], State: c.state()}
			if c.rule() <= len(en.rules()) {
				kind.Policy = s.tables.policyName(en.policyOf(c.rule()))
			}
			kinds[kind]++
		}
		return true
	})
	return kinds
}

// Rules returns the rules of a bucket: the one of prefix "" first, then its prefix rules sorted by prefix, each
// with the name of its policy (the default resolved). Nil for an unknown bucket.
func (b BucketView) Rules() []catalog.PrefixRule {
	en := b.entry
	if en == nil {
		return nil
	}
	rules := make([]catalog.PrefixRule, 1+len(en.rules()))
	for i := range rules {
		rules[i] = b.snap.tables.rule(en, i)
	}
	return rules
}

// RuleOf returns the rule that covers a key, the default policy resolved: the longest
// matching prefix wins. False for an unknown bucket.
func (b BucketView) RuleOf(key string) (catalog.PrefixRule, bool) {
	en := b.entry
	if en == nil {
		return catalog.PrefixRule{}, false
	}
	return b.snap.tables.rule(en, en.ruleOf(key)), true
}

// Allows says whether residency allows the object (bucket, key) in a cluster:
// the one question every write of replication and every choice of routing asks. An
// unknown bucket, policy or cluster is not allowed.
func (b BucketView) Allows(key, cluster string) bool {
	en := b.entry
	return en != nil && b.snap.tables.allows(en.policyOf(en.ruleOf(key)), b.snap.tables.clusterID(cluster))
}

// Copies returns the copies of a bucket, of all its rules, sorted by prefix and
// cluster, in a new slice. A cursor is only kept while the copy is syncing. Copies of
// a prefix rule that is no longer declared are among them, though nothing is routed
// by them.
func (b BucketView) Copies() []catalog.Copy {
	en := b.entry
	if en == nil {
		return nil
	}
	copies := b.snap.tables.copies(en)
	slices.SortFunc(copies, func(c, other catalog.Copy) int {
		return cmp.Or(cmp.Compare(c.Prefix, other.Prefix), cmp.Compare(c.Cluster, other.Cluster))
	})
	return copies
}

// CopyState returns the state of the copy that covers a key in a cluster, and whether it
// is the primary's; false if there is none.
func (b BucketView) CopyState(key, cluster string) (state catalog.CopyState, primary, ok bool) {
	en := b.entry
	if en == nil {
		return 0, false, false
	}
	t := target{entry: en, rule: en.ruleOf(key)}
	c, ok := t.copyIn(b.snap.tables.clusterID(cluster))
	return c.state(), c.primary(), ok
}

// WantedIn returns, appended to dst, the clusters that hold or are getting a copy
// of the key (state waiting, syncing or synced), the primary included and first. Where the
// key's rule is new and has no copies yet, they are those of the rule it belonged to; where
// its former rule's copies are yet to be given to the rule that covers it now, those of both.
func (b BucketView) WantedIn(dst []string, key string) []string {
	en := b.entry
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
		name := b.snap.tables.clusterIDs.names[c.cluster]
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
func (b BucketView) Primary() string {
	if b.entry == nil {
		return ""
	}
	return b.snap.tables.clusterIDs.names[b.entry.primaryOf(0)]
}

// writtenIn returns the cluster that a key is written in, the declared primary while there
// are no copies; "" if there is none.
func (b BucketView) writtenIn(key string) string {
	en := b.entry
	if en == nil {
		return ""
	}
	return b.snap.tables.clusterIDs.names[en.writtenIn(en.ruleOf(key))]
}

// Moving says whether a bucket is about to be written in a cluster; see [Copy].
func (b BucketView) Moving(cluster string) bool {
	en := b.entry
	if en == nil {
		return false
	}
	id := b.snap.tables.clusterID(cluster)
	for i := en.firstCopy(id); i < en.copies(); i++ {
		if c := en.copyAt(i); c.cluster == id && c.moving() {
			return true
		}
	}
	return false
}

// AnyMoving says whether a bucket is about to be written in another cluster.
func (b BucketView) AnyMoving() bool {
	for i := 0; b.entry != nil && i < b.entry.copies(); i++ {
		if b.entry.copyAt(i).moving() {
			return true
		}
	}
	return false
}

// Holds says whether the bucket has a copy in a cluster, of any of its rules and in any state.
func (b BucketView) Holds(cluster string) bool {
	if b.entry == nil {
		return false
	}
	id := b.snap.tables.clusterID(cluster)
	for i := b.entry.firstCopy(id); i < b.entry.copies(); i++ {
		if b.entry.copyAt(i).cluster == id {
			return true
		}
	}
	return false
}

// Elsewhere says whether what is known of a bucket in a cluster was, or may have been, learnt
// at another storage than the cluster has now.
func (b BucketView) Elsewhere(cluster string) bool {
	en := b.entry
	if en == nil {
		return false
	}
	id := b.snap.tables.clusterID(cluster)
	at := b.snap.tables.site(id)
	for i := en.firstCopy(id); at != nil && i < en.copies(); i++ {
		if c := en.copyAt(i); c.cluster == id && c.elsewhere(at) {
			return true
		}
	}
	return false
}
