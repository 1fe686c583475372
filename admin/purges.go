package admin

import (
	"net/http"

	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

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
	return c.Reply(http.StatusOK, views(list, func(p state.Purge) fleet.PurgeUnderWayView { return fleet.ViewPurge(p, stuck) }))
}

// purgesOperation is that on the purges under way.
func purgesOperation() operation {
	return operation{
		name: "purges", method: http.MethodGet, pattern: "/fado/replication/purges", role: roleViewer, handle: purges,
		summary: "The data of forgotten buckets that is still being removed.",
		replies: []reply{{status: 200, doc: "The purges, the oldest first.", body: []fleet.PurgeUnderWayView{}}}, errors: []int{400, 503},
	}
}
