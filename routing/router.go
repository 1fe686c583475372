package routing

import (
	"slices"
	"sync/atomic"
	"time"
)

// Router answers routing questions from memory: the current snapshot, and the
// exceptions to it.
type Router struct {
	snap    atomic.Pointer[Snapshot]
	Pending *PendingIndex
	Pulled  *PulledIndex
	Flights *Flights
	// Ledger counts what is put on record.
	Ledger *Ledger
	// Compared is what is being compared.
	Compared *Compared
	now      func() time.Time
}

// NewRouter returns a router of an empty catalogue.
func NewRouter() *Router {
	r := &Router{
		Pending: NewPendingIndex(), Pulled: NewPulledIndex(), Flights: new(Flights), Compared: newCompared(), Ledger: new(Ledger), now: time.Now,
	}
	r.snap.Store(NewSnapshot())
	r.Pulled.present = func(cluster string) addressNo {
		t := &r.snap.Load().tables
		if s := t.site(t.clusterID(cluster)); s != nil {
			return s.at
		}
		return 0
	}
	return r
}

// SetClock replaces the clock that ages are measured by. It is called before the first decision.
func (r *Router) SetClock(now func() time.Time) { r.now = now }

// Snapshot returns the current snapshot.
func (r *Router) Snapshot() *Snapshot { return r.snap.Load() }

// Sizes returns what is known of objects' sizes.
func (r *Router) Sizes() *Sizes { return r.snap.Load().sizes }

// Swap publishes a snapshot.
func (r *Router) Swap(s *Snapshot) { r.snap.Store(s) }

// Over returns a router that answers by another snapshot, with what is known besides it. It is
// for questions: nothing that it is told is kept.
func (r *Router) Over(s *Snapshot) *Router {
	q := &Router{Pending: r.Pending, Pulled: r.Pulled, Flights: new(Flights), Compared: r.Compared, now: r.now}
	q.snap.Store(s)
	return q
}

// Current says whether a cluster holds the current version of an object as far as is
// known, whether or not residency allows it there. False for an unknown bucket.
func (r *Router) Current(bucket, key, cluster string) bool {
	snap := r.snap.Load()
	en, s := snap.buckets.get(bucket), snap.tables.site(snap.tables.clusterID(cluster))
	if en == nil || s == nil {
		return false
	}
	var t target
	t.set(&Input{Bucket: bucket, Key: key, Scope: ScopeObject}, en, r)
	return t.at(snap, s, r.Pending) == isCurrent
}

// CurrentIn returns, appended to dst, the clusters of which Current is true, the
// primary first.
func (r *Router) CurrentIn(dst []string, bucket, key string) []string {
	first := len(dst)
	snap := r.snap.Load()
	view := snap.Of(bucket)
	dst = view.WantedIn(dst, key)
	// Where a rule has no copies yet, its keys are written where the bucket is.
	if c := view.writtenIn(key); c != "" && !slices.Contains(dst[first:], c) {
		dst = append(dst, c)
	}
	if s := r.Pulled.of(bucket, key); s != nil {
		for _, e := range *s {
			if !slices.Contains(dst[first:], e.cluster) {
				dst = append(dst, e.cluster)
			}
		}
	}
	current := slices.DeleteFunc(dst[first:], func(c string) bool { return !r.Current(bucket, key, c) })
	return dst[:first+len(current)]
}
