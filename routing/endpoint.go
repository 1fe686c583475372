package routing

import (
	"net/url"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/catalog"
)

// Endpoint is one function endpoint of a cluster, parsed once per change.
type Endpoint struct {
	catalog.Function
	// Cluster the endpoint belongs to.
	Cluster string
	// Zone is the cluster's failure domain, its first zone.
	Zone string
	// Parsed is the endpoint's URL.
	Parsed *url.URL
	// Dial is host:port, the port filled in from the scheme.
	Dial string
	// BasePath is the path prefix, decoded, without a trailing slash; "" for none.
	BasePath string
	// cluster and clusterHash are those of Cluster.
	cluster     clusterID
	clusterHash uint64
	// Live is the endpoint's live state. An endpoint that stays (same cluster and
	// URL) keeps it across snapshots.
	Live *EndpointState
}

// EndpointState is what is known now of an endpoint. The zero value is a healthy
// idle endpoint.
type EndpointState struct {
	down     atomic.Bool
	InFlight atomic.Int64 // requests being served now
	trouble  atomic.Pointer[trouble]
	_        [40]byte // a cache line of its own: every request writes InFlight
	// Served counts what it answered.
	Served Served
}

// trouble is why an endpoint is unhealthy, and since when.
type trouble struct {
	why   string
	since time.Time
}

// Healthy says whether the last health check passed (or none was made yet).
func (s *EndpointState) Healthy() bool { return !s.down.Load() }

// SetHealthy notes the result of a check, with the reason when it failed, and
// says whether the health changed.
func (s *EndpointState) SetHealthy(healthy bool, reason string) bool {
	var now *trouble
	if !healthy {
		now = &trouble{reason, time.Now()}
		if was := s.trouble.Load(); was != nil {
			now.since = was.since
		}
	}
	s.trouble.Store(now)
	return s.down.Swap(!healthy) == healthy
}

// Reason says why the endpoint is unhealthy; "" when it is healthy.
func (s *EndpointState) Reason() string { return s.current().why }

// DownSince returns since when the endpoint is unhealthy; zero when it is healthy.
func (s *EndpointState) DownSince() time.Time { return s.current().since }

// current is the trouble that there is, zero for none.
func (s *EndpointState) current() (t trouble) {
	if now := s.trouble.Load(); now != nil {
		t = *now
	}
	return t
}

// StorageCondition is what is known of a storage now.
type StorageCondition uint32

// The conditions of a storage, by their API names "unknown", "up" and "down".
const (
	StorageUnknown StorageCondition = iota
	StorageUp
	StorageDown
)

// String returns the API's name of the condition.
func (c StorageCondition) String() string {
	switch c {
	case StorageUp:
		return "up"
	case StorageDown:
		return "down"
	default:
		return "unknown"
	}
}

// ClusterState is what is known now of a cluster's storage.
type ClusterState struct {
	storage atomic.Uint32
	changed atomic.Int64 // when storage did, in nanoseconds
	feed    feedState
}

// Storage returns the condition of the cluster's storage.
func (s *ClusterState) Storage() StorageCondition { return StorageCondition(s.storage.Load()) }

// SetStorage notes the condition and says whether it changed.
func (s *ClusterState) SetStorage(c StorageCondition) bool {
	if StorageCondition(s.storage.Swap(uint32(c))) == c {
		return false
	}
	s.changed.Store(time.Now().UnixNano())
	return true
}

// DownSince returns since when the storage is down; zero where it is not.
func (s *ClusterState) DownSince() time.Time {
	if s == nil || s.Storage() != StorageDown {
		return time.Time{}
	}
	return s.StorageSince()
}

// StorageSince returns since when the storage's condition is so; zero if it never changed.
func (s *ClusterState) StorageSince() time.Time {
	if at := s.changed.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}
