package admin

import (
	"errors"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication"
)

// Instances are told with what each does; without a store this one tells of itself.
func TestNodes(t *testing.T) {
	h := start(t, control.Config{})
	h.engine.instances = []replication.Instance{
		{ID: "1", Node: "a", This: true, Version: "v1", Replicates: true, Parts: 20, Feeds: []string{"c1"}, LeaseUntil: time.Now().Add(time.Minute)},
		{ID: "2", Node: "b", Behind: 3},
	}
	a := h.do("GET", "/fado/nodes", "").want(200)
	if a.at("instances", 0, "this") != true || a.at("instances", 0, "feeds", 0) != "c1" || a.at("instances", 0, "lease_until") == nil ||
		a.at("instances", 1, "behind") != 3.0 || a.at("instances", 1, "lease_until") != nil || a.at("parts") != 32.0 || a.at("store") != "sqlite" {
		t.Errorf("%s", a.body)
	}
	h.engine.err = errors.New("no database")
	a = h.do("GET", "/fado/nodes", "").want(200)
	if a.at("trouble") != "no database" || a.at("instances", 0, "node") != h.ctl.Node() {
		t.Errorf("without a store: %s", a.body)
	}
}
