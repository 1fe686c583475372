package admin

import (
	"context"
	"fmt"

	"github.com/fado-project/fado/admin/internal/clusters"
	"github.com/fado-project/fado/admin/internal/secrets"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// shown makes of items what clients see of them, with their status as it is known in memory.
type shown struct {
	ctx       context.Context // of the request that is answered
	catalogue catalogue
	engine    engine
}

func (c *call) shown() shown { return shown{c.R.Context(), c.catalogue, c.engine} }

// views turns items of one kind into what clients see, secrets redacted.
func (s shown) views(kind catalog.Kind, items []control.Item, withStatus bool) ([]any, error) {
	var statusOf func(*catalog.Cluster) *ClusterStatus
	if kind == catalog.KindCluster && withStatus {
		statusOf = s.clusterStatuses()
	}
	var statuses map[string]control.BucketStatus
	if kind == catalog.KindBucket && withStatus {
		var err error
		if statuses, err = s.bucketStatuses(items); err != nil {
			return nil, err
		}
	}
	feed := s.feeds()
	views := make([]any, len(items))
	for i, it := range items {
		secrets.Redact(it.Resource)
		switch r := it.Resource.(type) {
		case *catalog.Zone:
			views[i] = zoneView{r, it.Origin}
		case *catalog.Policy:
			views[i] = policyView{Policy: r, Origin: it.Origin}
		case *catalog.Key:
			views[i] = keyView{r, it.Origin}
		case *catalog.Cluster:
			v := clusterView{Cluster: r, Origin: it.Origin}
			if withStatus {
				v.Status = statusOf(r)
			}
			views[i] = v
		case *catalog.Bucket:
			v := bucketView{Bucket: r, Origin: it.Origin}
			if status, ok := statuses[r.Name]; ok { // not one deleted while a list is being written
				v.Status = viewBucketStatus(status, feed)
				v.Status.FormerPrimaries = viewFormerPrimaries(s.engine.reports.FormerPrimaries(r.Name))
			}
			views[i] = v
		}
	}
	return views, nil
}

// clusterStatuses returns a function that tells a cluster's status from memory. The
// endpoints are gathered once for all clusters.
func (s shown) clusterStatuses() func(*catalog.Cluster) *ClusterStatus {
	look := clusters.NewLook(s.catalogue.Router().Snapshot(), s.engine.reports)
	return func(cl *catalog.Cluster) *ClusterStatus {
		st := &ClusterStatus{Functions: views(look.Endpoints(cl.Name), viewFunctionStatus)}
		if cl.Storage != nil {
			st.Storage = viewStorageStatus(s.engine.reports.Storage(cl.Name))
		}
		if cl.Drain {
			// What the store can't tell now is left out.
			drain, _ := s.engine.reports.Drain(s.ctx, cl.Name)
			st.Drain = viewDrainStatus(drain)
		}
		st.Reasons = look.Reasons(cl)
		return st
	}
}

// feeds returns a function that tells how changes made directly at a cluster's storage are
// noticed. Each cluster is asked once, since many buckets are in it.
func (s shown) feeds() func(cluster string) string {
	known := make(map[string]string)
	return func(cluster string) string {
		feed, ok := known[cluster]
		if !ok {
			feed = s.engine.reports.Storage(cluster).Feed
			known[cluster] = feed
		}
		return feed
	}
}

// bucketStatuses tells the statuses of the buckets among some items.
func (s shown) bucketStatuses(items []control.Item) (map[string]control.BucketStatus, error) {
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.Resource.ResourceName()
	}
	all, err := s.catalogue.Buckets(s.ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("status of buckets: %w", err)
	}
	return all, nil
}
