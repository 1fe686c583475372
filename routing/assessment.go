package routing

import (
	"slices"

	"github.com/fado-project/fado/catalog"
)

// assessment is a query worked out against one snapshot: what Route and Explain both
// ask of each cluster and endpoint, so that they can't disagree. It lives in a Decision,
// whose arrays it reuses.
type assessment struct {
	snap    *Snapshot
	pending *PendingIndex
	targets []target
	held    bool // see Query.Held

	// overloaded: every free endpoint among the holders has more requests than the query's Spill.
	overloaded bool
	// lastResort: clusters that drain are offered, since no other can take the invocation.
	lastResort bool
	// What follows is worked out on a miss only.
	prepared bool
	weighed  bool
	reject   bool   // a policy wants no remote reads
	remote   bitset // the clusters that may read remotely
}

// resolve looks the inputs up. The snapshot is taken before any pending object is
// looked at: what it says of copies was true before those were, so an object that
// was written while a copy's cursor passed it is not missed.
func (a *assessment) resolve(r *Router, q *Query) Reason {
	a.snap, a.pending, a.held = r.snap.Load(), r.Pending, q.Held
	if len(q.Inputs) == 0 && q.NoBucketReject {
		return ReasonNoBucket
	}
	for i := range q.Inputs {
		in := &q.Inputs[i]
		en := a.snap.buckets.get(in.Bucket)
		if en == nil && !q.UnknownBucketAny {
			return ReasonUnknownBucket
		}
		if en != nil {
			a.targets = append(a.targets, target{})
			a.targets[len(a.targets)-1].set(in, en, r)
		}
	}
	return ReasonNone
}

// closed says whether a cluster takes no new requests.
func (a *assessment) closed(s *site) bool { return s.drain && !a.lastResort }

// holds says whether a cluster is a hit: it holds the current version of all inputs, and residency allows it.
func (a *assessment) holds(s *site) verdict {
	for i := range a.targets {
		if v := a.targets[i].holds(a.snap, s, a.pending); v != isCurrent {
			return v
		}
	}
	return isCurrent
}

// keeps says whether a cluster that is no hit holds those inputs that must be.
func (a *assessment) keeps(s *site) bool {
	if !a.held {
		return true
	}
	for i := range a.targets {
		if t := &a.targets[i]; t.Held && t.holds(a.snap, s, a.pending) != isCurrent {
			return false
		}
	}
	return true
}

// missing returns how many inputs, and of what weight, can't be read from the cluster's own
// storage.
func (a *assessment) missing(s *site) (n int, weight uint64) {
	if len(a.targets) == 1 {
		return 1, 1 // its holders are not asked
	}
	a.weigh()
	down := s.live.Storage() == StorageDown
	for i := range a.targets {
		if t := &a.targets[i]; down || t.holds(a.snap, s, a.pending) != isCurrent {
			n, weight = n+1, weight+t.weight
		}
	}
	return n, weight
}

// prepareMiss works out which clusters may read remotely: those that every rule
// concerned allows, since any of its keys may be read.
func (a *assessment) prepareMiss() {
	if a.prepared {
		return
	}
	a.prepared = true
	a.remote = a.remote[:0]
	for _, s := range a.snap.tables.byName {
		a.remote.add(s.id)
	}
	for i := range a.targets {
		a.targets[i].eachPolicy(func(_ int, id policyID) bool {
			b := a.snap.tables.book(id)
			if b == nil {
				clear(a.remote)
				return false
			}
			a.remote.intersect(b.allowed)
			a.reject = a.reject || b.onMiss == catalog.OnMissReject
			return true
		})
	}
}

// place is where a cluster stands for a query.
type place struct {
	locality Locality
	down     bool // its storage is known to be
	missing  int  // how many inputs it does not hold
	weight   uint64
}

func (a *assessment) place(s *site, l Locality) place {
	at := place{locality: l}
	switch l {
	case LocalityNone: // nothing to hold
	case LocalityLocal:
		at.down = s.live.Storage() == StorageDown
	case LocalityRemote:
		at.missing, at.weight = a.missing(s)
	}
	return at
}

// rank orders endpoints; lower is used first, those of equal rank are balanced
// among. 0 is none. The weight of missing inputs is in the low bits.
type rank uint64

const (
	rankMissingBits = 56 // as much as the largest inputs of one request weigh

	rankHolder      rank = 1 << rankMissingBits // holds all inputs, or none are named
	rankHolderDown  rank = 2 << rankMissingBits // its storage is known to be down
	rankRemote      rank = 3 << rankMissingBits
	rankBusy        rank = 4 << rankMissingBits // holders while they are overloaded
	rankBusyDown    rank = 5 << rankMissingBits
	rankBusyRemote  rank = 6 << rankMissingBits // above the spill bound too
	rankTried       rank = 8 << rankMissingBits // added to what was tried before
	rankSettled          = rankHolderDown       // no remote endpoint is better
	rankMissingMask      = 1<<rankMissingBits - 1
)

func (a *assessment) rank(q *Query, ep *seat, at place) rank {
	var r rank
	switch {
	case at.locality == LocalityRemote && a.overloaded && busy(q, ep.live):
		r = rankBusyRemote
	case at.locality == LocalityRemote:
		r = rankRemote
	case a.overloaded && at.down:
		r = rankBusyDown
	case a.overloaded:
		r = rankBusy
	case at.down:
		r = rankHolderDown
	default:
		r = rankHolder
	}
	if tried(q, ep) {
		r += rankTried
	}
	return r + min(rank(at.weight), rankMissingMask)
}

func busy(q *Query, live *EndpointState) bool { return live.InFlight.Load() > int64(q.Spill) }

// overload finds out whether the holders in d, if any are free and were not tried
// yet, are all too busy and others may be used.
func (a *assessment) overload(q *Query, d *Decision) bool {
	if q.Spill <= 0 || d.rank == 0 || d.rank > rankSettled {
		return false
	}
	for _, ep := range d.Candidates {
		if !busy(q, ep.Live) {
			return false
		}
	}
	a.prepareMiss()
	a.overloaded = !a.reject
	return a.overloaded
}

// endpointVerdict says whether an endpoint can take a request, or why not.
type endpointVerdict uint8

const (
	endpointFree endpointVerdict = iota
	endpointDown
	endpointFull
	endpointUnusable
)

func usable(q *Query, ep *seat) endpointVerdict {
	switch {
	case !ep.live.Healthy():
		return endpointDown
	case ep.max > 0 && ep.live.InFlight.Load() >= ep.max:
		return endpointFull
	case q.Usable != nil && !q.Usable(ep.Endpoint):
		return endpointUnusable
	default:
		return endpointFree
	}
}

// tried compares live states, which outlast a change of the catalogue.
func tried(q *Query, ep *seat) bool {
	return slices.ContainsFunc(q.Tried, func(t *Endpoint) bool { return t.Live == ep.live })
}

// refusal says why no endpoint could be offered.
func (a *assessment) refusal() Reason {
	if len(a.targets) == 0 {
		return ReasonNoEndpoint
	}
	a.prepareMiss()
	var allowed, fresh, readable bool
	for _, s := range a.snap.tables.byName {
		if len(s.seats) == 0 || !a.allowsHit(s) {
			continue
		}
		allowed = true
		fresh = fresh || a.holds(s) == isCurrent
		readable = readable || a.remote.has(s.id) && a.keeps(s)
	}
	switch {
	case !allowed:
		return ReasonZoneForbidden
	case a.reject || !fresh && !readable:
		return ReasonNoFreshCopy
	default:
		return ReasonNoEndpoint
	}
}

func (a *assessment) allowsHit(s *site) bool {
	for i := range a.targets {
		if !a.targets[i].allowsHit(a.snap, s.id) {
			return false
		}
	}
	return true
}

// source returns the cluster whose storage the function at an endpoint reads the
// first input from; nil when no bucket is named or it is nowhere.
//
// While a bucket moves out of a place that its policy no longer allows, its primary
// may be the one cluster that has the data. It is read from then: residency is about
// where bytes go.
func (a *assessment) source(l Locality, ep *Endpoint) *site {
	if len(a.targets) == 0 {
		return nil
	}
	return a.sourceOf(&a.targets[0], l, ep)
}

// sourceOf is source for any of the inputs.
func (a *assessment) sourceOf(t *target, l Locality, ep *Endpoint) *site {
	own := a.snap.tables.site(ep.cluster)
	if own != nil && own.stores && (l == LocalityLocal || t.holds(a.snap, own, a.pending) == isCurrent) {
		return own
	}
	var best *site
	bestRank := 8
	for i := range t.entry.copies() {
		c := t.entry.copyAt(i)
		s := a.snap.tables.site(c.cluster)
		if c.rule() != t.rule || s == nil || t.holds(a.snap, s, a.pending) != isCurrent {
			continue
		}
		if r := sourceRank(s, ep.Zone, c.primary()); r < bestRank || r == bestRank && s.name < best.name {
			best, bestRank = s, r
		}
	}
	if best == nil {
		if s := a.snap.tables.site(t.entry.writtenIn(t.rule)); s != nil && s.stores {
			best = s
		}
	}
	return best
}

// sourceRank orders storages to read from: up (or unknown) before down, then the
// same failure domain, then the primary.
func sourceRank(s *site, zone string, primary bool) int {
	r := 0
	if s.live.Storage() == StorageDown {
		r += 4
	}
	if s.zone != zone {
		r += 2
	}
	if !primary {
		r++
	}
	return r
}
