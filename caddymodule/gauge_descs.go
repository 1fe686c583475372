package caddymodule

import "github.com/prometheus/client_golang/prometheus"

func gaugeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("caddy_fado_"+name, help, labels, nil)
}

var (
	pendingObjectsDesc = gaugeDesc("pending_objects", "Objects known to differ from the primary's.", "bucket", "cluster")
	pendingBytesDesc   = gaugeDesc("pending_bytes", "Bytes of the objects known to differ, as far as known.", "bucket", "cluster")
	pendingOldestDesc  = gaugeDesc("pending_oldest_seconds", "How long the oldest of them has been known.", "bucket", "cluster")
	storageUpDesc      = gaugeDesc("storage_up", "Whether the cluster's storage answers; absent until it was asked.", "cluster")
	snapshotAgeDesc    = gaugeDesc("snapshot_age_seconds", "How old the knowledge is that routing, or a start without the store, goes by.")
	bucketsDesc        = gaugeDesc("buckets", "Buckets by state, as the admin API tells it.", "state")
	copiesDesc         = gaugeDesc("copies", "Copies of buckets by their state; one of each rule of a bucket.", "cluster", "state")
	conflictsDesc      = gaugeDesc("conflicts", "Objects on copies that are not FaDO's and stand in the way.", "bucket")
	heldDeletesDesc    = gaugeDesc("held_deletes", "Deletes that wait for people, since they are more than max_deletes.", "bucket")
	pausedDesc         = gaugeDesc("paused", "Whether replication is paused.")
	drainDesc          = gaugeDesc("drain_objects", "Objects that are still in a cluster that drains.", "cluster")
	storageFullDesc    = gaugeDesc("storage_full", "Whether the cluster's storage has no space left.", "cluster")
	feedDesc           = gaugeDesc("feed", "How changes made directly at the cluster's storage are noticed: 1 for the kind in force.", "cluster", "kind")
	comparedAgeDesc    = gaugeDesc("compared_age_seconds", "How long ago the comparison began of the cluster's copy that was compared longest ago.", "cluster")
	buildInfoDesc      = gaugeDesc("build_info", "Always 1; the version is in the label.", "version")
	functionUpDesc     = gaugeDesc("function_up", "Whether the function endpoint passes its health checks.", "cluster", "url")
)

type gaugeFunc func(d *prometheus.Desc, v float64, labels ...string)
