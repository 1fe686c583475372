package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// defaultRate is assumed of a link of which nothing is known, in bytes per second: 100 Mbit/s.
const defaultRate = 12_500_000

// Times take up to so much longer than the slowest link needs.
const (
	spreadMeasured = 1.5
	spreadGuessed  = 3
)

const gb = 1e9

// move compares the copies a bucket has with those it settles at.
func (f *forecaster) move(d *dossier) {
	moves := f.room.moves[:0]
	for i, r := range d.next {
		m := Move{Bucket: d.name, Prefix: r.Prefix, policy: r.Policy, source: r.Prefix}
		if i == 0 && d.before != "" && d.before != d.after {
			m.From, m.To = d.before, d.after
		}
		if !d.has.ruled(r.Prefix) { // a rule of its own from now on: its keys are where those around it are
			m.source, m.partly = d.has.covering(r.Prefix), true
		}
		m.differ(d.has.of(m.source), d.gets.of(r.Prefix), cmp.Or(d.before, d.after))
		moves = append(moves, m)
	}
	for prefix := range d.has.prefixes() {
		if d.ruled(prefix) {
			continue
		}
		cover := coveringRule(d.next, prefix) // which has its keys from now on
		m := Move{Bucket: d.name, Prefix: prefix, policy: cover.Policy, source: prefix, joins: true}
		m.differ(d.has.of(prefix), d.gets.of(cover.Prefix), cmp.Or(d.before, d.after))
		moves = append(moves, m)
	}
	for i := range moves { // what others split off is counted among a rule's own keys yet
		if moves[i].source != moves[i].Prefix {
			for j := range moves {
				moves[j].partly = moves[j].partly || moves[j].Prefix == moves[i].source
			}
		}
	}
	slices.SortFunc(moves, func(a, b Move) int { return strings.Compare(a.Prefix, b.Prefix) })
	f.room.moves = moves
	moved := false
	for i := range moves {
		moved = f.note(&moves[i], d) || moved
	}
	if moved {
		f.out.Moves.Total.Buckets++
	}
}

// differ notes which clusters get the keys and which lose them. Where the bucket is written
// its keys are.
func (m *Move) differ(held, gets places, written string) {
	for _, p := range gets {
		if !held.in(p.cluster) && p.cluster != written {
			m.Add = append(m.Add, p.cluster)
		}
	}
	for _, p := range held {
		if !gets.in(p.cluster) {
			m.Remove = append(m.Remove, p.cluster)
		}
	}
}

// note takes a move in, if it is one.
func (f *forecaster) note(m *Move, d *dossier) bool {
	if len(m.Add)+len(m.Remove) == 0 && m.From == m.To {
		return false
	}
	m.Add, m.Remove = orEmpty(m.Add), orEmpty(m.Remove)
	f.size(m, d)
	f.costs(m, d.before)
	f.removals(m, d.rows)
	f.list(m)
	return true
}

// size tells how much one copy is: what was counted at the primary. Of keys that get a rule of
// their own that is what the rule around them has, at most; what a copy that was leaving still
// has is copied no more.
func (f *forecaster) size(m *Move, d *dossier) {
	data := rowOf(d.rows, m.source, d.before)
	if data != nil {
		m.Objects, m.Bytes = data.Objects, data.Bytes
	}
	if len(m.Add)+len(m.Remove) == 0 {
		return
	}
	guessed := m.partly || data == nil || !data.Counted
	for _, cluster := range m.Add {
		guessed = guessed || rowOf(d.rows, m.source, cluster) != nil
	}
	f.out.Moves.Total.Estimated = f.out.Moves.Total.Estimated || guessed
}

// costs adds what the new copies take of links, storages and money.
func (f *forecaster) costs(m *Move, primary string) {
	t, n := &f.out.Moves.Total, int64(len(m.Add))
	t.Objects, t.Bytes = t.Objects+n*m.Objects, t.Bytes+n*m.Bytes
	if !m.joins { // else the copies are those of the rule that has the keys now
		t.Copies += n
	}
	for _, to := range m.Add {
		f.added[to] += m.Bytes
		if cl := f.change.target.Cluster(to); cl != nil {
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
		row := rowOf(rows, m.source, cluster)
		if row == nil {
			continue
		}
		f.out.Moves.Removed.Objects += row.Objects
		f.out.Moves.Removed.Bytes += row.Bytes
		if cl := f.change.base.Cluster(cluster); cl != nil {
			f.out.Moves.Total.StoragePerMonth -= float64(row.Bytes) / gb * cl.StoragePrice
		}
		if p := f.after.policies[m.policy]; p != nil && !p.allowed[cluster] {
			f.issue(CopyOutside, "bucket "+m.Bucket, fmt.Sprintf("the copy of %q in %s has to leave: policy %s does not allow it there", m.Prefix, cluster, m.policy), false)
		}
	}
}

// coveringRule returns the rule of the keys below a prefix that has none of its own.
func coveringRule(rules []catalog.PrefixRule, prefix string) (cover catalog.PrefixRule) {
	for _, r := range rules {
		if strings.HasPrefix(prefix, r.Prefix) {
			cover = r // the longest comes last
		}
	}
	return cover
}

// list puts a move on the page, if it belongs there.
func (f *forecaster) list(m *Move) {
	moves := &f.out.Moves
	switch {
	case f.page.after(m):
	case len(moves.Buckets) < f.page.Limit:
		moves.Buckets = append(moves.Buckets, *m)
	case moves.Next == "" && len(moves.Buckets) > 0:
		moves.Next = moves.Buckets[len(moves.Buckets)-1].Key()
	}
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
	if l := linkOf(f.change.target, from, to); l != nil {
		declared = float64(l.Bandwidth)
	}
	for _, name := range []string{from, to} {
		if c := f.change.target.Cluster(name); c != nil && c.Storage != nil && c.Storage.Bandwidth > 0 {
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
	if l := linkOf(f.change.target, from, to); l != nil && l.Price != nil {
		return *l.Price
	}
	if c := f.change.target.Cluster(from); c != nil {
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

func rowOf(rows []Row, prefix, cluster string) *Row {
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Prefix == prefix && r.Cluster == cluster })
	if i < 0 {
		return nil
	}
	return &rows[i]
}
