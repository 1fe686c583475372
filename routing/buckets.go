package routing

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"sort"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// The bucket table is a persistent hash table of two fixed levels: a change copies
// the root, one node and one shard (some 28 KiB at a million buckets), and leaves the
// rest shared with the snapshots before it. A shard is an open-addressed table of
// entries, searched linearly from the place that the hash gives.
//
// At a million buckets nearly every look-up misses the processor's caches, and each
// memory access that depends on the one before costs as much as all else that a
// decision does. So the first two levels are small enough to stay cached, entries lie
// in the shard itself, and they are told apart by 128 bits of keyed hash instead of by
// their names: the keys are random in every process, and two of a billion names agree
// less often than memory fails.
const (
	nodeBits  = 6
	shardBits = 6
)

// What an edit made carries the edit's number, so that it is copied once per edit
// however often it changes. Numbers are unique in the process.
type (
	bucketTable struct {
		edit  uint64
		len   int
		nodes [1 << nodeBits]*bucketNode
	}
	bucketNode struct {
		shards [1 << shardBits]bucketShard
		counts [1 << shardBits]shardCount // apart, since look-ups don't need them
		edit   uint64
	}
	// bucketShard always has an entry that is empty, once it has any.
	bucketShard []entry
	shardCount  struct {
		edit    uint64
		entries int
	}
	// bucketHash of a name: place says where it is, both what it is. The zero value
	// is no name's.
	bucketHash struct{ place, check uint64 }
)

var nameSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func hashBucket(name string) bucketHash {
	return bucketHash{nameHash(name), maphash.String(nameSeeds[1], name) | 1}
}

func nameHash(name string) uint64 { return maphash.String(nameSeeds[0], name) }

func (h bucketHash) node() uint64  { return h.place >> (64 - nodeBits) }
func (h bucketHash) shard() uint64 { return h.place << nodeBits >> (64 - shardBits) }

// find returns the index of an entry, or else of the empty one it may take. There
// must be one.
func (s bucketShard) find(h bucketHash) (int, bool) {
	home, _ := bits.Mul64(h.place<<(nodeBits+shardBits), uint64(len(s)))
	for i := int(home); ; i++ {
		if i >= len(s) {
			i = 0
		}
		if s[i].hash == h {
			return i, true
		}
		if s[i].hash == (bucketHash{}) {
			return i, false
		}
	}
}

// resized returns a copy with room for so many entries, of which there are fewer.
func (s bucketShard) resized(room int) bucketShard {
	c := make(bucketShard, room)
	for i := range s {
		if h := s[i].hash; h != (bucketHash{}) {
			j, _ := c.find(h)
			c[j] = s[i]
		}
	}
	return c
}

// get returns the entry of a bucket, nil when there is none.
func (t *bucketTable) get(name string) *entry {
	h := hashBucket(name)
	n := t.nodes[h.node()]
	if n == nil {
		return nil
	}
	s := n.shards[h.shard()]
	if len(s) == 0 {
		return nil
	}
	if i, ok := s.find(h); ok {
		return &s[i]
	}
	return nil
}

// all calls f with every entry until f returns false.
func (t *bucketTable) all(f func(*entry) bool) {
	for _, n := range t.nodes {
		if n == nil {
			continue
		}
		for _, s := range n.shards {
			for i := range s {
				if s[i].hash != (bucketHash{}) && !f(&s[i]) {
					return
				}
			}
		}
	}
}

// owned returns the table for an edit to change: t itself when the edit made it,
// else a copy.
func (t *bucketTable) owned(edit uint64) *bucketTable {
	if t.edit == edit {
		return t
	}
	c := *t
	c.edit = edit
	return &c
}

// ownedShard returns the shard of a name, and the count of its entries, for an edit to
// change. t is the edit's own.
func (t *bucketTable) ownedShard(edit uint64, h bucketHash) (*bucketShard, *int) {
	n := t.nodes[h.node()]
	if n == nil || n.edit != edit {
		c := new(bucketNode)
		if n != nil {
			*c = *n
		}
		c.edit = edit
		t.nodes[h.node()] = c
		n = c
	}
	s, count := &n.shards[h.shard()], &n.counts[h.shard()]
	if count.edit != edit {
		count.edit = edit
		*s = slices.Clone(*s)
	}
	return s, &count.entries
}

// ownedEntry returns the entry of a bucket for an edit to change, adding one when
// there is none. It is good until the next call. t is the edit's own.
func (t *bucketTable) ownedEntry(edit uint64, name string) *entry {
	h := hashBucket(name)
	s, count := t.ownedShard(edit, h)
	if 4*(*count+1) > 3*len(*s) {
		*s = s.resized(max(4, 2*len(*s)))
	}
	i, ok := s.find(h)
	if !ok {
		(*s)[i] = entry{hash: h, rest: &entryRest{name: strings.Clone(name)}}
		*count++
		t.len++
	}
	return &(*s)[i]
}

// remove takes a bucket out. t is the edit's own.
func (t *bucketTable) remove(edit uint64, name string) {
	h := hashBucket(name)
	s, count := t.ownedShard(edit, h)
	if len(*s) == 0 {
		return
	}
	if i, ok := s.find(h); ok {
		(*s)[i] = entry{}
		*s = s.resized(len(*s)) // what stood behind it may belong before it
		*count--
		t.len--
	}
}

// trim gives back what room the shards that an edit made have to spare, so that two
// thirds of it are used.
func (t *bucketTable) trim(edit uint64) {
	if t.edit != edit {
		return
	}
	for _, n := range t.nodes {
		if n == nil || n.edit != edit {
			continue
		}
		for i := range n.shards {
			c := &n.counts[i]
			if room := max(4, c.entries*3/2+1); c.edit == edit && len(n.shards[i]) > room*5/4 {
				n.shards[i] = n.shards[i].resized(room)
			}
		}
	}
}

// entry is a bucket as routing knows it. There may be millions, so that what few buckets
// have is in more. What a plain decision looks at is in the entry itself, which is as large
// as a cache line and lies in one: of entries that are any larger, every other decision waits
// for memory twice.
type entry struct {
	hash    bucketHash
	more    *entryMore
	policy  policyID  // 0: the default policy
	primary clusterID // as declared, with promotesManually and locksObjects; 0: none
	// few has the copies, packed, when there are no more than these and all are of
	// the bucket's own rule; 0 is none.
	few  [entryRoom]uint32
	rest *entryRest // nil where the entry is empty
	_    [8]byte
}

// entryRest is what plain decisions do not look at. It is never changed, only replaced.
type entryRest struct {
	name string
	// compared says when each of few was compared.
	compared [entryRoom]moment
}

func (en *entry) name() string { return en.rest.name }

const entryRoom = 4

// promotesManually, in entry.primary, says that people swap the primary to the declared one.
const promotesManually clusterID = 1 << 31

// locksObjects, in entry.primary, says that the bucket was created with object lock.
const locksObjects clusterID = 1 << 30

// declared returns the declared primary, 0 if there is none.
func (en *entry) declared() clusterID { return en.primary &^ (promotesManually | locksObjects) }

// entryMore is what most buckets don't have. It is never changed, only replaced.
type entryMore struct {
	rules  []rule      // declared prefix rules, sorted by prefix
	copies []copyEntry // when they don't fit in entry.few
	// compared says when each of copies was compared.
	compared []moment
	// orphans are the prefixes, sorted, of copies whose rule is no longer declared:
	// nothing is routed by them, and replication is about to take them down.
	orphans []string
	cursors []string // beside the copies; nil when no copy is syncing
}

type rule struct {
	prefix string
	policy policyID
}

// copyEntry is a copy of one rule in one cluster. The rule is an index: 0 is the
// bucket's own, then the declared prefix rules, then the orphans.
type copyEntry struct {
	cluster clusterID
	bits    uint32 // rule<<copyFlagBits | flags | state
}

// The bits of a copy: three for its state, one for each flag, then the number of the
// address that it was learnt at; see addressTable.
const (
	copyStateMask = 1<<3 - 1

	copyPrimary  = 1 << 3
	copyMoving   = 1 << 4
	copyAnywhere = 1 << 5
	copyFormer   = 1 << 6
	copyHeld     = 1 << 7
	copyMade     = 1 << 8
	copyVerified = 1 << 9
	copyStopped  = 1 << 10

	copyAtShift = 11
	copyAtBits  = 7

	copyFlagBits = copyAtShift + copyAtBits
	copyFlags    = 1<<copyFlagBits - 1
)

func newCopyEntry(cluster clusterID, rule int, at addressNo, c *catalog.Copy) copyEntry {
	return copyEntry{
		cluster, uint32(rule)<<copyFlagBits | uint32(c.State) |
			bit(c.Primary, copyPrimary) | bit(c.Moving, copyMoving) | bit(c.Anywhere, copyAnywhere) |
			bit(c.FormerPrimary, copyFormer) | bit(c.HeldDeletes, copyHeld) |
			bit(c.MadeBucket, copyMade) | bit(c.Verified, copyVerified) |
			bit(c.Stopped, copyStopped) | uint32(at)<<copyAtShift,
	}
}

func bit(set bool, b uint32) uint32 {
	if set {
		return b
	}
	return 0
}

func (c copyEntry) has(flag uint32) bool { return c.bits&flag != 0 }

func (c copyEntry) rule() int                { return int(c.bits >> copyFlagBits) }
func (c copyEntry) primary() bool            { return c.has(copyPrimary) }
func (c copyEntry) moving() bool             { return c.has(copyMoving) }
func (c copyEntry) anywhere() bool           { return c.has(copyAnywhere) }
func (c copyEntry) stopped() bool            { return c.has(copyStopped) }
func (c copyEntry) at() addressNo            { return addressNo(c.bits >> copyAtShift & (1<<copyAtBits - 1)) }
func (c copyEntry) state() catalog.CopyState { return catalog.CopyState(c.bits & copyStateMask) }

// elsewhere says whether what is known of the copy was learnt at another storage than the
// cluster has now, or may have been.
func (c copyEntry) elsewhere(s *site) bool {
	at := c.at()
	return c.stopped() || at != 0 && at != s.at
}

// fits says whether the copy can be packed.
func (c copyEntry) fits() bool { return c.rule() == 0 && c.cluster < 1<<(32-copyFlagBits) }

func (c copyEntry) packed() uint32 { return uint32(c.cluster)<<copyFlagBits | c.bits }

func unpack(c uint32) copyEntry { return copyEntry{clusterID(c >> copyFlagBits), c & copyFlags} }

// copies returns how many copies there are; copyAt returns one of them. They are
// sorted by cluster id, then rule.
func (en *entry) copies() int {
	if en.more != nil && en.more.copies != nil {
		return len(en.more.copies)
	}
	n := 0
	for n < len(en.few) && en.few[n] != 0 {
		n++
	}
	return n
}

func (en *entry) copyAt(i int) copyEntry {
	if en.more != nil && en.more.copies != nil {
		return en.more.copies[i]
	}
	return unpack(en.few[i])
}

// comparedAt returns when the last comparison of a copy with the primary began.
func (en *entry) comparedAt(i int) moment {
	if en.more != nil && en.more.copies != nil {
		return en.more.compared[i]
	}
	return en.rest.compared[i]
}

// rules returns the declared prefix rules.
func (en *entry) rules() []rule {
	if en.more == nil {
		return nil
	}
	return en.more.rules
}

// policyOf returns the policy of a declared rule.
func (en *entry) policyOf(rule int) policyID {
	if rule == 0 {
		return en.policy
	}
	return en.more.rules[rule-1].policy
}

// prefixOf returns the prefix of a rule, declared or not.
func (en *entry) prefixOf(rule int) string {
	if rule == 0 {
		return ""
	}
	if n := len(en.more.rules); rule > n {
		return en.more.orphans[rule-n-1]
	}
	return en.more.rules[rule-1].prefix
}

func (en *entry) cursor(i int) string {
	if en.more == nil || en.more.cursors == nil {
		return ""
	}
	return en.more.cursors[i]
}

// ruleOf returns the declared rule that covers a key: the longest prefix wins. The
// greatest prefix p <= key is it, unless p does not cover the key; then the answer
// covers what p and the key have in common.
func (en *entry) ruleOf(key string) int {
	rules := en.rules()
	if len(rules) == 0 {
		return 0
	}
	for upTo := key; ; {
		i := sort.Search(len(rules), func(i int) bool { return rules[i].prefix > upTo })
		if i == 0 {
			return 0
		}
		p := rules[i-1].prefix
		if strings.HasPrefix(key, p) {
			return i
		}
		upTo = upTo[:commonPrefix(upTo, p)]
	}
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// holding returns the rule whose copies have a key, and another one that may have it as
// well, -1 for none: copies follow a change of the rules a moment later.
func (en *entry) holding(key string) (rule, former int) {
	rule, former = en.ruleOf(key), -1
	if en.more == nil {
		return rule, former
	}
	fresh, length := en.primaryOf(rule) == 0, -1
	for i := range en.copies() {
		r := en.copyAt(i).rule()
		prefix := en.prefixOf(r)
		if r == rule || !strings.HasPrefix(key, prefix) || len(prefix) < length || en.primaryOf(r) == 0 {
			continue
		}
		if fresh || r > len(en.more.rules) && len(prefix) > len(en.prefixOf(rule)) {
			former, length = r, len(prefix)
		}
	}
	return rule, former
}

// rulesBelow returns the declared rules, first to last-1, whose prefix is longer than
// the one given and starts with it.
func (en *entry) rulesBelow(prefix string) (first, last int) {
	rules := en.rules()
	lo := sort.Search(len(rules), func(i int) bool { return rules[i].prefix > prefix })
	n := sort.Search(len(rules)-lo, func(i int) bool { return !strings.HasPrefix(rules[lo+i].prefix, prefix) })
	return lo + 1, lo + n + 1
}

// firstCopy returns where to begin looking for the copies that a cluster holds.
func (en *entry) firstCopy(id clusterID) int {
	if en.more == nil || len(en.more.copies) <= 2*entryRoom {
		return 0
	}
	return sort.Search(len(en.more.copies), func(i int) bool { return en.more.copies[i].cluster >= id })
}

// primaryOf returns the cluster whose copy of a rule is the primary, 0 if none is.
func (en *entry) primaryOf(rule int) clusterID {
	for i := range en.copies() {
		if c := en.copyAt(i); c.primary() && c.rule() == rule {
			return c.cluster
		}
	}
	return 0
}

// writtenIn returns the cluster that a rule's keys are written in, 0 if none is. It is the
// bucket's primary while the rule is new and has no copies, and the declared one while the
// bucket has none.
func (en *entry) writtenIn(rule int) clusterID {
	if c := en.primaryOf(rule); c != 0 {
		return c
	}
	if en.copies() == 0 {
		return en.declared()
	}
	return en.primaryOf(0)
}
