package routing

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/fado-project/fado/catalog"
)

// feedState is what the feed of a cluster's storage tells, and what it may not have told.
type feedState struct {
	exact atomic.Bool   // every change at the storage is told within moments
	gap   atomic.Uint32 // a moment: changes before it may not have been told; 0: there is no gap
}

// SetExact notes whether every change made at the storage is told within moments.
func (s *ClusterState) SetExact(exact bool) { s.feed.exact.Store(exact) }

// Exact says whether every change made at the storage is told within moments.
func (s *ClusterState) Exact() bool { return s.feed.exact.Load() }

// OpenGap notes that changes made at the storage are not told from now on: until the gap is
// closed no comparison counts.
func (s *ClusterState) OpenGap() { s.feed.gap.Store(uint32(always)) }

// CloseGap notes that what was changed at the storage up to a time may not have been told:
// comparisons that began then or later count.
func (s *ClusterState) CloseGap(at time.Time) { s.feed.gap.Store(uint32(momentAfter(at))) }

// ForgetGap notes that everything was compared since the gap was closed at a time, as
// [ClusterState.Gap] returned it. A gap that was opened or closed since stays.
func (s *ClusterState) ForgetGap(at time.Time) {
	s.feed.gap.CompareAndSwap(uint32(momentOf(at)), 0)
}

// DropGap notes that nothing is promised about changes at the storage: no feed tells of
// them, and what is known of copies is what the last comparison found.
func (s *ClusterState) DropGap() { s.feed.gap.Store(0) }

// Gap returns the time since which comparisons count, zero if there is no gap; open while
// none counts.
func (s *ClusterState) Gap() (at time.Time, open bool) {
	m := moment(s.feed.gap.Load())
	if m == always {
		return time.Time{}, true
	}
	return m.time(), false
}

// missedUpTo returns up to when changes at the storage may not have been told, 0 for never.
// A storage that is down is taken to be as it was when it could last be asked: nothing is
// gained by not using what is known of it.
func (s *ClusterState) missedUpTo() moment {
	m := moment(s.feed.gap.Load())
	if m != 0 && s.Storage() == StorageDown {
		return 0
	}
	return m
}

// Compared knows the comparisons under way: how far each came. Readers take no lock.
type Compared struct {
	walks *xsync.Map[CopyName, walked]
}

// CopyName names a copy.
type CopyName struct{ Bucket, Prefix, Cluster string }

// walked is how far a comparison came that began at a time.
type walked struct {
	began  moment
	cursor string
}

func newCompared() *Compared {
	return &Compared{walks: xsync.NewMap[CopyName, walked]()}
}

// Walk notes that every key of a copy up to and including a cursor was compared with the
// primary, in a comparison that began at a time. It must have begun at the first key.
func (c *Compared) Walk(copy CopyName, began time.Time, cursor string) {
	c.walks.Store(copy, walked{momentOf(began), cursor})
}

// EndWalk forgets a comparison under way: the copy's row says what became of it.
func (c *Compared) EndWalk(copy CopyName) { c.walks.Delete(copy) }

// outdated says whether an entry's i-th copy, though it is as FaDO knows it, may not be what
// is true: changes may have been missed since it was compared, or its policy bounds for how
// long a comparison counts. The copy is not one that alone is written.
func (t *target) outdated(snap *Snapshot, i int) verdict {
	en, c := t.entry, t.entry.copyAt(i)
	b := snap.tables.book(en.policyOf(c.rule()))
	anywhere := c.anywhere() || b != nil && b.anywhere
	exact, compared := true, t.comparedAt(snap, i)
	for j, n := 0, en.copies(); j < n; j++ {
		w := en.copyAt(j)
		if j == i || w.rule() != c.rule() || !w.primary() && !anywhere {
			continue
		}
		s := snap.tables.site(w.cluster)
		if s == nil {
			continue
		}
		exact = exact && s.live.Exact()
		if t.missed(snap, j, s, compared) {
			return isMissed
		}
	}
	if b != nil && b.staleness > 0 && !exact && (compared == 0 || t.router.now().Sub(compared.time()) > b.staleness) {
		return isOld
	}
	return isCurrent
}

// missed reports whether changes may have been missed of what is written at the entry's j-th copy, since a
// comparison with the primary. What was written elsewhere is found by comparing that copy with the primary.
func (t *target) missed(snap *Snapshot, j int, s *site, compared moment) bool {
	upTo := s.live.missedUpTo()
	if upTo != 0 && !t.entry.copyAt(j).primary() {
		compared = t.comparedAt(snap, j)
	}
	return compared < upTo
}

// comparedAt returns when the comparison began that found the entry's i-th copy to be as it
// is known, as far as the target is concerned; 0 for never.
func (t *target) comparedAt(snap *Snapshot, i int) moment {
	c := t.entry.copyAt(i)
	m := t.entry.comparedAt(i)
	if c.state() == catalog.CopySyncing { // an earlier comparison says nothing
		m = 0
	}
	if t.Scope != ScopeObject {
		return m
	}
	w, ok := t.router.Compared.walks.Load(CopyName{t.entry.name(), t.entry.prefixOf(c.rule()), snap.tables.clusterIDs.names[c.cluster]})
	if ok && t.Key <= w.cursor {
		m = max(m, w.began)
	}
	return m
}

// outdatedPull is outdated for an object that was pulled.
func (t *target) outdatedPull(snap *Snapshot, s *site) verdict {
	en := t.entry
	b := snap.tables.book(en.policyOf(t.rule))
	exact, compared := true, moment(0)
	if e := t.pulled.in(s.name); e != nil {
		compared = moment(e.compared.Load())
	}
	rule := t.rule
	if en.primaryOf(rule) == 0 {
		rule = 0 // it is so new that it has no copies: its keys are written where the bucket is
	}
	for j, n := 0, en.copies(); j < n; j++ {
		w := en.copyAt(j)
		from := snap.tables.site(w.cluster)
		if w.rule() != rule || from == nil || !w.primary() && !w.anywhere() {
			continue
		}
		if w.primary() && t.isPending(from.name, nil) {
			return isDiffers // it was compared with what is behind
		}
		exact = exact && from.live.Exact()
		if t.missed(snap, j, from, compared) {
			return isMissed
		}
	}
	if b != nil && b.staleness > 0 && !exact && (compared == 0 || t.router.now().Sub(compared.time()) > b.staleness) {
		return isOld
	}
	return isCurrent
}

// Behind returns how many buckets are written in a cluster, and calls f with each of them that
// has a copy or an object on demand which does not count because of the cluster's gap, until
// f returns false. It looks at every bucket.
func (r *Router) Behind(cluster string, f func(bucket string) bool) (written int) {
	snap := r.Snapshot()
	s := snap.tables.site(snap.tables.clusterID(cluster))
	if s == nil {
		return 0
	}
	upTo := moment(s.live.feed.gap.Load())
	going := true
	snap.buckets.all(func(en *entry) bool {
		here, behind := en.behind(snap, s.id, upTo)
		if here {
			written++
		}
		if behind {
			going = f(en.name())
		}
		return going
	})
	return written
}

// behind says whether a bucket is written in a cluster, and whether copies of it were not
// compared since a moment that should have been: those in use, and those on their way.
func (en *entry) behind(snap *Snapshot, id clusterID, upTo moment) (written, behind bool) {
	for i := range en.copies() {
		w := en.copyAt(i)
		anywhere := w.anywhere() || w.rule() <= len(en.rules()) && snap.tables.writesAnywhere(en.policyOf(w.rule()))
		if w.cluster != id || !w.primary() && (!anywhere || w.state() != catalog.CopySynced) {
			continue
		}
		written = true
		if !w.primary() {
			behind = behind || en.comparedAt(i) < upTo
			continue
		}
		for j := range en.copies() {
			c := en.copyAt(j)
			if c.rule() != w.rule() || j == i {
				continue
			}
			behind = behind || c.state() == catalog.CopySyncing || c.state() == catalog.CopySynced && en.comparedAt(j) < upTo
		}
	}
	return written, behind
}

// PulledBehind calls f with every object on demand, of buckets written in a cluster, that
// does not count because of the cluster's gap.
func (r *Router) PulledBehind(cluster string, f func(bucket string)) {
	snap := r.Snapshot()
	state := snap.ClusterState(cluster)
	if state == nil {
		return
	}
	upTo := state.feed.gap.Load()
	r.Pulled.objects.Range(func(k pendingKey, s *pulledSet) bool {
		for _, e := range *s {
			if e.Current && e.compared.Load() < upTo && slices.Contains(snap.Of(k.bucket).WantedIn(nil, k.key), cluster) {
				f(k.bucket)
			}
		}
		return true
	})
}

// OldestCompared returns, for each cluster that has synced copies, when the comparison began of
// the copy there that was compared longest ago; zero if one never was. It looks at every bucket.
func (s *Snapshot) OldestCompared() map[string]time.Time {
	oldest := make(map[clusterID]moment)
	s.buckets.all(func(en *entry) bool {
		for i := range en.copies() {
			c := en.copyAt(i)
			if at, known := oldest[c.cluster]; !c.primary() && c.state() == catalog.CopySynced && (!known || en.comparedAt(i) < at) {
				oldest[c.cluster] = en.comparedAt(i)
			}
		}
		return true
	})
	times := make(map[string]time.Time, len(oldest))
	for id, at := range oldest {
		times[s.tables.clusterIDs.names[id]] = at.time()
	}
	return times
}
