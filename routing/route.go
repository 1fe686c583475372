package routing

import (
	"math/bits"
)

// Route decides where an invocation may go. It takes no lock, does no I/O and
// allocates nothing once d's arrays have grown.
func (r *Router) Route(q *Query, d *Decision) {
	d.restart()
	a := &d.assessment
	if d.Reason = a.resolve(r, q); d.Reason != ReasonNone {
		return
	}
	if len(a.targets) == 0 {
		d.offerAll(q)
	} else {
		if b := a.snap.tables.book(a.targets[0].entry.policyOf(a.targets[0].rule)); b != nil {
			d.Balance = b.balance
		}
		d.offerHolders(q)
		if a.overload(q, d) {
			d.Candidates, d.rank = d.Candidates[:0], 0
			d.offerHolders(q)
		}
		if d.rank == 0 || d.rank > rankSettled {
			d.offerRemote(q)
		}
	}
	if len(d.Candidates) == 0 && len(a.targets) > 0 {
		d.offerDraining(q)
	}
	if len(d.Candidates) == 0 {
		d.Reason = a.refusal()
	}
}

// offerDraining offers the holders that drain, to an invocation that nothing else can take:
// data that can't leave, or has not yet, is used where it is.
func (d *Decision) offerDraining(q *Query) {
	d.assessment.lastResort, d.rank = true, 0
	d.offerHolders(q)
}

// offerAll offers every cluster, to an invocation that names no data.
func (d *Decision) offerAll(q *Query) {
	for _, s := range d.assessment.snap.tables.byName {
		if !s.drain {
			d.offer(q, s, d.assessment.place(s, LocalityNone))
		}
	}
}

// offerRemote offers the clusters that may read the inputs from elsewhere, if the
// policies let them.
func (d *Decision) offerRemote(q *Query) {
	a := &d.assessment
	a.prepareMiss()
	if a.reject {
		return
	}
	first := &a.targets[0]
	written := first.entry.writtenIn(first.rule)
	for i, word := range a.remote {
		for ; word != 0; word &= word - 1 {
			s := a.snap.tables.site(clusterID(i<<6 + bits.TrailingZeros64(word)))
			if s == nil || s.drain || !a.keeps(s) {
				continue
			}
			if s.id != written && !first.near(s) || a.holds(s) != isCurrent {
				d.offer(q, s, a.place(s, LocalityRemote))
			}
		}
	}
}
