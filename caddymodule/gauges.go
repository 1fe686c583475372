package caddymodule

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
)

// gauges computes at the time of a scrape what is now, from memory and one bounded
// query of the store.
type gauges struct{ app *App }

// Describe implements prometheus.Collector.
func (gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		pendingObjectsDesc, pendingBytesDesc, pendingOldestDesc, storageUpDesc, functionUpDesc, snapshotAgeDesc,
		bucketsDesc, copiesDesc, conflictsDesc, heldDeletesDesc, pausedDesc, drainDesc, storageFullDesc, feedDesc, comparedAgeDesc, buildInfoDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	rt := g.app.runtime.Load()
	if rt == nil {
		return
	}
	var gauge gaugeFunc = func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(snapshotAgeDesc, rt.control.Status.SnapshotAge().Seconds())
	gauge(buildInfoDesc, 1, Version())
	gauge(pausedDesc, oneIf(rt.engine.Paused()))
	rt.tally.collect(gauge)
	snap := rt.control.Router().Snapshot()
	snap.Clusters(func(c *catalog.Cluster) bool {
		if c.Storage != nil {
			counters.mismatches.WithLabelValues(c.Name) // from 0, so that the first one is an increase
		}
		if s := snap.ClusterState(c.Name); c.Storage != nil && s != nil && s.Storage() != routing.StorageUnknown {
			gauge(storageUpDesc, oneIf(s.Storage() == routing.StorageUp), c.Name)
			status := rt.engine.Reports().Storage(c.Name)
			gauge(storageFullDesc, oneIf(status.Full), c.Name)
			for _, kind := range []string{replication.FeedListener, replication.FeedWebhook, replication.FeedScan} {
				gauge(feedDesc, oneIf(status.FeedKind == kind), c.Name, kind)
			}
		}
		return true
	})
	for _, ep := range snap.Endpoints() {
		gauge(functionUpDesc, oneIf(ep.Live.Healthy()), ep.Cluster, ep.URL)
	}
	now := time.Now()
	for cluster, at := range snap.OldestCompared() {
		if !at.IsZero() {
			gauge(comparedAgeDesc, max(0, now.Sub(at).Seconds()), cluster)
		}
	}
	for _, b := range rt.backlogs(context.Background()) {
		gauge(pendingObjectsDesc, float64(b.Objects), b.Bucket, b.Cluster)
		gauge(pendingBytesDesc, float64(b.Bytes), b.Bucket, b.Cluster)
		age := time.Duration(0)
		if b.Objects > 0 {
			age = max(0, now.Sub(b.Oldest))
		}
		gauge(pendingOldestDesc, age.Seconds(), b.Bucket, b.Cluster)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
