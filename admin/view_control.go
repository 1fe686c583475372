package admin

import (
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

// bucketStatusView is the read-only status of a bucket.
type bucketStatusView struct {
	State     string           `json:"state"` // ok, syncing, stuck, conflict
	Reason    string           `json:"reason"`
	Primary   string           `json:"primary"`
	Copies    []copyStatusView `json:"copies"`
	Conflicts int64            `json:"conflicts"`
	// Reasons are those of the state, one by one.
	Reasons []reasonView `json:"reasons"`
	// Promotion is the move of the primary that waits for POST …/promote.
	Promotion *promotionView `json:"promotion,omitempty"`
	// FormerPrimaries are clusters that the bucket was written in within the last seven days.
	FormerPrimaries []formerPrimaryView `json:"former_primaries,omitempty"`
}

// formerPrimaryView is a former primary, which is watched for writers that were not told.
type formerPrimaryView struct {
	Cluster string    `json:"cluster"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`
	// Strays are objects written there since, which no copy gets, and Keys those of some. Where
	// the cluster has a copy they are conflicts instead.
	Strays int64    `json:"strays"`
	Keys   []string `json:"keys"`
}

func viewFormerPrimary(f replication.FormerPrimary) formerPrimaryView {
	return formerPrimaryView{Cluster: f.Cluster, Since: f.Since, Until: f.Until, Strays: f.Strays, Keys: orEmpty(f.Keys)}
}

func viewFormerPrimaries(all []replication.FormerPrimary) []formerPrimaryView {
	return views(all, viewFormerPrimary)
}

// promotionView is a move of a primary that is prepared until people say so.
type promotionView struct {
	To     string `json:"to"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason"` // what is missing while it is not ready
}

// copyStatusView is one cluster's part of it, over all of the bucket's rules.
type copyStatusView struct {
	Cluster    string            `json:"cluster"`
	Zone       string            `json:"zone"`
	Role       string            `json:"role"` // primary, copy
	State      string            `json:"state"`
	Objects    int64             `json:"objects"`
	Bytes      int64             `json:"bytes"`
	Cursor     string            `json:"cursor"`
	Pending    pendingStatusView `json:"pending"`
	VerifiedAt *time.Time        `json:"verified_at"`
	Error      string            `json:"error"`
	// Losses are what this copy can't keep of the primary's objects, in sentences such as
	// "tags are not kept in c3".
	Losses []string `json:"losses"`
}

type pendingStatusView struct {
	Objects int64      `json:"objects"`
	Bytes   int64      `json:"bytes"`
	Oldest  *time.Time `json:"oldest"`
}

func viewBucketStatus(st control.BucketStatus) *bucketStatusView {
	v := &bucketStatusView{
		State: st.State, Reason: st.Reason, Primary: st.Primary, Conflicts: st.Conflicts,
		Copies: views(st.Copies, viewCopyStatus), Reasons: views(st.Reasons, viewReason),
	}
	if st.Promotion != nil {
		v.Promotion = (*promotionView)(st.Promotion)
	}
	return v
}

func viewCopyStatus(c control.CopyStatus) copyStatusView {
	return copyStatusView{
		Cluster: c.Cluster, Zone: c.Zone, Role: c.Role, State: c.State, Objects: c.Objects, Bytes: c.Bytes, Cursor: c.Cursor,
		Pending: pendingStatusView(c.Pending), VerifiedAt: c.VerifiedAt, Error: c.Error, Losses: orEmpty(c.Losses),
	}
}

// eventView is the data of one event of GET /fado/events. Empty fields are left out.
type eventView struct {
	Type    control.EventType `json:"type"`
	Time    time.Time         `json:"time"`
	Op      string            `json:"op,omitempty"` // created, changed, deleted; copied, removed, failed
	Kind    string            `json:"kind,omitempty"`
	Name    string            `json:"name,omitempty"`
	Bucket  string            `json:"bucket,omitempty"`
	Prefix  string            `json:"prefix,omitempty"`
	Key     string            `json:"key,omitempty"`
	Cluster string            `json:"cluster,omitempty"`
	From    string            `json:"from,omitempty"`
	URL     string            `json:"url,omitempty"`
	State   string            `json:"state,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Bytes   int64             `json:"bytes,omitempty"`
	// Elsewhere: it happened on another instance, which emits the event, too.
	Elsewhere bool  `json:"elsewhere,omitempty"`
	Objects   int64 `json:"objects,omitempty"`
	Total     int64 `json:"total,omitempty"`
}

// candidateView is one endpoint of GET /fado/route, or a cluster without one.
type candidateView struct {
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

func viewCandidate(c routing.Candidate) candidateView { return candidateView(c) }

// clusterReasonView is one cluster of GET /fado/buckets/{name}/placement.
type clusterReasonView struct {
	Cluster string `json:"cluster"`
	Zone    string `json:"zone"`
	Chosen  bool   `json:"chosen"`
	Reason  string `json:"reason"`
}

func viewClusterReason(r placement.ClusterReason) clusterReasonView { return clusterReasonView(r) }

// views turns each item of a list into what clients see; the result is never nil, so
// that it reads as an array.
func views[T, V any](list []T, view func(T) V) []V {
	vs := make([]V, len(list))
	for i, item := range list {
		vs[i] = view(item)
	}
	return vs
}

// orEmpty returns what JSON shows as a list, never as null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
