package document

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// place is where a copy of a rule is.
type place struct{ prefix, cluster string }

// places are the copies of a bucket, sorted by prefix and cluster.
type places []place

func (ps places) sort() {
	slices.SortFunc(ps, func(a, b place) int {
		return cmp.Or(strings.Compare(a.prefix, b.prefix), strings.Compare(a.cluster, b.cluster))
	})
}

// of returns the places of one rule.
func (ps places) of(prefix string) places {
	from, _ := slices.BinarySearchFunc(ps, prefix, func(p place, prefix string) int { return strings.Compare(p.prefix, prefix) })
	to := from
	for to < len(ps) && ps[to].prefix == prefix {
		to++
	}
	return ps[from:to]
}

// ruled says whether a rule has places.
func (ps places) ruled(prefix string) bool { return len(ps.of(prefix)) > 0 }

// in says whether a cluster is among places.
func (ps places) in(cluster string) bool {
	return slices.ContainsFunc(ps, func(p place) bool { return p.cluster == cluster })
}

// prefixes yields the rules that have places, sorted.
func (ps places) prefixes() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range ps {
			if (i == 0 || ps[i].prefix != ps[i-1].prefix) && !yield(ps[i].prefix) {
				return
			}
		}
	}
}

// covering returns the longest rule with places that a prefix begins with, itself aside; ""
// if there is none.
func (ps places) covering(prefix string) (cover string) {
	for p := range ps.prefixes() {
		if p != prefix && strings.HasPrefix(prefix, p) && len(p) > len(cover) {
			cover = p
		}
	}
	return cover
}

// room is memory that is used again for every bucket.
type room struct {
	has, gets places
	copies    []catalog.Copy
	moves     []Move
}

// copiesOf returns the copies without what is known of their data.
func (r *room) copiesOf(rows []Row) []catalog.Copy {
	r.copies = r.copies[:0]
	for i := range rows {
		r.copies = append(r.copies, rows[i].Copy)
	}
	return r.copies
}
