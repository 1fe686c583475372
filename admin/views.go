package admin

import (
	"github.com/fado-project/fado/admin/internal/clusters"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
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
	// Reasons are what is not as it should be, one by one.
	Reasons []clusters.ReasonView `json:"reasons"`
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

func viewFunctionStatus(ep *routing.Endpoint) FunctionStatus {
	return FunctionStatus{URL: ep.URL, Healthy: ep.Live.Healthy(), InFlight: ep.Live.InFlight.Load(), Reason: ep.Live.Reason()}
}
