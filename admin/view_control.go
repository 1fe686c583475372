package admin

import (
	"time"

	"github.com/fado-project/fado/admin/internal/clusters"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

// bucketStatusView is the read-only status of a bucket.
type bucketStatusView struct {
	State     string           `json:"state"`     // ok, syncing, stuck, conflict
	Reason    string           `json:"reason"`    // why it is not ok, all in one text
	Primary   string           `json:"primary"`   // where users write; "" until that is chosen
	Copies    []copyStatusView `json:"copies"`    // one for each cluster, the primary first
	Conflicts int64            `json:"conflicts"` // objects on copies that stand in the way
	// The copies of the bucket's prefix rules; copies sums them up with the bucket's own.
	Prefixes []prefixStatusView `json:"prefixes,omitempty"`
	// How changes made directly at the primary's storage are noticed: "listening", "webhook, …", or
	// "scanning" and why.
	Feed string `json:"feed"`
	// As of when the copies are known to be like the primary where nothing tells of changes: when
	// the comparison began of the one compared longest ago. Null where there is none, or one that
	// was never compared.
	ComparedAt *time.Time `json:"compared_at"`
	// Reasons are those of the state, one by one.
	Reasons []clusters.ReasonView `json:"reasons"`
	// Promotion is the move of the primary that waits for POST …/promote.
	Promotion *promotionView `json:"promotion,omitempty"`
	// FormerPrimaries are clusters that the bucket was written in within the last seven days.
	FormerPrimaries []formerPrimaryView `json:"former_primaries,omitempty"`
}

// formerPrimaryView is a former primary, which is watched for writers that were not told.
type formerPrimaryView struct {
	Cluster string    `json:"cluster"` // the former primary
	Since   time.Time `json:"since"`   // when the primary moved
	Until   time.Time `json:"until"`   // how long it is watched
	// Strays are objects written there since, which no copy gets, and Keys those of some. Where
	// the cluster has a copy they are conflicts instead.
	Strays int64    `json:"strays"`
	Keys   []string `json:"keys"` // the first ones
}

func viewFormerPrimary(f replication.FormerPrimary) formerPrimaryView {
	return formerPrimaryView{Cluster: f.Cluster, Since: f.Since, Until: f.Until, Strays: f.Strays, Keys: orEmpty(f.Keys)}
}

func viewFormerPrimaries(all []replication.FormerPrimary) []formerPrimaryView {
	return views(all, viewFormerPrimary)
}

// promotionView is a move of a primary that is prepared until people say so.
type promotionView struct {
	To     string `json:"to"`     // the cluster that is to be the primary
	Ready  bool   `json:"ready"`  // whether its copy has everything
	Reason string `json:"reason"` // what is missing while it is not ready
}

// copyStatusView is one cluster's part of it, over all of the bucket's rules.
type copyStatusView struct {
	Cluster    string            `json:"cluster"`     // the cluster it is in
	Zone       string            `json:"zone"`        // the cluster's failure domain
	Feed       string            `json:"feed"`        // how changes made directly at its storage are noticed
	Role       string            `json:"role"`        // primary, copy
	State      string            `json:"state"`       // how far it is; of several rules, the one furthest from done
	Objects    int64             `json:"objects"`     // how many objects it has, as of the last comparison
	Bytes      int64             `json:"bytes"`       // their bytes
	Cursor     string            `json:"cursor"`      // keys up to this one are there; only while it is syncing
	Pending    pendingStatusView `json:"pending"`     // objects known to differ
	VerifiedAt *time.Time        `json:"verified_at"` // when its last comparison with the primary began; null before the first
	Error      string            `json:"error"`       // why it, or an object of it, can't proceed
	// Losses are what this copy can't keep of the primary's objects, in sentences such as
	// "tags are not kept in c3".
	Losses []string `json:"losses"`
}

type pendingStatusView struct {
	Objects int64      `json:"objects"` // how many
	Bytes   int64      `json:"bytes"`   // their bytes, as far as known
	Oldest  *time.Time `json:"oldest"`  // since when the oldest of them differs; null where none does
}

// viewBucketStatus makes the view of a status; feed tells how changes are noticed at a cluster.
func viewBucketStatus(st control.BucketStatus, feed func(cluster string) string) *bucketStatusView {
	v := &bucketStatusView{
		State: st.State, Reason: st.Reason, Primary: st.Primary, Conflicts: st.Conflicts, Prefixes: views(st.Prefixes, viewPrefixStatus),
		Copies: views(st.Copies, viewCopyStatus), Reasons: views(st.Reasons, viewReason), ComparedAt: comparedAt(st.Copies),
	}
	if st.Primary != "" {
		v.Feed = feed(st.Primary)
	}
	for i := range v.Copies {
		v.Copies[i].Feed = feed(v.Copies[i].Cluster)
	}
	if st.Promotion != nil {
		v.Promotion = (*promotionView)(st.Promotion)
	}
	return v
}

// comparedAt is when the comparison began of the copy that was compared longest ago.
func comparedAt(copies []control.CopyStatus) (oldest *time.Time) {
	for _, c := range copies {
		switch {
		case c.Role != "copy":
		case c.VerifiedAt == nil:
			return nil
		case oldest == nil || c.VerifiedAt.Before(*oldest):
			oldest = c.VerifiedAt
		}
	}
	return oldest
}

// prefixStatusView is where the keys of a prefix rule are.
type prefixStatusView struct {
	// The rule's prefix.
	Prefix string `json:"prefix"`
	// The rule's policy; "" for a rule that is gone, and whose copies are given back.
	Policy string `json:"policy"`
	// Its copies, the primary first.
	Copies []prefixCopyView `json:"copies"`
}

// prefixCopyView is one cluster's copy of a prefix rule's keys.
type prefixCopyView struct {
	// The cluster it is in.
	Cluster string `json:"cluster"`
	// Whether users write there: primary, copy.
	Role string `json:"role"`
	// How far it is, as for copies.
	State string `json:"state"`
	// How many objects it has, as of the last comparison.
	Objects int64 `json:"objects"`
	// Their bytes.
	Bytes int64 `json:"bytes"`
	// When its last comparison with the primary began; null before the first.
	VerifiedAt *time.Time `json:"verified_at"`
	// Why it can't proceed.
	Error string `json:"error"`
}

func viewPrefixStatus(p control.PrefixStatus) prefixStatusView {
	return prefixStatusView{
		Prefix: p.Prefix, Policy: p.Policy,
		Copies: views(p.Copies, func(c control.PrefixCopy) prefixCopyView { return prefixCopyView(c) }),
	}
}

func viewCopyStatus(c control.CopyStatus) copyStatusView {
	return copyStatusView{
		Cluster: c.Cluster, Zone: c.Zone, Role: c.Role, State: c.State, Objects: c.Objects, Bytes: c.Bytes, Cursor: c.Cursor,
		Pending: pendingStatusView(c.Pending), VerifiedAt: c.VerifiedAt, Error: c.Error, Losses: orEmpty(c.Losses),
	}
}

// candidateView is one endpoint of GET /fado/route, or a cluster without one.
type candidateView struct {
	Cluster  string `json:"cluster"`   // its cluster
	Zone     string `json:"zone"`      // the cluster's failure domain
	URL      string `json:"url"`       // the endpoint; "" for a cluster without one
	Locality string `json:"locality"`  // whether the inputs would be read there
	Fresh    bool   `json:"fresh"`     // whether all inputs are current in its cluster
	Healthy  bool   `json:"healthy"`   // whether the endpoint passes its checks
	InFlight int64  `json:"in_flight"` // requests it serves for this instance
	Eligible bool   `json:"eligible"`  // whether the invocation may go there now
	Reason   string `json:"reason"`    // why, or why not
}

func viewCandidate(c routing.Candidate) candidateView { return candidateView(c) }

// clusterReasonView is one cluster of GET /fado/buckets/{name}/placement.
type clusterReasonView struct {
	Cluster string `json:"cluster"` // the cluster's name
	Zone    string `json:"zone"`    // its failure domain
	Chosen  bool   `json:"chosen"`  // whether it is to have a copy
	Reason  string `json:"reason"`  // why, or why not
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
