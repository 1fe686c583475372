package admin

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// overview is the JSON of GET /fado/.
type overview struct {
	Version string `json:"version"`
	Node    string `json:"node"`
	Store   string `json:"store"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Counts  counts `json:"counts"`
	// How old the knowledge is, in seconds, that a start without a shared store would go
	// by, and that routing goes by while it is out of reach. 0 with a store that only this
	// instance uses.
	SnapshotAge float64 `json:"snapshot_age_s"`
}

type counts struct {
	Zones    int `json:"zones"`
	Clusters int `json:"clusters"`
	Policies int `json:"policies"`
	Buckets  int `json:"buckets"`
}

// overviewOf answers from memory, but for small reads that also tell whether the store
// is there: a dead store shows as degraded, not as an error.
func overviewOf(c *call) error {
	snap := c.catalogue.Router().Snapshot()
	o := overview{
		Version: c.version, Node: c.catalogue.Node(), Store: c.catalogue.Store().Kind(), Status: "ok",
		Counts: counts{
			Zones: snap.Len(catalog.KindZone), Clusters: snap.Len(catalog.KindCluster),
			Policies: c.declaredPolicies(snap), Buckets: snap.Len(catalog.KindBucket),
		},
		SnapshotAge: c.catalogue.SnapshotAge().Seconds(),
	}
	if why := c.degraded(snap); len(why) > 0 {
		if n := len(why) - maxReasons; n > 0 {
			why = append(why[:maxReasons], fmt.Sprintf("and %d more", n))
		}
		o.Status, o.Reason = "degraded", strings.Join(why, "; ")
	}
	return c.reply(http.StatusOK, o)
}

// maxReasons bounds how many reasons the overview gives.
const maxReasons = 20

// declaredPolicies counts the policies that GET /fado/policies lists: the built-in one
// is always among those that routing knows, and is not an item.
func (c *call) declaredPolicies(snap *routing.Snapshot) int {
	n := snap.Len(catalog.KindPolicy)
	if _, err := c.catalogue.Get(c.r.Context(), catalog.KindPolicy, catalog.DefaultPolicyName); err != nil {
		n--
	}
	return n
}

// degraded lists what is not as it should be; none when all is well.
func (c *call) degraded(snap *routing.Snapshot) (why []string) {
	if _, err := c.catalogue.Store().Seq(c.r.Context()); err != nil {
		why = append(why, err.Error())
	} else if err := c.catalogue.StoreTrouble(); err != nil {
		why = append(why, err.Error())
	}
	if c.engine.Paused() {
		why = append(why, "replication is paused; POST /fado/replication/resume ends that")
	}
	snap.Clusters(func(cl *catalog.Cluster) bool {
		if cl.Storage == nil {
			return true
		}
		switch st := c.engine.StorageStatus(cl.Name); {
		case st.State == routing.StorageDown.String():
			why = append(why, fmt.Sprintf("the storage of %s is down: %s", cl.Name, st.Error))
		case st.Full:
			why = append(why, fmt.Sprintf("the storage of %s is full", cl.Name))
		}
		return true
	})
	for _, ep := range snap.Endpoints() {
		if !ep.Live.Healthy() {
			why = append(why, fmt.Sprintf("function %s of %s is down: %s", ep.URL, ep.Cluster, ep.Live.Reason()))
		}
	}
	for _, f := range c.engine.StuckPurges() {
		why = append(why, fmt.Sprintf("bucket %s can't be purged in %s: %s", f.Bucket, f.Cluster, f.Error))
	}
	if n, bucket, reason := c.catalogue.Stuck(c.r.Context()); n == 1 {
		why = append(why, fmt.Sprintf("bucket %s is stuck: %s", bucket, reason))
	} else if n > 1 {
		why = append(why, fmt.Sprintf("%d buckets are stuck, one of them %s: %s", n, bucket, reason))
	}
	return why
}
