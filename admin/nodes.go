package admin

import (
	"net/http"
	"time"

	"github.com/fado-project/fado/replication"
)

// nodesView is the JSON of GET /fado/nodes.
type nodesView struct {
	// Kind of the store.
	Store string `json:"store"`
	// Why the store is out of reach, empty while it is not.
	Trouble string `json:"trouble"`
	// How old the knowledge is, in seconds, that this instance goes by while the store is out
	// of reach.
	SnapshotAge float64 `json:"snapshot_age_s"`
	// How many parts the buckets are divided into; each is looked after by one instance.
	Parts int `json:"parts"`
	// The instances that are alive, sorted by node.
	Instances []instanceView `json:"instances"`
}

// instanceView is one instance.
type instanceView struct {
	ID   string `json:"id"`   // what tells its lease from others
	Node string `json:"node"` // its name
	// The cluster that it is in, as its configuration says; empty where it does not, or it has
	// not said yet.
	Cluster string `json:"cluster"`
	// Whether it is the one that answers.
	This bool `json:"this"`
	// Version of its program, empty where it has not said.
	Version string `json:"version"`
	// Whether it copies, and does not only route and serve.
	Replicates bool `json:"replicates"`
	// How many parts of the buckets it looks after.
	Parts int `json:"parts"`
	// The clusters whose storages it listens to.
	Feeds []string `json:"feeds"`
	// When it counts as gone unless it renews its lease; null with a store of its own.
	LeaseUntil *time.Time `json:"lease_until"`
	// How many changes of the catalogue it does not route by yet.
	Behind int64 `json:"behind"`
}

func viewInstance(i replication.Instance) instanceView {
	v := instanceView{
		ID: i.ID, Node: i.Node, Cluster: i.Cluster, This: i.This, Version: i.Version, Replicates: i.Replicates, Parts: i.Parts,
		Feeds: orEmpty(i.Feeds), Behind: i.Behind,
	}
	if !i.LeaseUntil.IsZero() {
		v.LeaseUntil = new(i.LeaseUntil.UTC())
	}
	return v
}

// nodes tells of the instances that share the store. While it does not answer this one tells
// of itself.
func nodes(c *call) error {
	v := nodesView{
		Store: c.catalogue.Store().Kind(), SnapshotAge: c.catalogue.SnapshotAge().Seconds(), Parts: replication.Parts,
	}
	if err := c.catalogue.StoreTrouble(); err != nil {
		v.Trouble = err.Error()
	}
	instances, err := c.engine.reports.Instances(c.R.Context())
	if err != nil {
		if v.Trouble == "" {
			v.Trouble = err.Error()
		}
		instances = []replication.Instance{{Node: c.catalogue.Node(), This: true, Version: c.version}}
	}
	v.Instances = views(instances, viewInstance)
	return c.Reply(http.StatusOK, v)
}
