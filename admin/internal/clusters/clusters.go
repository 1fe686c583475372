package clusters

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

// The codes of reasons.
const (
	storageDown    = "storage-down"
	storageRefuses = "storage-refuses" // beside storage-down: it answers, and refuses FaDO
	storageFull    = "storage-full"
	functionDown   = "function-down"
	drainStuck     = "drain-stuck"
)

// changeCluster is the operation that helps where the declaration of a cluster is wrong.
const changeCluster = "patch-cluster"

// Reports is what a Look uses of *replication.Reports.
type Reports interface {
	Storage(cluster string) replication.StorageStatus
	// Drained is what memory has of a cluster that drains.
	Drained(cluster string) (replication.DrainStatus, bool)
}

// Look is one at all clusters, of one moment.
type Look struct {
	snap      *routing.Snapshot
	reports   Reports
	endpoints map[string][]*routing.Endpoint // by cluster
}

// NewLook returns a look at the clusters of a snapshot.
func NewLook(snap *routing.Snapshot, reports Reports) *Look {
	l := &Look{snap, reports, make(map[string][]*routing.Endpoint)}
	for _, ep := range snap.Endpoints() {
		l.endpoints[ep.Cluster] = append(l.endpoints[ep.Cluster], ep)
	}
	return l
}

// Endpoints are the function endpoints of a cluster.
func (l *Look) Endpoints(cluster string) []*routing.Endpoint { return l.endpoints[cluster] }

// sorted are the clusters by name.
func (l *Look) sorted() (all []*catalog.Cluster) {
	l.snap.Clusters(func(cl *catalog.Cluster) bool { all = append(all, cl); return true })
	slices.SortFunc(all, func(a, b *catalog.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Sums tells every cluster at a glance, sorted by name.
func (l *Look) Sums() []ClusterSumView {
	sums := []ClusterSumView{}
	for _, cl := range l.sorted() {
		s := ClusterSumView{Name: cl.Name, Zones: cl.Zones, Drain: cl.Drain}
		if s.Zones == nil {
			s.Zones = []string{}
		}
		if cl.Storage != nil {
			st := l.reports.Storage(cl.Name)
			s.Storage, s.Error, s.Full, s.UsedBytes, s.Feed = st.State, st.Error, st.Full, st.UsedBytes, st.Feed
			s.Capacity = int64(cl.Storage.Capacity)
		}
		for _, ep := range l.endpoints[cl.Name] {
			s.Functions++
			s.InFlight += ep.Live.InFlight.Load()
			if ep.Live.Healthy() {
				s.Healthy++
			}
		}
		sums = append(sums, s)
	}
	return sums
}

// Reasons tells what is not as it should be in a cluster: its storage, its drain, its functions.
func (l *Look) Reasons(cl *catalog.Cluster) []ReasonView {
	_, reasons := l.own(cl)
	for _, ep := range l.endpoints[cl.Name] {
		if why, down := ofFunction(ep); down {
			reasons = append(reasons, why)
		}
	}
	return reasons
}

// Attention lists what people have to see to, the clusters' own first: so many function endpoints at most.
func (l *Look) Attention(most int) []AttentionView {
	all := []AttentionView{}
	for _, cl := range l.sorted() {
		if state, reasons := l.own(cl); len(reasons) > 0 {
			all = append(all, AttentionView{"cluster", cl.Name, state, reasons})
		}
	}
	for _, ep := range l.snap.Endpoints() {
		why, down := ofFunction(ep)
		if !down {
			continue
		}
		if most--; most < 0 {
			break
		}
		all = append(all, AttentionView{"function", ep.Cluster, "down", []ReasonView{why}})
	}
	return all
}

// own tells what is not as it should be of a cluster but its functions: in a word, and why.
func (l *Look) own(cl *catalog.Cluster) (state string, reasons []ReasonView) {
	reasons = []ReasonView{}
	add := func(in, code, text, action string, since time.Time) {
		state = cmp.Or(state, in)
		reasons = append(reasons, ReasonView{Code: code, Text: text, Cluster: cl.Name, Action: action, Since: Moment(since)})
	}
	if cl.Storage != nil {
		st := l.reports.Storage(cl.Name)
		switch {
		case st.State == routing.StorageDown.String():
			since := l.snap.ClusterState(cl.Name).DownSince()
			add("down", storageDown, "Its storage is down: "+st.Error, "", since)
			if st.Refuses {
				add("down", storageRefuses, "Its storage refuses FaDO: the access key that the cluster names is wrong, or lacks rights there.", changeCluster, since)
			}
		case st.Full:
			add("full", storageFull, "Its storage has no space left: what has to be written there waits.", "", st.FullSince)
		}
	}
	if d, known := l.reports.Drained(cl.Name); cl.Drain && known && d.Reason != "" {
		add("stuck", drainStuck, "Not all leaves it: "+d.Reason, "", d.Since)
	}
	return state, reasons
}

// ofFunction says why a function endpoint is down, if it is.
func ofFunction(ep *routing.Endpoint) (why ReasonView, down bool) {
	if ep.Live.Healthy() {
		return ReasonView{}, false
	}
	return ReasonView{
		Code: functionDown, Text: "Function " + ep.URL + " is down: " + ep.Live.Reason(), Cluster: ep.Cluster, URL: ep.URL,
		Since: Moment(ep.Live.DownSince()),
	}, true
}
