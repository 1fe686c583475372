package admin

import (
	"fmt"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// zoneView, clusterView, policyView and bucketView are items as clients see them.
type zoneView struct {
	*catalog.Zone
	Origin control.Origin `json:"origin"` // who declares it: the configuration, or the API
}

type clusterView struct {
	*catalog.Cluster
	Origin control.Origin `json:"origin"`           // who declares it: the configuration, or the API
	Status *ClusterStatus `json:"status,omitempty"` // read-only
}

type policyView struct {
	*catalog.Policy
	Origin control.Origin `json:"origin"` // who declares it: the configuration, or the API
	// What a change of the policy amounts to; only in the answer to one.
	Status *policyStatusView `json:"status,omitempty"`
}

// policyStatusView is the read-only status of a policy.
type policyStatusView struct {
	// Why no bucket can get what the policy asks for with the clusters that are declared now.
	Warnings []string `json:"warnings"`
}

type bucketView struct {
	*catalog.Bucket
	Origin control.Origin    `json:"origin"`           // who declares it: the configuration, or the API
	Status *bucketStatusView `json:"status,omitempty"` // read-only
}

// ClusterStatus is the read-only status of a cluster.
type ClusterStatus struct {
	// Storage is null for a cluster without one.
	Storage   *storageStatusView `json:"storage"`
	Functions []FunctionStatus   `json:"functions"` // its function endpoints
	// Drain tells how far a cluster that drains has come; left out for others.
	Drain *drainStatusView `json:"drain,omitempty"`
}

// FunctionStatus is what is known of one function endpoint.
type FunctionStatus struct {
	URL      string `json:"url"`       // as declared
	Healthy  bool   `json:"healthy"`   // whether it passes its checks
	InFlight int64  `json:"in_flight"` // requests it serves for this instance
	// Reason says why the endpoint is not healthy.
	Reason string `json:"reason,omitempty"`
}

// viewItems turns items of one kind into what clients see, secrets redacted.
func (c *call) viewItems(kind catalog.Kind, items []control.Item, withStatus bool) ([]any, error) {
	var clusters func(*catalog.Cluster) *ClusterStatus
	if kind == catalog.KindCluster && withStatus {
		clusters = c.clusterStatuses()
	}
	var statuses map[string]control.BucketStatus
	if kind == catalog.KindBucket && withStatus {
		var err error
		if statuses, err = c.bucketStatuses(items); err != nil {
			return nil, err
		}
	}
	feed := c.feeds()
	views := make([]any, len(items))
	for i, it := range items {
		redact(it.Resource)
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
				v.Status = clusters(r)
			}
			views[i] = v
		case *catalog.Bucket:
			v := bucketView{Bucket: r, Origin: it.Origin}
			if status, ok := statuses[r.Name]; ok { // not one deleted while a list is being written
				v.Status = viewBucketStatus(status, feed)
				v.Status.FormerPrimaries = viewFormerPrimaries(c.engine.FormerPrimaries(r.Name))
			}
			views[i] = v
		}
	}
	return views, nil
}

// clusterStatuses returns a function that tells a cluster's status from memory. The
// endpoints are gathered once for all clusters.
func (c *call) clusterStatuses() func(*catalog.Cluster) *ClusterStatus {
	byCluster := make(map[string][]FunctionStatus)
	for _, ep := range c.catalogue.Router().Snapshot().Endpoints() {
		byCluster[ep.Cluster] = append(byCluster[ep.Cluster], FunctionStatus{
			URL: ep.URL, Healthy: ep.Live.Healthy(), InFlight: ep.Live.InFlight.Load(), Reason: ep.Live.Reason(),
		})
	}
	return func(cl *catalog.Cluster) *ClusterStatus {
		st := &ClusterStatus{Functions: byCluster[cl.Name]}
		if st.Functions == nil {
			st.Functions = []FunctionStatus{}
		}
		if cl.Storage != nil {
			st.Storage = viewStorageStatus(c.engine.StorageStatus(cl.Name))
		}
		if cl.Drain {
			// What the store can't tell now is left out.
			drain, _ := c.engine.DrainStatus(c.r.Context(), cl.Name)
			st.Drain = viewDrainStatus(drain)
		}
		return st
	}
}

// feeds returns a function that tells how changes made directly at a cluster's storage are
// noticed. Each cluster is asked once, since many buckets are in it.
func (c *call) feeds() func(cluster string) string {
	known := make(map[string]string)
	return func(cluster string) string {
		feed, ok := known[cluster]
		if !ok {
			feed = c.engine.StorageStatus(cluster).Feed
			known[cluster] = feed
		}
		return feed
	}
}

// bucketStatuses tells the statuses of the buckets among some items.
func (c *call) bucketStatuses(items []control.Item) (map[string]control.BucketStatus, error) {
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.Resource.ResourceName()
	}
	all, err := c.catalogue.Buckets(c.r.Context(), names...)
	if err != nil {
		return nil, fmt.Errorf("status of buckets: %w", err)
	}
	return all, nil
}
