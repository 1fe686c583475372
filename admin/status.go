package admin

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// overview is the JSON of GET /fado/.
type overview struct {
	Version string `json:"version"` // of FaDO
	Node    string `json:"node"`    // this instance's name
	Store   string `json:"store"`   // where state is kept
	Status  string `json:"status"`  // whether anything needs people
	Reason  string `json:"reason"`  // why it is degraded; "" if it is not
	Counts  counts `json:"counts"`  // how many resources there are
	// How old the knowledge is, in seconds, that a start without a shared store would go
	// by, and that routing goes by while it is out of reach. 0 with a store that only this
	// instance uses.
	SnapshotAge float64 `json:"snapshot_age_s"`
}

type counts struct {
	Zones    int `json:"zones"`    // how many zones
	Clusters int `json:"clusters"` // how many clusters
	Policies int `json:"policies"` // how many policies, the built-in one not counted
	Buckets  int `json:"buckets"`  // how many buckets
}

// overviewOf answers from memory, but for small reads that also tell whether the store
// is there: a dead store shows as degraded, not as an error.
func overviewOf(c *call) error {
	g := c.glance()
	o := overview{
		Version: c.version, Node: c.catalogue.Node(), Store: c.catalogue.Store().Kind(), Status: "ok",
		Counts: counts{
			Zones: g.snap.Len(catalog.KindZone), Clusters: g.snap.Len(catalog.KindCluster),
			Policies: g.policies(), Buckets: g.snap.Len(catalog.KindBucket),
		},
		SnapshotAge: c.catalogue.SnapshotAge().Seconds(),
	}
	if why := g.degraded(); len(why) > 0 {
		if n := len(why) - maxReasons; n > 0 {
			why = append(why[:maxReasons], fmt.Sprintf("and %d more", n))
		}
		o.Status, o.Reason = "degraded", strings.Join(why, "; ")
	}
	return c.Reply(http.StatusOK, o)
}

// maxReasons bounds how many reasons the overview gives.
const maxReasons = 20
