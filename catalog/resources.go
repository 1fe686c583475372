package catalog

import "slices"

// Kind names a collection of resources.
type Kind string

// The kinds of resource users declare.
const (
	KindZone    Kind = "zone"
	KindCluster Kind = "cluster"
	KindPolicy  Kind = "policy"
	KindBucket  Kind = "bucket"
	KindKey     Kind = "key"
)

// Kinds lists every kind in the order in which they can refer to each other:
// clusters name zones, policies name both, buckets name policies and clusters; keys
// refer to nothing.
var Kinds = []Kind{KindZone, KindCluster, KindPolicy, KindBucket, KindKey}

// SecretKinds lists the kinds that have secrets, which stores seal.
var SecretKinds = []Kind{KindCluster, KindKey}

// Resource is one item of the catalogue. The implementations are *Zone, *Cluster,
// *Policy, *Bucket and *Key.
type Resource interface {
	ResourceKind() Kind
	ResourceName() string
	// Normalize puts the resource in its canonical form: defaults filled in,
	// nil slices made empty, so that equal resources have equal JSON.
	Normalize()
	// Clone returns a deep copy.
	Clone() Resource
}

// Zone is a place: a region, a country, a site. A zone with a parent is inside
// it, and a policy that allows or excludes the parent means the children too.
type Zone struct {
	// Name of the zone. Form: [a-z0-9][a-z0-9-]{0,62}.
	Name string `json:"name"`
	// The zone this one lies in. Default: none.
	Parent string `json:"parent,omitempty"`
	// Free-form labels, for people.
	Labels map[string]string `json:"labels,omitempty"`
}

// Cluster is one place that has an S3 storage, function endpoints, or both.
type Cluster struct {
	// Name of the cluster. Form: [a-z0-9][a-z0-9-]{0,62}.
	Name string `json:"name"`
	// The zones the cluster is in; the first is its failure domain.
	Zones []string `json:"zones"`
	// The S3 storage of the cluster. Default: none, the cluster only runs functions.
	Storage *Storage `json:"storage,omitempty"`
	// The function endpoints of the cluster, all of which serve the same paths.
	Functions []Function `json:"functions"`
	// What a GB (10^9 bytes) costs that leaves the cluster, in a currency that FaDO does not
	// know. Default: 0.
	EgressPrice float64 `json:"egress_price,omitempty"`
	// What a GB (10^9 bytes) costs that lies in the storage for a month. Default: 0.
	StoragePrice float64 `json:"storage_price,omitempty"`
	// What is known of the links to other clusters.
	Links []Link `json:"links,omitempty"`
	// Free-form labels, for people.
	Labels map[string]string `json:"labels,omitempty"`
	// Whether the cluster is being emptied: no new copies, existing ones move
	// away, no new requests. Default: false.
	Drain bool `json:"drain"`
}

// FailureDomain returns the cluster's first zone, "" when it is in none.
func (c *Cluster) FailureDomain() string {
	if len(c.Zones) == 0 {
		return ""
	}
	return c.Zones[0]
}

// Storage is the S3 endpoint of a cluster.
type Storage struct {
	// The URL of the S3 endpoint, http:// or https://, without a path.
	Endpoint string `json:"endpoint"`
	// Access key ID; a {env.X} or {file.X} placeholder is kept as it is and
	// resolved when it is used.
	AccessKey string `json:"access_key,omitempty"`
	// Secret access key; placeholders as for access_key.
	SecretKey string `json:"secret_key,omitempty"`
	// The region requests are signed for. Default: us-east-1.
	Region string `json:"region,omitempty"`
	// What stands before a FaDO bucket's name in the name of its physical bucket.
	BucketPrefix string `json:"bucket_prefix,omitempty"`
	// Whether buckets are addressed as host names. Default: false (path style).
	VirtualHost bool `json:"virtual_host,omitempty"`
	// A PEM file with the certificate authorities to trust. Default: the system's.
	CAFile string `json:"ca_file,omitempty"`
	// Whether the storage's certificate goes unverified. Default: false.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`
	// The most bytes copies may take here. Default: 0, unlimited.
	Capacity Size `json:"capacity,omitempty"`
	// The most bytes of content per second that each instance reads from and writes to
	// this storage while it copies. Default: 0, unlimited.
	Bandwidth Size `json:"bandwidth,omitempty"`
}

// Function is one function endpoint: a platform's gateway, a Lambda URL, a
// plain HTTP server.
type Function struct {
	// The endpoint's URL, http:// or https://, with an optional path prefix that
	// requests are put below.
	URL string `json:"url"`
	// The endpoint's share of requests beside others of equal load. Default: 1.
	Weight int `json:"weight,omitempty"`
	// The most requests at a time. Default: 0, unlimited.
	MaxRequests int `json:"max_requests,omitempty"`
	// The path a health check asks for, below the endpoint's host. Default: none;
	// a TCP connect is the check.
	HealthPath string `json:"health_path,omitempty"`
	// A PEM file with the certificate authorities to trust. Default: the system's.
	CAFile string `json:"ca_file,omitempty"`
	// Whether the endpoint's certificate goes unverified. Default: false.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`
	// The Host header of requests to it, placeholders allowed. Default: of https the URL's
	// host, of http the request's.
	Host string `json:"host,omitempty"`
	// Headers set on every request to it, health checks included.
	Header []HeaderField `json:"header,omitempty"`
	// How requests to it are signed. Default: not at all.
	Sign *Sign `json:"sign,omitempty"`
}

// HeaderField is a header that is set on requests.
type HeaderField struct {
	// The header's name.
	Name string `json:"name"`
	// Its value. Placeholders {env.X} and {file.X} are resolved for every request, and so are
	// those of the request.
	Value string `json:"value"`
}

// Sign says how requests to a function endpoint are signed.
type Sign struct {
	// The scheme: aws, which is Signature Version 4.
	Type string `json:"type"`
	// The AWS service, such as lambda or execute-api.
	Service string `json:"service"`
	// The AWS region.
	Region string `json:"region"`
	// Access key ID; placeholders are resolved for every request.
	AccessKey string `json:"access_key"`
	// Secret access key; placeholders as for access_key.
	SecretKey string `json:"secret_key"`
	// Session token; placeholders as for access_key. Default: none.
	SessionToken string `json:"session_token,omitempty"`
}

// SignAWS is the type of Signature Version 4.
const SignAWS = "aws"

// Equal reports whether two endpoints are declared alike.
func (f *Function) Equal(g *Function) bool {
	a, b := *f, *g
	if !slices.Equal(a.Header, b.Header) || (a.Sign == nil) != (b.Sign == nil) || a.Sign != nil && *a.Sign != *b.Sign {
		return false
	}
	return a.URL == b.URL && a.Weight == b.Weight && a.MaxRequests == b.MaxRequests && a.HealthPath == b.HealthPath &&
		a.CAFile == b.CAFile && a.InsecureSkipVerify == b.InsecureSkipVerify && a.Host == b.Host
}

// Link is what is known of the network between two clusters before anything was measured.
type Link struct {
	// The other cluster.
	To string `json:"to"`
	// Bytes per second. Default: 0, not known.
	Bandwidth Size `json:"bandwidth,omitempty"`
	// The time a request takes there and back. Default: 0, not known.
	Latency Duration `json:"latency,omitempty"`
	// What a GB (10^9 bytes) costs on the link, instead of egress_price.
	Price *float64 `json:"price,omitempty"`
	// Whether this holds for what leaves the cluster only. Default: false, both ways.
	OneWay bool `json:"one_way,omitempty"`
}

// Spread says over what a policy's copies are spread.
type Spread string

// The values of Spread.
const (
	SpreadZone    Spread = "zone"    // at most one copy per failure domain while there are others left
	SpreadCluster Spread = "cluster" // any distinct clusters
)

// Writes says where a bucket is written.
type Writes string

// The values of Writes. With WritesAnywhere the last writer wins, at whichever copy.
const (
	WritesPrimary  Writes = "primary"
	WritesAnywhere Writes = "anywhere"
)

// Versions says which versions of a bucket's objects its copies have.
type Versions string

// The values of Versions.
const (
	VersionsAll     Versions = "all"     // the whole history, where both storages preserve versions
	VersionsCurrent Versions = "current" // current versions only
)

// PrimaryMoves says who may move the primary of a bucket that names none.
type PrimaryMoves string

// The values of PrimaryMoves.
const (
	PrimaryFollow PrimaryMoves = "follow" // placement, where it has to
	PrimaryFixed  PrimaryMoves = "fixed"  // people only
)

// Promote says who swaps a bucket's primary for another one that is named.
type Promote string

// PromoteManual has people swap it; "" is FaDO, as soon as it can.
const PromoteManual Promote = "manual"

// OnMiss says what happens to an invocation when no cluster that holds its data
// has a free endpoint.
type OnMiss string

// The values of OnMiss.
const (
	OnMissRemote OnMiss = "remote"
	OnMissReject OnMiss = "reject"
	OnMissPull   OnMiss = "pull"
)

// Policy says where copies of a bucket may and should be.
type Policy struct {
	// Name of the policy. Form: [a-z0-9][a-z0-9-]{0,62}.
	Name string `json:"name"`
	// How many copies in total, the primary counted, or "all". Default: 1.
	Copies Copies `json:"copies"`
	// The zones copies and functions are allowed in, children included. Default: any.
	Zones []string `json:"zones"`
	// The zones copies and functions are kept out of, children included.
	ExcludeZones []string `json:"exclude_zones"`
	// Only these clusters. Default: any.
	Clusters []string `json:"clusters"`
	// The clusters to use first, in this order, where they are allowed.
	Prefer []string `json:"prefer"`
	// What copies are spread over: zone or cluster. Default: zone.
	Spread Spread `json:"spread"`
	// Where the bucket is written: primary, or anywhere (at every copy; the last writer
	// wins). Default: primary.
	Writes Writes `json:"writes"`
	// Which versions copies have: all (the whole history, where both storages preserve
	// versions), or current. Default: all.
	Versions Versions `json:"versions"`
	// Who moves the primary of a bucket that names none: follow (placement, when the cluster
	// drains or is no longer allowed), or fixed (only people, by naming one). Default: follow.
	Primary PrimaryMoves `json:"primary"`
	// For how long a comparison with the primary counts where no listener tells of changes: a
	// copy that was not compared within it is no hit. Default: no bound.
	MaxStaleness Duration `json:"max_staleness,omitempty"`
	// The Caddy selection policy (its JSON form) that balances among the
	// candidates. Default: the one named at data_aware.
	Balance RawObject `json:"balance,omitempty"`
	// What to do when no cluster with the data has a free endpoint. Default: remote.
	OnMiss OnMiss `json:"on_miss"`
	// How long an invocation waits for a pulled copy. Default: 10s.
	PullTimeout Duration `json:"pull_timeout"`
	// How long a pulled copy stays unused. Default: 1h.
	PullTTL Duration `json:"pull_ttl"`
}

// PrefixRule gives the keys below a prefix a policy of their own.
type PrefixRule struct {
	// The key prefix the rule is for. The longest matching prefix wins.
	Prefix string `json:"prefix"`
	// The policy of those keys.
	Policy string `json:"policy"`
}

// Bucket is one logical bucket: a name, a policy, and where it is written.
type Bucket struct {
	// Name of the bucket; S3's rules for general purpose bucket names.
	Name string `json:"name"`
	// The policy of keys no prefix rule covers. Default: the default policy.
	Policy string `json:"policy,omitempty"`
	// The cluster the bucket is written in. Default: where it already exists,
	// else chosen by placement.
	Primary string `json:"primary,omitempty"`
	// Who swaps the primary when another one is named: manual (it is only prepared until
	// POST /fado/buckets/{name}/promote). Default: the swap happens once the copy is ready.
	Promote Promote `json:"promote,omitempty"`
	// Buckets that are made for it at storages have object lock, and with it versions. One
	// that is there already stays as it is: most storages can't add object lock.
	ObjectLock bool `json:"object_lock,omitempty"`
	// Rules for keys below a prefix.
	Prefixes []PrefixRule `json:"prefixes"`
}

// ResourceKind implements Resource.
func (*Zone) ResourceKind() Kind { return KindZone }

// ResourceKind implements Resource.
func (*Cluster) ResourceKind() Kind { return KindCluster }

// ResourceKind implements Resource.
func (*Policy) ResourceKind() Kind { return KindPolicy }

// ResourceKind implements Resource.
func (*Bucket) ResourceKind() Kind { return KindBucket }

// ResourceName implements Resource.
func (z *Zone) ResourceName() string { return z.Name }

// ResourceName implements Resource.
func (c *Cluster) ResourceName() string { return c.Name }

// ResourceName implements Resource.
func (p *Policy) ResourceName() string { return p.Name }

// ResourceName implements Resource.
func (b *Bucket) ResourceName() string { return b.Name }

// NewResource returns an empty resource of a kind, nil if there is no such kind.
func NewResource(k Kind) Resource {
	switch k {
	case KindZone:
		return new(Zone)
	case KindCluster:
		return new(Cluster)
	case KindPolicy:
		return new(Policy)
	case KindBucket:
		return new(Bucket)
	case KindKey:
		return new(Key)
	default:
		return nil
	}
}
