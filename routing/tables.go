package routing

import (
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
)

// tables are what the ids in a bucket's entry stand for: names, clusters and policies,
// each worked out once per change of those. The lists are shared by all snapshots until
// the next such change.
type tables struct {
	clusterIDs *nameTable
	policyIDs  *nameTable

	sites     []*site     // by clusterID; nil where no such cluster is declared
	byName    []*site     // sorted by name
	endpoints []*Endpoint // of all sites, in that order
	books     []*book     // by policyID; nil where none is declared; 0: the default

	defaultPolicy string
	addresses     addressTable
}

// site is a cluster as routing sees it. What a decision on a hit looks at is in the
// first cache line.
type site struct {
	id      clusterID
	drain   bool
	stores  bool      // it has a storage
	at      addressNo // of that storage
	live    *ClusterState
	seats   []seat
	name    string
	zone    string // failure domain
	cluster *catalog.Cluster
}

// seat is an endpoint with what decides whether it can take a request.
type seat struct {
	live *EndpointState
	max  int64 // requests at a time; 0: unlimited
	*Endpoint
}

// book is a policy with the clusters it allows.
type book struct {
	allowed   bitset
	onMiss    catalog.OnMiss
	anywhere  bool          // writes anywhere
	history   bool          // versions all
	staleness time.Duration // for how long a comparison counts where no exact feed is; 0: no bound
	balance   catalog.RawObject
	policy    *catalog.Policy
}

// clusterID returns the id of a cluster's name, 0 if no snapshot ever knew it.
func (t *tables) clusterID(name string) clusterID { return clusterID(t.clusterIDs.ids[name]) }

// site returns a cluster, nil where none of that id is declared.
func (t *tables) site(id clusterID) *site {
	if int(id) < len(t.sites) {
		return t.sites[id]
	}
	return nil
}

// book returns a policy, the default's for id 0, nil where none of that id is declared.
func (t *tables) book(id policyID) *book {
	if int(id) < len(t.books) {
		return t.books[id]
	}
	return nil
}

func (t *tables) policyName(id policyID) string {
	if id == 0 {
		return t.defaultPolicy
	}
	return t.policyIDs.names[id]
}

// allows says whether a policy allows a cluster: id 0 is no cluster and never allowed.
func (t *tables) allows(policy policyID, id clusterID) bool {
	b := t.book(policy)
	return b != nil && b.allowed.has(id)
}

func (t *tables) writesAnywhere(id policyID) bool {
	b := t.book(id)
	return b != nil && b.anywhere
}

// rule returns an entry's rule by its index, with the name of its policy.
func (t *tables) rule(en *entry, rule int) catalog.PrefixRule {
	return catalog.PrefixRule{Prefix: en.prefixOf(rule), Policy: t.policyName(en.policyOf(rule))}
}

// copies returns the copies of an entry, sorted by cluster id, then rule.
func (t *tables) copies(en *entry) []catalog.Copy {
	copies := make([]catalog.Copy, en.copies())
	for i := range copies {
		c := en.copyAt(i)
		copies[i] = catalog.Copy{
			Prefix:  en.prefixOf(c.rule()),
			Cluster: t.clusterIDs.names[c.cluster],
			Primary: c.primary(),
			State:   c.state(),
			Cursor:  en.cursor(i),
			Moving:  c.moving(),

			Anywhere:      c.anywhere(),
			FormerPrimary: c.has(copyFormer),
			HeldDeletes:   c.has(copyHeld),
			MadeBucket:    c.has(copyMade),
			Verified:      c.has(copyVerified),
			Compared:      en.comparedAt(i).time(),
			Stopped:       c.stopped(),
			At:            t.addresses.address(c.cluster, c.at()),
		}
	}
	return copies
}

// newSite returns a cluster as routing sees it: the one known before if it did not
// change, else a new one with the live state of that one.
func newSite(c *catalog.Cluster, id clusterID, at addressNo, before *site) *site {
	if before != nil && before.cluster == c {
		return before
	}
	n := &site{
		id: id, name: c.Name, zone: c.FailureDomain(), drain: c.Drain, stores: c.Storage != nil, at: at, cluster: c,
	}
	var known []seat
	if before != nil {
		n.live, known = before.live, before.seats
	} else {
		n.live = new(ClusterState)
	}
	for _, f := range c.Functions {
		if ep := newEndpoint(n, f, known); ep != nil {
			n.seats = append(n.seats, seat{live: ep.Live, max: int64(f.MaxRequests), Endpoint: ep})
		}
	}
	return n
}

// NewEndpoint returns the endpoint of a function that may not be declared yet; nil where its URL
// can't be parsed.
func NewEndpoint(cluster string, f catalog.Function) *Endpoint {
	return newEndpoint(&site{name: cluster}, f, nil)
}

// newEndpoint returns the endpoint of one function: the one known before if nothing
// about it changed, else a new one with the live state of the known one of that URL.
// A URL that can't be parsed, which validation does not let through, gives nil.
func newEndpoint(s *site, f catalog.Function, known []seat) *Endpoint {
	ep := &Endpoint{Function: f, Cluster: s.name, Zone: s.zone, cluster: s.id, clusterHash: nameHash(s.name)}
	for _, k := range known {
		if k.Function.Equal(&f) && k.Zone == s.zone {
			return k.Endpoint
		}
		if k.URL == f.URL {
			ep.Live = k.Live
		}
	}
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" {
		return nil
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	ep.Parsed, ep.Dial = u, net.JoinHostPort(u.Hostname(), port)
	ep.BasePath = strings.TrimRight(u.Path, "/")
	if ep.Live == nil {
		ep.Live = new(EndpointState)
	}
	return ep
}
