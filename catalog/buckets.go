package catalog

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"slices"
	"sort"
	"strings"
)

// The bucket table is a persistent hash table of two fixed levels: a change copies
// the root, one node and one shard (about 6 KiB at a million buckets), and leaves
// the rest shared with the snapshots before it. A shard is a slice sorted by hash,
// which needs no spare room, and since hashes are uniform the place of one is
// guessed to within a few slots.
const (
	nodeBits  = 8
	shardBits = 6
)

// Everything that an edit made carries the edit's number, so that it is copied once
// per edit however often it changes. Numbers are unique in the process.
type (
	bucketTable struct {
		edit  uint64
		len   int
		nodes [1 << nodeBits]*bucketNode
	}
	bucketNode struct {
		edit   uint64
		shards [1 << shardBits]bucketShard
	}
	bucketShard struct {
		edit  uint64
		slots []bucketSlot
	}
	bucketSlot struct {
		hash  uint64
		entry *entry
	}
)

var nameSeed = maphash.MakeSeed()

func nameHash(name string) uint64 { return maphash.String(nameSeed, name) }

// find returns the slot a name is in, or else the one it belongs in.
func (s *bucketShard) find(hash uint64, name string) (int, bool) {
	place, _ := bits.Mul64(hash<<(nodeBits+shardBits), uint64(len(s.slots)))
	i := int(place)
	for i > 0 && s.slots[i-1].hash >= hash {
		i--
	}
	for i < len(s.slots) && s.slots[i].hash < hash {
		i++
	}
	for ; i < len(s.slots) && s.slots[i].hash == hash; i++ {
		if s.slots[i].entry.name == name {
			return i, true
		}
	}
	return i, false
}

func nodeIndex(hash uint64) uint64  { return hash >> (64 - nodeBits) }
func shardIndex(hash uint64) uint64 { return hash << nodeBits >> (64 - shardBits) }

// get returns the entry of a bucket, nil when there is none.
func (t *bucketTable) get(name string) *entry {
	hash := nameHash(name)
	n := t.nodes[nodeIndex(hash)]
	if n == nil {
		return nil
	}
	s := &n.shards[shardIndex(hash)]
	if i, ok := s.find(hash, name); ok {
		return s.slots[i].entry
	}
	return nil
}

// all calls f with every entry until f returns false.
func (t *bucketTable) all(f func(*entry) bool) {
	for _, n := range t.nodes {
		if n == nil {
			continue
		}
		for i := range n.shards {
			for _, slot := range n.shards[i].slots {
				if !f(slot.entry) {
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

// ownedShard returns the shard of a hash for an edit to change. t is the edit's own.
func (t *bucketTable) ownedShard(edit, hash uint64) *bucketShard {
	n := t.nodes[nodeIndex(hash)]
	if n == nil || n.edit != edit {
		c := new(bucketNode)
		if n != nil {
			*c = *n
		}
		c.edit = edit
		t.nodes[nodeIndex(hash)] = c
		n = c
	}
	s := &n.shards[shardIndex(hash)]
	if s.edit != edit {
		s.edit = edit
		s.slots = append(make([]bucketSlot, 0, len(s.slots)+1), s.slots...)
	}
	return s
}

// ownedEntry returns the entry of a bucket for an edit to change, adding it when
// create is set; nil when there is none and none is made. t is the edit's own.
func (t *bucketTable) ownedEntry(edit uint64, name string, create bool) *entry {
	hash := nameHash(name)
	s := t.ownedShard(edit, hash)
	i, ok := s.find(hash, name)
	switch {
	case !ok && !create:
		return nil
	case !ok:
		en := &entry{edit: edit, name: strings.Clone(name)}
		s.slots = slices.Insert(s.slots, i, bucketSlot{hash, en})
		t.len++
		return en
	}
	en := s.slots[i].entry
	if en.edit != edit {
		c := *en
		c.edit = edit
		en = &c
		s.slots[i].entry = en
	}
	return en
}

// remove takes a bucket out. t is the edit's own.
func (t *bucketTable) remove(edit uint64, name string) {
	hash := nameHash(name)
	s := t.ownedShard(edit, hash)
	if i, ok := s.find(hash, name); ok {
		s.slots = slices.Delete(s.slots, i, i+1)
		t.len--
	}
}

// entry is a bucket as routing knows it. There may be millions: it takes 64 bytes,
// its name, and 8 bytes per copy; what few buckets have is in more.
type entry struct {
	edit    uint64
	name    string
	copies  []copyEntry // sorted by cluster id, then rule
	more    *entryMore
	policy  policyID  // 0: the default policy
	primary clusterID // as declared; 0: none
}

// entryMore is what most buckets don't have. It is never changed, only replaced.
type entryMore struct {
	rules []rule // declared prefix rules, sorted by prefix
	// orphans are the prefixes, sorted, of copies whose rule is no longer declared:
	// nothing is routed by them, and replication is about to take them down.
	orphans []string
	cursors []string // beside entry.copies; nil when no copy is syncing
}

type rule struct {
	prefix string
	policy policyID
}

// copyEntry is a copy of one rule in one cluster. The rule is an index: 0 is the
// bucket's own, then the declared prefix rules, then the orphans.
type copyEntry struct {
	cluster clusterID
	bits    uint32 // rule<<4 | primary<<3 | state
}

func newCopyEntry(cluster clusterID, rule int, c *Copy) copyEntry {
	b := uint32(rule)<<4 | uint32(c.State)
	if c.Primary {
		b |= 1 << 3
	}
	return copyEntry{cluster, b}
}

func (c copyEntry) rule() int        { return int(c.bits >> 4) }
func (c copyEntry) primary() bool    { return c.bits&(1<<3) != 0 }
func (c copyEntry) state() CopyState { return CopyState(c.bits & 7) }

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

// rulesBelow returns the declared rules, first to last-1, whose prefix is longer than
// the one given and starts with it.
func (en *entry) rulesBelow(prefix string) (first, last int) {
	rules := en.rules()
	lo := sort.Search(len(rules), func(i int) bool { return rules[i].prefix > prefix })
	n := sort.Search(len(rules)-lo, func(i int) bool { return !strings.HasPrefix(rules[lo+i].prefix, prefix) })
	return lo + 1, lo + n + 1
}

// copiesIn returns the range of the copies that a cluster holds.
func (en *entry) copiesIn(id clusterID) (first, last int) {
	n := len(en.copies)
	if n > 8 {
		first = sort.Search(n, func(i int) bool { return en.copies[i].cluster >= id })
	} else {
		for first < n && en.copies[first].cluster < id {
			first++
		}
	}
	for last = first; last < n && en.copies[last].cluster == id; last++ {
	}
	return first, last
}

// primaryOf returns the cluster whose copy of a rule is the primary, 0 if none is.
func (en *entry) primaryOf(rule int) clusterID {
	for _, c := range en.copies {
		if c.primary() && c.rule() == rule {
			return c.cluster
		}
	}
	return 0
}

// setRules replaces the declared prefix rules and keeps the copies.
func (e *Editor) setRules(en *entry, prefixes []PrefixRule) {
	if len(prefixes) == 0 && len(en.rules()) == 0 {
		return
	}
	copies := e.next.copiesOf(en)
	rules := make([]rule, len(prefixes))
	for i, p := range prefixes {
		rules[i] = rule{strings.Clone(p.Prefix), e.policyID(p.Policy)}
	}
	slices.SortFunc(rules, func(a, b rule) int { return cmp.Compare(a.prefix, b.prefix) })
	en.more = &entryMore{rules: rules}
	e.setCopies(en, copies)
}

// placedCopy is a copy on its way into an entry.
type placedCopy struct {
	copyEntry
	cursor string
}

// setCopies replaces the copies of an entry that the edit owns.
func (e *Editor) setCopies(en *entry, copies []Copy) {
	rules := en.rules()
	orphans := orphansOf(rules, copies)
	placed, cursors := e.placed[:0], 0
	for i := range copies {
		c := &copies[i]
		p := placedCopy{copyEntry: newCopyEntry(e.clusterID(c.Cluster), ruleIndex(rules, orphans, c.Prefix), c)}
		if c.State == CopySyncing && c.Cursor != "" {
			p.cursor = strings.Clone(c.Cursor)
			cursors++
		}
		placed = append(placed, p)
	}
	slices.SortFunc(placed, func(a, b placedCopy) int {
		return cmp.Or(cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.rule(), b.rule()))
	})
	placed = slices.CompactFunc(placed, func(a, b placedCopy) bool {
		return a.cluster == b.cluster && a.rule() == b.rule()
	})
	en.copies = make([]copyEntry, len(placed))
	for i, p := range placed {
		en.copies[i] = p.copyEntry
	}
	en.more = newEntryMore(rules, orphans, placed, cursors)
	e.placed = placed[:0]
}

func newEntryMore(rules []rule, orphans []string, placed []placedCopy, cursors int) *entryMore {
	if len(rules) == 0 && len(orphans) == 0 && cursors == 0 {
		return nil
	}
	m := &entryMore{rules: rules, orphans: orphans}
	if cursors > 0 {
		m.cursors = make([]string, len(placed))
		for i, p := range placed {
			m.cursors[i] = p.cursor
		}
	}
	return m
}

// declaredRule returns the index of the declared rule of exactly this prefix.
func declaredRule(rules []rule, prefix string) (int, bool) {
	if prefix == "" {
		return 0, true
	}
	i := sort.Search(len(rules), func(i int) bool { return rules[i].prefix >= prefix })
	return i + 1, i < len(rules) && rules[i].prefix == prefix
}

func ruleIndex(rules []rule, orphans []string, prefix string) int {
	if i, ok := declaredRule(rules, prefix); ok {
		return i
	}
	i, _ := slices.BinarySearch(orphans, prefix)
	return len(rules) + 1 + i
}

// orphansOf returns the prefixes of copies that no declared rule has, sorted.
func orphansOf(rules []rule, copies []Copy) []string {
	var orphans []string
	for i := range copies {
		if _, ok := declaredRule(rules, copies[i].Prefix); !ok {
			orphans = append(orphans, strings.Clone(copies[i].Prefix))
		}
	}
	slices.Sort(orphans)
	return slices.Compact(orphans)
}
