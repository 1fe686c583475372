package routing

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
	// Bytes is one more than its size, as who asks says; 0: not told.
	Bytes int64
	// Held: with Query.Held, the invocation runs only where the current version is.
	Held bool
}

// Query is one routing question.
type Query struct {
	Inputs []Input
	// UnknownBucketAny: an unknown bucket is routed data-unaware instead of refused.
	UnknownBucketAny bool
	// NoBucketReject: a request that names no bucket is refused.
	NoBucketReject bool
	// Held: inputs that are Held are not read from elsewhere.
	Held bool
	// Spill: above so many requests in flight at every free endpoint among the
	// holders, the next best allowed cluster is used. 0: off.
	Spill int
	// Tried endpoints of earlier attempts, left out while there are others.
	Tried []*Endpoint
	// Usable, when set, narrows the endpoints to those it accepts (a static
	// upstream list, passive health checks, max_requests by Caddy's count).
	Usable func(*Endpoint) bool
	// Unusable says, for people, why Usable does not accept one; "" for what proxies do.
	Unusable string
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
	// ReasonBadMethod is that of CONNECT, which would make an endpoint a way to elsewhere.
	ReasonBadMethod Reason = "bad-method"
)
