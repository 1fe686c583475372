package walk

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/state"
)

// A prefix rule that goes gives its keys to the copies of the rule that covered it. In a bucket that was there
// before, what lies there below the prefix was compared with nothing: it is others', and stays.
func TestRemovedRuleTakesNothingOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c1, c2 := w.Fakes["c1"], w.Fakes["c2"]
	c1.User(bkt, "a", "same")
	c1.User(bkt, "p/x", "the primary's")
	c2.User(bkt, "a", "same")           // the bucket in c2 was there before
	c2.User(bkt, "p/x", "precious")     // another object of the same key
	c2.User(bkt, "p/y", "precious too") // the primary has none of this key

	w.Apply(&catalog.Policy{Name: "q", Copies: catalog.Copies{N: 2}, Clusters: []string{"c1", "c3"}})
	w.Apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "q"}}})
	w.replan()
	w.syncAll()
	if got := c2.Contents(bkt); got["p/x"] != "precious" || got["p/y"] != "precious too" {
		t.Fatalf("c2 has %q", got)
	}
	w.WantKeys(w.Pending())

	w.Apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1"}) // the rule goes
	w.replan()
	w.syncAll()
	_ = w.TryAll() // conflicts
	if got := c2.Contents(bkt); got["p/x"] != "precious" || got["p/y"] != "precious too" {
		t.Errorf("others' objects are gone, c2 has %q", got)
	}
	if rows := w.Pending(); rows["c2/p/x"].Hold != state.HoldConflict || rows["c2/p/y"].Hold != state.HoldConflict {
		t.Errorf("no conflicts: %+v", rows)
	}
}

// replan has the bucket's rows be those of the plan, as the planner stores them.
func (w *world) replan() {
	w.Helper()
	snap := w.Ctl.Router().Snapshot()
	in := plan.NewInputs(snap, nil, nil)
	w.Must(w.Copies.Update(w.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		return in.Plan(snap.Bucket(bkt), snap.Of(bkt).Rules(), rows, "c1").Rows, nil
	}))
}

// syncAll makes the first sync of every copy that waits for one.
func (w *world) syncAll() {
	w.Helper()
	for _, r := range w.AllRows() {
		if r.State == catalog.CopyWaiting || r.State == catalog.CopySyncing {
			id := at(r.Cluster)
			id.Prefix = r.Prefix
			w.Must(w.Syncer.Sync(w.Context(), id))
		}
	}
}
