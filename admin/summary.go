package admin

import (
	"net/http"
	"time"

	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// summaryView is the JSON of GET /fado/summary.
type summaryView struct {
	// When the buckets were looked at.
	At      time.Time `json:"at"`
	Version string    `json:"version"` // of FaDO
	Node    string    `json:"node"`    // this instance's name
	Status  string    `json:"status"`  // whether anything needs people
	// Whether replication is paused.
	Paused  bool        `json:"paused"`
	Counts  counts      `json:"counts"`  // how many resources there are
	Buckets stateCounts `json:"buckets"` // buckets by state
	// What needs people, the most urgent first; at most a few hundred.
	Attention []attentionView `json:"attention"`
	// How many more buckets are stuck or in conflict.
	More     int              `json:"more"`
	Clusters []clusterSumView `json:"clusters"` // every cluster, sorted by name
	// Why something could not be told, such as a store that does not answer.
	Trouble string `json:"trouble"`
}

// stateCounts counts buckets by state.
type stateCounts struct {
	OK       int `json:"ok"`       // all copies are where policy wants them
	Syncing  int `json:"syncing"`  // on their way
	Stuck    int `json:"stuck"`    // they need a decision or a resource
	Conflict int `json:"conflict"` // objects that are not FaDO's stand in the way
}

// attentionView is one thing that needs people.
type attentionView struct {
	// Kind is replication, store, cluster, function, bucket or purge.
	Kind string `json:"kind"`
	// The bucket's name, or the cluster's.
	Name    string       `json:"name"`
	State   string       `json:"state"`   // what is wrong, in a word
	Reasons []reasonView `json:"reasons"` // why
}

// reasonView is one reason for a state that is not ok.
type reasonView struct {
	// Code names the kind of reason to programs.
	Code    string `json:"code"`
	Text    string `json:"text"`    // a sentence
	Cluster string `json:"cluster"` // the cluster it is about; "" for none
	// Action is the operation that helps, empty where nothing but time or a look does.
	Action string `json:"action"`
	// Since when it is so, as far as this instance knows; null where it does not.
	Since *time.Time `json:"since"`
}

// clusterSumView is one cluster at a glance.
type clusterSumView struct {
	Name  string   `json:"name"`  // its name
	Zones []string `json:"zones"` // the zones it is in
	// Storage is up, down or unknown; empty for a cluster without one.
	Storage   string `json:"storage"`
	Error     string `json:"error"`      // why its storage is down, or full
	Full      bool   `json:"full"`       // whether its storage has no space left
	UsedBytes int64  `json:"used_bytes"` // bytes in its storage that FaDO knows of
	// Capacity in bytes, 0 if none is declared.
	Capacity  int64  `json:"capacity"`
	Feed      string `json:"feed"`      // how changes at its storage are noticed
	Functions int    `json:"functions"` // how many function endpoints it has
	Healthy   int    `json:"healthy"`   // how many of these are healthy
	InFlight  int64  `json:"in_flight"` // requests its endpoints are serving for this instance
	Drain     bool   `json:"drain"`     // whether it is being emptied
}

// actions name the operation that helps with a kind of reason.
var actions = map[control.ReasonCode]string{
	control.ReasonHeldDeletes: "confirm-deletes",
	control.ReasonFailing:     "retry-failures",
	control.ReasonCopyFailed:  "sync-bucket",
	control.ReasonConflict:    "resolve-conflicts",

	control.ReasonHiddenHistory: "release-history",
	control.ReasonStopped:       "trust-side",
}

func viewReason(r control.Reason) reasonView {
	return reasonView{Code: string(r.Code), Text: r.Text, Cluster: r.Cluster, Action: actions[r.Code], Since: momentOf(r.Since)}
}

// momentOf is a time as clients see it; nil for none.
func momentOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// summary tells at a glance how all is, from memory. A store that does not answer is told,
// and makes no error.
func summary(c *call) error {
	g := c.glance()
	v := summaryView{
		At: time.Now().UTC(), Version: c.version, Node: c.catalogue.Node(), Status: "ok", Paused: c.engine.Paused(),
		Counts: counts{
			Zones: g.snap.Len(catalog.KindZone), Clusters: g.snap.Len(catalog.KindCluster),
			Policies: g.policies(), Buckets: g.snap.Len(catalog.KindBucket),
		},
		Clusters: g.clusterSums(), Attention: []attentionView{},
	}
	if err := c.catalogue.StoreTrouble(); err != nil {
		v.Trouble = err.Error()
		v.attend("store", "", "unavailable", reasonView{Code: "store", Text: err.Error()})
	}
	if v.Paused {
		v.attend("replication", "", "paused", reasonView{Code: "paused", Text: "Replication is paused: nothing is copied, on any instance.", Action: "resume-replication"})
	}
	v.attendClusters(g.snap)
	purges := c.engine.reports.StuckPurges()
	for _, f := range purges[:min(len(purges), fleet.MaxWorst)] {
		v.attend("purge", f.Bucket, "failed", reasonView{
			Code: "purge-failing", Text: "The data of bucket " + f.Bucket + ", which is forgotten, can't be removed from " + f.Cluster + ": " + f.Error, Cluster: f.Cluster, Since: momentOf(f.Since),
		})
	}
	look, err := c.fleets.Get(c.R.Context(), c.catalogue)
	if err != nil {
		if v.Trouble == "" {
			v.Trouble = err.Error()
		}
		v.Status = "degraded"
		return c.Reply(http.StatusOK, v)
	}
	v.At = look.At.UTC()
	v.Buckets = stateCounts{
		OK: look.Counts[control.BucketOK], Syncing: look.Counts[control.BucketSyncing],
		Stuck: look.Counts[control.BucketStuck], Conflict: look.Counts[control.BucketConflict],
	}
	for _, j := range look.Worst {
		v.attend("bucket", j.Bucket, j.State, views(j.Reasons, viewReason)...)
	}
	v.More = v.Buckets.Stuck + v.Buckets.Conflict - len(look.Worst)
	if len(v.Attention) > 0 {
		v.Status = "degraded"
	}
	return c.Reply(http.StatusOK, v)
}

func (v *summaryView) attend(kind, name, state string, reasons ...reasonView) {
	v.Attention = append(v.Attention, attentionView{Kind: kind, Name: name, State: state, Reasons: reasons})
}

// attendClusters notes what is wrong with clusters and their functions.
func (v *summaryView) attendClusters(snap *routing.Snapshot) {
	for _, cl := range v.Clusters {
		switch {
		case cl.Storage == routing.StorageDown.String():
			v.attend("cluster", cl.Name, "down", reasonView{Code: "storage-down", Text: "Its storage is down: " + cl.Error, Cluster: cl.Name, Since: momentOf(snap.ClusterState(cl.Name).StorageSince())})
		case cl.Full:
			v.attend("cluster", cl.Name, "full", reasonView{Code: "storage-full", Text: "Its storage has no space left.", Cluster: cl.Name})
		}
	}
	for _, ep := range snap.Endpoints() {
		if len(v.Attention) > fleet.MaxWorst {
			return
		}
		if !ep.Live.Healthy() {
			v.attend("function", ep.Cluster, "down", reasonView{Code: "function-down", Text: "Function " + ep.URL + " is down: " + ep.Live.Reason(), Cluster: ep.Cluster})
		}
	}
}
