package document

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// LinkLoad is what is copied from one cluster to another.
type LinkLoad struct {
	From, To string
	Bytes    int64
	// Rate is in bytes per second.
	Rate       float64
	RateSource RateSource
	Seconds    float64
	Egress     float64
}

// RateSource says where a rate is from.
type RateSource string

// The sources of rates, best first.
const (
	Measured RateSource = "measured"
	Declared RateSource = "declared"
	Default  RateSource = "default"
)

// defaultRate is assumed of a link of which nothing is known, in bytes per second: 100 Mbit/s.
const defaultRate = 12_500_000

// Times take up to so much longer than the slowest link needs.
const (
	spreadMeasured = 1.5
	spreadGuessed  = 3
)

const gb = 1e9

// current says that a copy is one that stays while nothing changes.
func current(c *catalog.Copy) bool { return c.Primary || c.State <= catalog.CopySynced }

// move compares the copies a bucket has with those it settles at.
func (f *forecaster) move(bucket string, next []catalog.PrefixRule, rows []Row, settled []catalog.Copy) {
	before, after := primaryOf(copiesOf(rows)), primaryOf(settled)
	has, gets := byPrefix(copiesOf(rows)), byPrefix(settled)
	var moves []Move
	for i, r := range next {
		m := Move{Bucket: bucket, Prefix: r.Prefix, Add: []string{}, Remove: []string{}, policy: r.Policy}
		if i == 0 && before != "" && before != after {
			m.From, m.To = before, after
		}
		held, known := has[r.Prefix]
		if !known {
			held = has[covering(r.Prefix, has)]
		}
		for _, cluster := range sortedKeys(gets[r.Prefix]) {
			if !held[cluster] && cluster != cmp.Or(before, after) {
				m.Add = append(m.Add, cluster)
			}
		}
		for _, cluster := range sortedKeys(held) {
			if !gets[r.Prefix][cluster] {
				m.Remove = append(m.Remove, cluster)
			}
		}
		moves = append(moves, m)
	}
	for _, prefix := range sortedKeys(has) { // of rules that are no more
		if !slices.ContainsFunc(next, func(r catalog.PrefixRule) bool { return r.Prefix == prefix }) {
			m := Move{Bucket: bucket, Prefix: prefix, Add: []string{}, Remove: []string{}, policy: policyOf(next, prefix)}
			for _, cluster := range sortedKeys(has[prefix]) {
				if !gets[covering(prefix, gets)][cluster] {
					m.Remove = append(m.Remove, cluster)
				}
			}
			moves = append(moves, m)
		}
	}
	slices.SortFunc(moves, func(a, b Move) int { return strings.Compare(a.Prefix, b.Prefix) })
	moved := false
	for i := range moves {
		moved = f.note(&moves[i], rows, has, before) || moved
	}
	if moved {
		f.out.Moves.Total.Buckets++
	}
}

// note takes a move in, if it is one.
func (f *forecaster) note(m *Move, rows []Row, has map[string]map[string]bool, primary string) bool {
	if len(m.Add)+len(m.Remove) == 0 && m.From == m.To {
		return false
	}
	f.size(m, rows, has, primary)
	f.costs(m, primary)
	f.removals(m, rows)
	f.list(m)
	return true
}

// size tells how much one copy is: what was counted at the primary.
func (f *forecaster) size(m *Move, rows []Row, has map[string]map[string]bool, primary string) {
	data := rowOf(rows, m.Prefix, primary)
	if data == nil { // a rule of its own from now on: it has at most what the rule around it has
		f.out.Moves.Total.Estimated = f.out.Moves.Total.Estimated || len(m.Add) > 0
		data = rowOf(rows, covering(m.Prefix, has), primary)
	}
	if data == nil {
		return
	}
	m.Objects, m.Bytes = data.Objects, data.Bytes
	f.out.Moves.Total.Estimated = f.out.Moves.Total.Estimated || !data.Counted && len(m.Add) > 0
}

// costs adds what the new copies take of links, storages and money.
func (f *forecaster) costs(m *Move, primary string) {
	t, n := &f.out.Moves.Total, int64(len(m.Add))
	t.Copies, t.Objects, t.Bytes = t.Copies+n, t.Objects+n*m.Objects, t.Bytes+n*m.Bytes
	for _, to := range m.Add {
		f.added[to] += m.Bytes
		if cl := f.target.Cluster(to); cl != nil {
			t.StoragePerMonth += float64(m.Bytes) / gb * cl.StoragePrice
		}
		if primary == "" {
			continue
		}
		l := f.link(primary, to)
		egress := float64(m.Bytes) / gb * f.price(primary, to)
		l.Bytes, l.Egress = l.Bytes+m.Bytes, l.Egress+egress
		m.Egress += egress
		m.Seconds = max(m.Seconds, float64(m.Bytes)/l.Rate)
	}
	t.Egress += m.Egress
}

// removals adds what copies leave.
func (f *forecaster) removals(m *Move, rows []Row) {
	for _, cluster := range m.Remove {
		f.out.Moves.Removed.Copies++
		row := rowOf(rows, m.Prefix, cluster)
		if row == nil {
			continue
		}
		f.out.Moves.Removed.Objects += row.Objects
		f.out.Moves.Removed.Bytes += row.Bytes
		if cl := f.base.Cluster(cluster); cl != nil {
			f.out.Moves.Total.StoragePerMonth -= float64(row.Bytes) / gb * cl.StoragePrice
		}
		if p := f.after.policies[m.policy]; p != nil && !p.allowed[cluster] {
			f.issue(CopyOutside, "bucket "+m.Bucket, fmt.Sprintf("the copy of %q in %s has to leave: policy %s does not allow it there", m.Prefix, cluster, m.policy), false)
		}
	}
}

// policyOf returns the policy of the keys below a prefix that has no rule.
func policyOf(rules []catalog.PrefixRule, prefix string) (policy string) {
	for _, r := range rules {
		if strings.HasPrefix(prefix, r.Prefix) {
			policy = r.Policy // the longest comes last
		}
	}
	return policy
}

// list puts a move on the page, if it belongs there.
func (f *forecaster) list(m *Move) {
	moves := &f.out.Moves
	switch {
	case f.listed(m):
	case len(moves.Buckets) < f.page.Limit:
		moves.Buckets = append(moves.Buckets, *m)
	case moves.Next == "" && len(moves.Buckets) > 0:
		moves.Next = moves.Buckets[len(moves.Buckets)-1].Key()
	}
}

// listed says that a move belongs to a page before.
func (f *forecaster) listed(m *Move) bool {
	bucket, prefix, _ := strings.Cut(f.page.After, "/") // which no bucket has in its name
	return f.page.After != "" && cmp.Or(strings.Compare(m.Bucket, bucket), strings.Compare(m.Prefix, prefix)) <= 0
}

func (f *forecaster) link(from, to string) *LinkLoad {
	key := [2]string{from, to}
	if l := f.links[key]; l != nil {
		return l
	}
	l := &LinkLoad{From: from, To: to}
	l.Rate, l.RateSource = f.rate(from, to)
	f.links[key] = l
	return l
}

// rate returns the bytes per second of a link, and where that is known from.
func (f *forecaster) rate(from, to string) (float64, RateSource) {
	if f.world.Measured != nil {
		if r := f.world.Measured(from, to); r > 0 {
			return r, Measured
		}
	}
	declared := 0.0
	if l := linkOf(f.target, from, to); l != nil {
		declared = float64(l.Bandwidth)
	}
	for _, name := range []string{from, to} {
		if c := f.target.Cluster(name); c != nil && c.Storage != nil && c.Storage.Bandwidth > 0 {
			if b := float64(c.Storage.Bandwidth); declared == 0 || b < declared {
				declared = b
			}
		}
	}
	if declared > 0 {
		return declared, Declared
	}
	return defaultRate, Default
}

// price returns what a GB costs from one cluster to another.
func (f *forecaster) price(from, to string) float64 {
	if l := linkOf(f.target, from, to); l != nil && l.Price != nil {
		return *l.Price
	}
	if c := f.target.Cluster(from); c != nil {
		return c.EgressPrice
	}
	return 0
}

// linkOf returns what is declared of a link, by the cluster it begins at or else by the
// other; nil if nothing is.
func linkOf(in Catalogue, from, to string) *catalog.Link {
	find := func(at, other string, back bool) *catalog.Link {
		c := in.Cluster(at)
		if c == nil {
			return nil
		}
		for i := range c.Links {
			if l := &c.Links[i]; l.To == other && (!back || !l.OneWay) {
				return l
			}
		}
		return nil
	}
	if l := find(from, to, false); l != nil {
		return l
	}
	return find(to, from, true)
}

// sum works out the links' times, and from them that of all.
func (f *forecaster) sum() {
	t, measured := &f.out.Moves.Total, true
	for _, l := range f.links {
		l.Seconds = float64(l.Bytes) / l.Rate
		t.SecondsLow = max(t.SecondsLow, l.Seconds)
		measured = measured && l.RateSource == Measured
		f.out.Moves.Links = append(f.out.Moves.Links, *l)
	}
	slices.SortFunc(f.out.Moves.Links, func(a, b LinkLoad) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	if t.SecondsHigh = spreadGuessed * t.SecondsLow; measured {
		t.SecondsHigh = spreadMeasured * t.SecondsLow
	}
}

// byPrefix groups the clusters of copies that stay by rule.
func byPrefix(copies []catalog.Copy) map[string]map[string]bool {
	by := make(map[string]map[string]bool)
	for i := range copies {
		c := &copies[i]
		if !current(c) {
			continue
		}
		if by[c.Prefix] == nil {
			by[c.Prefix] = make(map[string]bool)
		}
		by[c.Prefix][c.Cluster] = true
	}
	return by
}

// covering returns the longest prefix that a prefix begins with, itself aside.
func covering[V any](prefix string, among map[string]V) (cover string) {
	for p := range among {
		if p != prefix && strings.HasPrefix(prefix, p) && len(p) > len(cover) {
			cover = p
		}
	}
	return cover
}

func primaryOf(copies []catalog.Copy) string {
	for _, c := range copies {
		if c.Primary {
			return c.Cluster
		}
	}
	return ""
}

func rowOf(rows []Row, prefix, cluster string) *Row {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Prefix == prefix && r.Cluster == cluster })
	if i < 0 {
		return nil
	}
	return &rows[i]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
