package routing

import (
	"github.com/fado-project/fado/catalog"
)

// plain says whether the target is what most are: an object, or all, of a bucket with a
// few copies and no prefix rules, none of which is syncing, that was pulled nowhere.
func (t *target) plain() bool {
	return t.entry.more == nil && t.pulled == nil && t.Scope != ScopePrefix
}

// offerPlain is offerHolders for a single plain target. It asks the same questions of each
// cluster as holds does, of the copy at hand: the entry's one cache line tells it all.
func (d *Decision) offerPlain(q *Query) {
	a := &d.assessment
	t := &a.targets[0]
	b := a.snap.book(t.entry.policy)
	if b == nil {
		return
	}
	anywhere := b.policy.Writes == catalog.WritesAnywhere
	for _, packed := range t.entry.few {
		if packed == 0 {
			return
		}
		c := unpack(packed)
		s := a.snap.site(c.cluster)
		switch {
		case s == nil, s.drain, !s.stores, !b.allowed.has(c.cluster):
		case !c.primary() && c.state() != catalog.CopySynced:
		case t.pending != nil && (!c.primary() || anywhere || c.anywhere()) && t.pending.has(s.name):
		default:
			d.offer(q, s, a.place(s, LocalityLocal))
		}
	}
}
