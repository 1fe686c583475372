package admin

import (
	"net/http"
	"time"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// purgeUnderWayView is an item of GET /fado/replication/purges.
type purgeUnderWayView struct {
	Bucket string `json:"bucket"` // the bucket, which is forgotten
	// What is removed: copies (all but the primary's), all.
	Mode     string    `json:"mode"`
	Primary  string    `json:"primary"`  // the cluster of the primary
	Since    time.Time `json:"since"`    // when it was decided
	Clusters []string  `json:"clusters"` // where something is left to be removed
	// Why the last attempt of this instance failed, "" where none did.
	Error string `json:"error"`
	// When it is tried again; null where nothing failed.
	NextAttempt *time.Time `json:"next_attempt"`
}

// purges lists the purges that were decided and have not ended.
func purges(c *call) error {
	list, err := c.catalogue.Store().Purges().Purges(c.R.Context())
	if err != nil {
		return err
	}
	stuck := make(map[string]replication.Failure)
	for _, f := range c.engine.reports.StuckPurges() {
		stuck[f.Bucket] = f
	}
	return c.Reply(http.StatusOK, views(list, func(p state.Purge) purgeUnderWayView { return viewPurge(p, stuck) }))
}

func viewPurge(p state.Purge, stuck map[string]replication.Failure) purgeUnderWayView {
	v := purgeUnderWayView{Bucket: p.Bucket, Mode: string(p.Mode), Primary: p.Primary, Since: p.Since, Clusters: []string{}}
	for _, t := range p.Targets {
		v.Clusters = append(v.Clusters, t.Cluster)
	}
	if f, ok := stuck[p.Bucket]; ok {
		v.Error, v.NextAttempt = f.Error, &f.NextAttempt
	}
	return v
}

// purgesOperation is that on the purges under way.
func purgesOperation() operation {
	return operation{
		name: "purges", method: http.MethodGet, pattern: "/fado/replication/purges", role: roleViewer, handle: purges,
		summary: "The data of forgotten buckets that is still being removed.",
		replies: []reply{{status: 200, doc: "The purges, the oldest first.", body: []purgeUnderWayView{}}}, errors: []int{400, 503},
	}
}
