package admin

import (
	"net/http"
	"time"

	"github.com/fado-project/fado/admin/internal/clusters"
	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
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
	Attention []clusters.AttentionView `json:"attention"`
	// How many more buckets are stuck or in conflict.
	More     int                       `json:"more"`
	Clusters []clusters.ClusterSumView `json:"clusters"` // every cluster, sorted by name
	// With by=policy, how many copies there are in which state, by policy and cluster.
	Copies []fleet.CopySumView `json:"copies,omitempty"`
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

// actions name the operation that helps with a kind of reason.
var actions = map[control.ReasonCode]string{
	control.ReasonHeldDeletes: "confirm-deletes",
	control.ReasonFailing:     "retry-failures",
	control.ReasonCopyFailed:  "sync-bucket",
	control.ReasonConflict:    "resolve-conflicts",

	control.ReasonHiddenHistory: "release-history",
	control.ReasonStopped:       "trust-side",
}

func viewReason(r control.Reason) clusters.ReasonView {
	return clusters.ReasonView{Code: string(r.Code), Text: r.Text, Cluster: r.Cluster, Action: actions[r.Code], Since: clusters.Moment(r.Since)}
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
		Clusters: g.clusters.Sums(), Attention: []clusters.AttentionView{},
	}
	if err := c.catalogue.StoreTrouble(); err != nil {
		v.Trouble = err.Error()
		v.attend("store", "", "unavailable", clusters.ReasonView{Code: "store", Text: err.Error()})
	}
	if v.Paused {
		v.attend("replication", "", "paused", clusters.ReasonView{Code: "paused", Text: "Replication is paused: nothing is copied, on any instance.", Action: "resume-replication"})
	}
	v.Attention = append(v.Attention, g.clusters.Attention(fleet.MaxWorst)...)
	purges := c.engine.reports.StuckPurges()
	for _, f := range purges[:min(len(purges), fleet.MaxWorst)] {
		v.attend("purge", f.Bucket, "failed", clusters.ReasonView{
			Code: "purge-failing", Text: "The data of bucket " + f.Bucket + ", which is forgotten, can't be removed from " + f.Cluster + ": " + f.Error, Cluster: f.Cluster, Since: clusters.Moment(f.Since),
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
	if c.Query("by") != "" {
		v.Copies = look.Copies(g.snap)
	}
	v.More = v.Buckets.Stuck + v.Buckets.Conflict - len(look.Worst)
	if len(v.Attention) > 0 {
		v.Status = "degraded"
	}
	return c.Reply(http.StatusOK, v)
}

func (v *summaryView) attend(kind, name, state string, reasons ...clusters.ReasonView) {
	v.Attention = append(v.Attention, clusters.AttentionView{Kind: kind, Name: name, State: state, Reasons: reasons})
}
