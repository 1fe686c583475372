package routing

import "github.com/fado-project/fado/catalog"

// offer takes the usable endpoints of a cluster among the candidates if none are
// better than they.
func (d *Decision) offer(q *Query, s *site, at place) {
	a := &d.assessment
	for i := range s.seats {
		ep := &s.seats[i]
		if usable(q, ep) != endpointFree {
			continue
		}
		r := a.rank(q, ep, at)
		if d.rank != 0 && r > d.rank {
			continue
		}
		if r != d.rank {
			d.Candidates, d.rank, d.Locality = d.Candidates[:0], r, at.locality
		}
		d.Candidates = append(d.Candidates, ep.Endpoint)
	}
}

// offerHolders offers the clusters that hold all inputs, which are among those with a
// copy of the first, or that it was pulled to.
func (d *Decision) offerHolders(q *Query) {
	a := &d.assessment
	t := &a.targets[0]
	if len(a.targets) == 1 && t.plain() {
		d.offerPlain(q)
		return
	}
	for i := range t.entry.copies() {
		c := t.entry.copyAt(i)
		if c.rule() != t.rule {
			continue
		}
		if s := a.snap.tables.site(c.cluster); s != nil && !a.closed(s) && a.holds(s) == isCurrent {
			d.offer(q, s, a.place(s, LocalityLocal))
		}
	}
	written := clusterID(0)
	if t.entry.primaryOf(t.rule) == 0 { // the rule, or the bucket, is so new that it has no copies
		written = t.entry.writtenIn(t.rule)
		d.offerUncopied(q, a.snap.tables.site(written))
	}
	if t.pulled == nil {
		return
	}
	for _, e := range *t.pulled {
		if s := a.snap.tables.site(a.snap.tables.clusterID(e.cluster)); s != nil && s.id != written {
			d.offerUncopied(q, s)
		}
	}
}

// offerUncopied offers a cluster that may hold the first input without having a copy of its
// rule. One that has a copy was offered as such.
func (d *Decision) offerUncopied(q *Query, s *site) {
	a := &d.assessment
	if s == nil || a.closed(s) {
		return
	}
	if _, offered := a.targets[0].copyIn(s.id); !offered && a.holds(s) == isCurrent {
		d.offer(q, s, a.place(s, LocalityLocal))
	}
}

// plain says whether the target is what most are: an object, or all, of a bucket with a
// few copies and no prefix rules, none of which is syncing, that was pulled nowhere.
func (t *target) plain() bool {
	return t.entry.more == nil && t.entry.few[0] != 0 && t.pulled == nil && t.Scope != ScopePrefix
}

// missed says whether changes may have been missed where a plain entry is written.
func (a *assessment) missed(en *entry) bool {
	for _, packed := range en.few {
		if c := unpack(packed); c.primary() {
			s := a.snap.tables.site(c.cluster)
			return s != nil && s.live.missedUpTo() != 0
		}
	}
	return false
}

// offerPlain is offerHolders for a single plain target. It asks the same questions of each
// cluster as holds does, of the copy at hand: the entry's one cache line tells it all.
func (d *Decision) offerPlain(q *Query) {
	a := &d.assessment
	t := &a.targets[0]
	b := a.snap.tables.book(t.entry.policy)
	if b == nil {
		return
	}
	bounded := b.anywhere || b.staleness > 0 || a.missed(t.entry)
	for i, packed := range t.entry.few {
		if packed == 0 {
			return
		}
		c := unpack(packed)
		s := a.snap.tables.site(c.cluster)
		switch {
		case s == nil, a.closed(s), !s.stores, !b.allowed.has(c.cluster):
		case !c.primary() && c.state() != catalog.CopySynced:
		case c.elsewhere(s):
		case t.pending != nil && t.pending.has(s.name):
		case (bounded || c.anywhere()) && (!c.primary() || b.anywhere || c.anywhere()) && t.outdated(a.snap, i) != isCurrent:
		default:
			d.offer(q, s, a.place(s, LocalityLocal))
		}
	}
}

// near says whether a cluster has a copy of the target's rule, or the target was pulled
// somewhere: of all clusters but the one where the target is written, no other can hold it.
func (t *target) near(s *site) bool {
	_, copied := t.copyIn(s.id)
	return copied || t.pulled != nil
}

// copyIn returns the copy of the target's rule in a cluster, if there is one.
func (t *target) copyIn(id clusterID) (copyEntry, bool) {
	for i, n := t.entry.firstCopy(id), t.entry.copies(); i < n; i++ {
		c := t.entry.copyAt(i)
		if c.cluster > id {
			break
		}
		if c.cluster == id && c.rule() == t.rule {
			return c, true
		}
	}
	return copyEntry{}, false
}
