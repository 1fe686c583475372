package admin

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
)

const (
	// checkTimeout bounds the check of a cluster, all of it.
	checkTimeout = 10 * time.Second
	// maxChecked bounds the function endpoints that are checked, checkedAtOnce those at a time.
	maxChecked    = 100
	checkedAtOnce = 16
)

// clusterCheckView answers POST /fado/clusters/check.
type clusterCheckView struct {
	// Whether everything that was checked is well.
	OK bool `json:"ok"`
	// Its storage; null where it has none.
	Storage *storageCheckView `json:"storage"`
	// Its function endpoints, in their order, at most 100.
	Functions []functionCheckView `json:"functions"`
}

// storageCheckView is what was found of a storage.
type storageCheckView struct {
	State        string           `json:"state"`        // up, down
	Error        string           `json:"error"`        // why it is down, or could not be asked what it offers
	Capabilities capabilitiesView `json:"capabilities"` // what it offers; null each, where it could not be asked
	// Seconds that its clock is ahead of this instance's; null where it does not tell.
	ClockSkew *float64 `json:"clock_skew_s"`
	// Milliseconds until it answered once.
	Took float64 `json:"took_ms"`
}

// functionCheckView is what was found of a function endpoint.
type functionCheckView struct {
	URL     string `json:"url"`     // the endpoint
	Healthy bool   `json:"healthy"` // whether it passed its check
	Error   string `json:"error"`   // why not
}

// checkCluster looks at a cluster that may not be declared yet, and changes nothing. As in a
// change of the cluster, "***" stands for its stored secret, which goes nowhere but to the
// storage that it was given for.
func checkCluster(c *call) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	clusters := collection{catalog.KindCluster, "/fado/clusters"}
	res, err := clusters.decodeNew(c, body)
	if err != nil {
		return err
	}
	d := draftsOf(&c.backend)
	now, err := stored(c, res)
	if err != nil {
		return err
	}
	if err := d.fill(res, now); err != nil {
		return err
	}
	cl := res.(*catalog.Cluster)
	cl.Normalize()
	if err := catalog.ValidateResource(cl, d.declared); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.R.Context(), checkTimeout)
	defer cancel()
	return c.Reply(http.StatusOK, c.lookAtCluster(ctx, cl))
}

// stored is what is declared by the name of a resource now; nil for nothing.
func stored(c *call, r catalog.Resource) (catalog.Resource, error) {
	it, err := c.catalogue.Get(c.R.Context(), catalog.KindCluster, r.ResourceName())
	if errors.Is(err, control.ErrNotFound) {
		return nil, nil
	}
	return it.Resource, err
}

func (c *call) lookAtCluster(ctx context.Context, cl *catalog.Cluster) clusterCheckView {
	v := clusterCheckView{OK: true, Functions: make([]functionCheckView, min(len(cl.Functions), maxChecked))}
	var wg sync.WaitGroup
	if cl.Storage != nil {
		wg.Go(func() { v.Storage = viewStorageCheck(c.engine.reports.CheckStorage(ctx, cl.Name, cl.Storage)) })
	}
	turns := make(chan struct{}, checkedAtOnce)
	for i := range v.Functions {
		turns <- struct{}{}
		wg.Go(func() {
			v.Functions[i] = c.checkFunctionOf(ctx, cl.Name, cl.Functions[i])
			<-turns
		})
	}
	wg.Wait()
	v.OK = v.Storage == nil || v.Storage.Error == ""
	for _, f := range v.Functions {
		v.OK = v.OK && f.Healthy
	}
	return v
}

func (c *call) checkFunctionOf(ctx context.Context, cluster string, f catalog.Function) functionCheckView {
	v := functionCheckView{URL: f.URL, Healthy: true}
	if err := c.checkFunction(ctx, cluster, f); err != nil {
		v.Healthy, v.Error = false, err.Error()
	}
	return v
}

func viewStorageCheck(s replication.StorageCheck) *storageCheckView {
	return &storageCheckView{
		State: s.State, Error: s.Error, Capabilities: viewCapabilities(s.Capabilities),
		Took: float64(s.Took) / float64(time.Millisecond), ClockSkew: seconds(s.Skew),
	}
}

// checkClusterOperation is that which checks a cluster.
func checkClusterOperation() operation {
	return operation{
		name: "check-cluster", method: http.MethodPost, pattern: "/fado/clusters/check", role: roleAdmin, handle: checkCluster, effect: effectReads,
		summary: "Whether a cluster that may not be declared yet can be reached with its credentials, what its storage offers, and whether its functions are well. Nothing is written; it takes 10 seconds at most.",
		request: catalog.NewResource(catalog.KindCluster), requestTypes: []string{mediaJSON},
		replies: []reply{{status: 200, doc: "What was found.", body: clusterCheckView{}}}, errors: []int{400, 413, 503},
	}
}
