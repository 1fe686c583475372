package admin

import (
	"context"
	"fmt"

	"github.com/fado-project/fado/admin/internal/clusters"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// glance tells how all is from memory, but for small reads that also tell whether the store is there.
type glance struct {
	ctx       context.Context // of the request that is answered
	snap      *routing.Snapshot
	catalogue catalogue
	engine    engine
	clusters  *clusters.Look
}

func (c *call) glance() glance {
	snap := c.catalogue.Router().Snapshot()
	return glance{c.R.Context(), snap, c.catalogue, c.engine, clusters.NewLook(snap, c.engine.reports)}
}

// policies counts the policies that GET /fado/policies lists: the built-in one
// is always among those that routing knows, and is not an item.
func (g glance) policies() int {
	n := g.snap.Len(catalog.KindPolicy)
	if _, err := g.catalogue.Get(g.ctx, catalog.KindPolicy, catalog.DefaultPolicyName); err != nil {
		n--
	}
	return n
}

// degraded lists what is not as it should be; none when all is well.
func (g glance) degraded() (why []string) {
	if _, err := g.catalogue.Store().ChangeLog().Seq(g.ctx); err != nil {
		why = append(why, err.Error())
	} else if err := g.catalogue.StoreTrouble(); err != nil {
		why = append(why, err.Error())
	}
	if g.engine.Paused() {
		why = append(why, "replication is paused; POST /fado/replication/resume ends that")
	}
	g.snap.Clusters(func(cl *catalog.Cluster) bool {
		if cl.Storage == nil {
			return true
		}
		switch st := g.engine.reports.Storage(cl.Name); {
		case st.State == routing.StorageDown.String():
			why = append(why, fmt.Sprintf("the storage of %s is down: %s", cl.Name, st.Error))
		case st.Full:
			why = append(why, fmt.Sprintf("the storage of %s is full", cl.Name))
		}
		return true
	})
	for _, ep := range g.snap.Endpoints() {
		if !ep.Live.Healthy() {
			why = append(why, fmt.Sprintf("function %s of %s is down: %s", ep.URL, ep.Cluster, ep.Live.Reason()))
		}
	}
	for _, f := range g.engine.reports.StuckPurges() {
		why = append(why, fmt.Sprintf("bucket %s can't be purged in %s: %s", f.Bucket, f.Cluster, f.Error))
	}
	stuck, conflict := g.catalogue.Troubles(g.ctx)
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
