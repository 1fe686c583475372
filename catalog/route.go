package catalog

import "sync/atomic"

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
	Balance RawObject

	// scratch space and what StorageFor needs; filled by Route.
	snap   *Snapshot
	inputs []Input
}

// StorageFor returns the S3 endpoint URL and the physical bucket that the function
// at a chosen endpoint reads the first input from: the local storage on a hit, the
// best allowed holder's on a miss. Both "" when no bucket was named.
//
// TODO(route): implement.
func (d *Decision) StorageFor(ep *Endpoint) (endpoint, bucket string) { return "", "" }

// Router answers routing questions from memory: the current snapshot, and the
// exceptions to it.
type Router struct {
	snap    atomic.Pointer[Snapshot]
	Pending *PendingIndex
	Flights *Flights
}

// NewRouter returns a router of an empty catalogue.
func NewRouter() *Router {
	r := &Router{Pending: NewPendingIndex(), Flights: new(Flights)}
	r.snap.Store(NewSnapshot())
	return r
}

// Snapshot returns the current snapshot.
func (r *Router) Snapshot() *Snapshot { return r.snap.Load() }

// Swap publishes a snapshot.
func (r *Router) Swap(s *Snapshot) { r.snap.Store(s) }

// Route decides where an invocation may go. It takes no lock, does no I/O and
// allocates nothing once d's arrays have grown.
//
// TODO(route): implement.
func (r *Router) Route(q *Query, d *Decision) {}

// Candidate is one endpoint (or a cluster without one) as Explain sees it; the
// JSON of GET /fado/route.
type Candidate struct {
	Cluster  string `json:"cluster"`
	Zone     string `json:"zone"`
	URL      string `json:"url"`
	Locality string `json:"locality"`
	Fresh    bool   `json:"fresh"`
	Healthy  bool   `json:"healthy"`
	InFlight int64  `json:"in_flight"`
	Eligible bool   `json:"eligible"`
	Reason   string `json:"reason"`
}

// Explanation is a routing decision with its reasons.
type Explanation struct {
	Reason     Reason
	Candidates []Candidate // the eligible first, in the order they would be used
}

// Explain answers like Route, for people: every endpoint of every cluster with why
// it is or is not eligible. Route and Explain share their checks, so that they can't
// disagree.
//
// TODO(route): implement.
func (r *Router) Explain(q *Query) Explanation { return Explanation{} }
