package routing

import (
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/fado-project/fado/catalog"
)

// Scope says what an input names.
type Scope uint8

// The scopes of an input.
const (
	ScopeBucket Scope = iota // the bucket as a whole: a hit at every synced copy, pending objects or not
	ScopeObject              // one key
	ScopePrefix              // every key below a prefix that ends in "/"
)

// Input is one thing an invocation reads.
type Input struct {
	Bucket string
	Key    string // object key, or prefix with its trailing "/"
	Scope  Scope
}

// Query is one routing question.
type Query struct {
	Inputs []Input
	// UnknownBucketAny: an unknown bucket is routed data-unaware instead of refused.
	UnknownBucketAny bool
	// NoBucketReject: a request that names no bucket is refused.
	NoBucketReject bool
	// Spill: above so many requests in flight at every free endpoint among the
	// holders, the next best allowed cluster is used. 0: off.
	Spill int
	// Tried endpoints of earlier attempts, left out while there are others.
	Tried []*Endpoint
	// Usable, when set, narrows the endpoints to those it accepts (a static
	// upstream list, passive health checks, max_requests by Caddy's count).
	Usable func(*Endpoint) bool
}

// Locality says how an invocation and its data were brought together.
type Locality uint8

// The localities: no data named, all inputs current there, or read remotely.
const (
	LocalityNone Locality = iota
	LocalityLocal
	LocalityRemote
)

// String returns the value of the X-FaDO-Locality header.
func (l Locality) String() string { return [...]string{"none", "local", "remote"}[l] }

// Reason says why no endpoint was chosen; the values of X-FaDO-Reason.
type Reason string

// The reasons of a refusal.
const (
	ReasonNone          Reason = ""
	ReasonUnknownBucket Reason = "unknown-bucket"
	ReasonNoFreshCopy   Reason = "no-fresh-copy"
	ReasonNoEndpoint    Reason = "no-endpoint"
	ReasonZoneForbidden Reason = "zone-forbidden"
	ReasonNoBucket      Reason = "no-bucket"
	// What a request itself is refused for, before the router is asked.
	ReasonBadInput Reason = "bad-input" // what it names can't be read, or is too much
	ReasonBadPath  Reason = "bad-path"  // its path could leave the prefix of an endpoint
)

// Decision is the answer to a Query. It is reused: Route overwrites it and keeps
// its backing arrays, so that a decision allocates nothing.
type Decision struct {
	Reason   Reason
	Locality Locality
	// Candidates are the endpoints to balance among, all equally good by data.
	Candidates []*Endpoint
	// Balance is the selection policy (JSON) the first input's policy names, nil
	// for the default.
	Balance catalog.RawObject

	rank       rank // of the candidates
	assessment assessment
}

// Reset clears all that a decision refers to, so that one kept for later does not
// keep an old snapshot.
func (d *Decision) Reset() {
	clear(d.Candidates)
	clear(d.assessment.targets)
	d.assessment.snap = nil
	d.restart()
}

// restart empties the decision but for what its arrays hold.
func (d *Decision) restart() {
	d.Reason, d.Locality, d.Balance, d.rank = "", LocalityNone, nil, 0
	d.Candidates = d.Candidates[:0]
	a := &d.assessment
	a.targets, a.overloaded, a.prepared, a.reject = a.targets[:0], false, false, false
}

// Inputs returns how many of the query's inputs name a bucket that is known.
func (d *Decision) Inputs() int { return len(d.assessment.targets) }

// Input returns the i-th of the inputs that Inputs counts.
func (d *Decision) Input(i int) Input { return d.assessment.targets[i].Input }

// Router answers routing questions from memory: the current snapshot, and the
// exceptions to it.
type Router struct {
	snap    atomic.Pointer[Snapshot]
	Pending *PendingIndex
	Pulled  *PulledIndex
	Flights *Flights
}

// NewRouter returns a router of an empty catalogue.
func NewRouter() *Router {
	r := &Router{Pending: NewPendingIndex(), Pulled: NewPulledIndex(), Flights: new(Flights)}
	r.snap.Store(NewSnapshot())
	return r
}

// Snapshot returns the current snapshot.
func (r *Router) Snapshot() *Snapshot { return r.snap.Load() }

// Swap publishes a snapshot.
func (r *Router) Swap(s *Snapshot) { r.snap.Store(s) }

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
		if b := a.snap.book(a.targets[0].entry.policyOf(a.targets[0].rule)); b != nil {
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
	if len(d.Candidates) == 0 {
		d.Reason = a.refusal()
	}
}

// offerAll offers every cluster, to an invocation that names no data.
func (d *Decision) offerAll(q *Query) {
	for _, s := range d.assessment.snap.byName {
		if !s.drain {
			d.offer(q, s, d.assessment.place(s, LocalityNone))
		}
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
		if s := a.snap.site(c.cluster); s != nil && !s.drain && a.holds(s) == isCurrent {
			d.offer(q, s, a.place(s, LocalityLocal))
		}
	}
	if t.pulled == nil {
		return
	}
	for _, e := range *t.pulled {
		s := a.snap.site(a.snap.clusterID(e.cluster))
		if s == nil || s.drain || a.holds(s) != isCurrent {
			continue
		}
		if _, offered := t.copyIn(s.id); !offered {
			d.offer(q, s, a.place(s, LocalityLocal))
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
	for i, word := range a.remote {
		for ; word != 0; word &= word - 1 {
			s := a.snap.site(clusterID(i<<6 + bits.TrailingZeros64(word)))
			if s != nil && !s.drain && a.holds(s) != isCurrent {
				d.offer(q, s, a.place(s, LocalityRemote))
			}
		}
	}
}

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

// StorageFor returns the S3 endpoint URL and the physical bucket that the function
// at a chosen endpoint reads the first input from: the local storage on a hit, the
// best allowed holder's on a miss. Both "" when no bucket was named.
func (d *Decision) StorageFor(ep *Endpoint) (endpoint, bucket string) {
	s := d.assessment.source(d.Locality, ep)
	if s == nil {
		return "", ""
	}
	storage := s.cluster.Storage
	return storage.Endpoint, storage.BucketPrefix + d.assessment.targets[0].Bucket
}

// Current says whether a cluster holds the current version of an object as far as is
// known, whether or not residency allows it there. False for an unknown bucket.
func (r *Router) Current(bucket, key, cluster string) bool {
	snap := r.snap.Load()
	en, s := snap.buckets.get(bucket), snap.site(snap.clusterID(cluster))
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
	dst = r.snap.Load().WantedIn(dst, bucket, key)
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
