package admin

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
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
	stuck, conflict := c.catalogue.Troubles(c.r.Context())
	return append(append(why, troubled(stuck, "is stuck", "are stuck", control.BucketStuck)...),
		troubled(conflict, "has conflicts", "have conflicts", control.BucketConflict)...)
}

// troubled tells of the buckets in one of the states that need people: of one with its reason,
// of several where to read the others.
func troubled(in control.InTrouble, is, are, state string) []string {
	switch in.Buckets {
	case 0:
		return nil
	case 1:
		return []string{fmt.Sprintf("bucket %s %s: %s", in.Bucket, is, in.Reason)}
	}
	return []string{fmt.Sprintf("%d buckets %s, one of them %s: %s; GET /fado/buckets?state=%s lists them", in.Buckets, are, in.Bucket, in.Reason, state)}
}
