package routing

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fado-project/fado/routing/internal/lines"
)

// Ledger counts, for the audit, what is done with objects of buckets' rules: invocations that
// read them, refusals for the sake of residency, and bytes that this instance copies. Counting
// looks nothing up but the count, and its memory is bounded: what finds no room is counted per
// policy, without its bucket.
type Ledger struct {
	on     atomic.Bool
	shards [ledgerShards]ledgerShard
}

const (
	ledgerShards = 8
	// ledgerRoom is how many counts a shard keeps apart by bucket. As many again are kept by
	// policy, and what finds no room there is lost.
	ledgerRoom = 2048
)

type ledgerShard struct {
	mu     sync.Mutex
	counts map[ledgerKey]*ledgerSum
	lost   int64
	_      [64]byte // shards don't share cache lines
}

// LedgerLine is what was counted of one thing.
type LedgerLine = lines.Line

// The kinds: invocations, what policies did not allow, and objects copied through this instance.
const Invoked, Refused, Carried = lines.Invoked, lines.Refused, lines.Carried

// ledgerKey names a count. The entry stands for the bucket; nil: of any.
type ledgerKey struct {
	kind     lines.Kind
	rule     int32
	entry    *entry
	book     *book
	from, to clusterID
	via      clusterID // where this instance is, of what it carries
	by       string
}

type ledgerSum struct{ count, bytes int64 }

// Enable turns counting on or off.
func (l *Ledger) Enable(on bool) { l.on.Store(on) }

// Invoked counts an invocation that a decision sends to an endpoint, for each of its inputs.
func (l *Ledger) Invoked(d *Decision, ep *Endpoint) {
	if !l.on.Load() {
		return
	}
	a := &d.assessment
	for i := range a.targets {
		t := &a.targets[i]
		k := a.ledgerKey(t, Invoked)
		k.to = ep.cluster
		if s := a.sourceOf(t, d.Locality, ep); s != nil {
			k.from = s.id
		}
		n, _ := a.snap.sizes.bytesOf(&t.Input)
		l.add(k, max(0, n))
	}
}

// RefusedBy counts an invocation that a decision refuses because policies forbid it.
func (l *Ledger) RefusedBy(d *Decision) {
	if !l.on.Load() || d.Reason != ReasonZoneForbidden {
		return
	}
	a := &d.assessment
	for i := range a.targets {
		k := a.ledgerKey(&a.targets[i], Refused)
		k.by = "routing"
		l.add(k, 0)
	}
}

func (a *assessment) ledgerKey(t *target, kind lines.Kind) ledgerKey {
	return ledgerKey{kind: kind, rule: int32(t.rule), entry: t.entry, book: a.snap.tables.book(t.entry.policyOf(t.rule))}
}

// Refused counts that an object was not to be written in a cluster, or not to pass through this
// instance, which is in that cluster.
func (l *Ledger) Refused(s *Snapshot, bucket, key, cluster string) {
	l.note(s, bucket, key, ledgerKey{kind: Refused, to: s.tables.clusterID(cluster), by: "guard"}, 0)
}

// Carried counts an object that was copied through this instance.
func (l *Ledger) Carried(s *Snapshot, bucket, key, from, to string, bytes int64) {
	l.note(s, bucket, key, ledgerKey{kind: Carried, from: s.tables.clusterID(from), to: s.tables.clusterID(to), via: s.tables.clusterID(s.here)}, bytes)
}

func (l *Ledger) note(s *Snapshot, bucket, key string, k ledgerKey, bytes int64) {
	en := s.buckets.get(bucket)
	if en == nil || !l.on.Load() {
		return
	}
	rule := en.ruleOf(key)
	k.entry, k.rule, k.book = en, int32(rule), s.tables.book(en.policyOf(rule))
	l.add(k, bytes)
}

func (l *Ledger) add(k ledgerKey, bytes int64) {
	if k.book == nil {
		return // of a policy that is not declared: nothing is allowed by it
	}
	s := &l.shards[rand.Uint32N(ledgerShards)] //nolint:gosec // spreads load, hides nothing
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.counts[k]
	if sum == nil {
		if len(s.counts) >= ledgerRoom {
			k.entry, k.rule = nil, 0
			sum = s.counts[k]
		}
		if sum == nil && len(s.counts) >= 2*ledgerRoom {
			s.lost++
			return
		}
		if sum == nil {
			sum = new(ledgerSum)
			if s.counts == nil {
				s.counts = make(map[ledgerKey]*ledgerSum)
			}
			s.counts[k] = sum
		}
	}
	sum.count, sum.bytes = sum.count+1, sum.bytes+bytes
}

// Take returns what was counted since the last time, in order, and how much found no room. Lines
// that are given are added to it.
func (l *Ledger) Take(s *Snapshot, more ...LedgerLine) (found []LedgerLine, lost int64) {
	sums := lines.Of(more...)
	for i := range l.shards {
		shard := &l.shards[i]
		shard.mu.Lock()
		counts := shard.counts
		lost += shard.lost
		shard.counts, shard.lost = nil, 0
		shard.mu.Unlock()
		for k, sum := range counts {
			line := s.tables.ledgerLine(k)
			line.Count, line.Bytes = sum.count, sum.bytes
			sums.Add(line)
		}
	}
	return sums.Shorten(), lost
}

// ledgerLine names what a key stands for. Ids never change what they stand for.
func (t *tables) ledgerLine(k ledgerKey) LedgerLine {
	line := LedgerLine{
		Kind: k.kind, Any: k.entry == nil, Policy: k.book.policy.Name, Allowed: k.book.names(t),
		From: t.clusterIDs.names[k.from], To: t.clusterIDs.names[k.to], Via: t.clusterIDs.names[k.via], By: k.by,
	}
	if k.entry != nil {
		line.Bucket, line.Prefix = strings.Clone(k.entry.name()), strings.Clone(k.entry.prefixOf(int(k.rule)))
	}
	return line
}

// names returns the clusters that a policy allows, sorted.
func (b *book) names(t *tables) []string {
	names := []string{}
	for id, name := range t.clusterIDs.names {
		if name != "" && b.allowed.has(clusterID(id)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
