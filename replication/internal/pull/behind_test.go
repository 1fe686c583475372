package pull

import (
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// Of what may be written anywhere, an object on demand is no hit while the primary is yet to get
// what was written at another copy: it was compared with a primary that is behind.
func TestPulledWhileThePrimaryIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, f := range w.fakes {
		f.KeepTimes()
		f.KeepVersions(bkt)
	}
	w.apply(&catalog.Policy{
		Name: "p", Copies: catalog.Copies{N: 2}, Clusters: []string{"c1", "c2", "c3"}, Prefer: []string{"c1"}, OnMiss: catalog.OnMissPull,
		PullTTL: catalog.Duration(time.Hour), Writes: catalog.WritesAnywhere,
	})
	w.fakes["c1"].User(bkt, "k", "one")
	w.rows(state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced, Anywhere: true}},
		state.Copy{Bucket: bkt, Copy: catalog.Copy{Cluster: "c2", State: catalog.CopySynced, Anywhere: true, Verified: true}})
	if _, err := w.objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, "k", "c2"), Size: -1}); err != nil {
		t.Fatal(err)
	}
	w.pull("k", "c3")
	if !w.o.current(in("c3", "k")) {
		t.Fatal("not there")
	}
	w.fakes["c2"].User(bkt, "k", "two")
	for _, c := range []string{"c1", "c3"} { // as queue.Intake.RowsFor makes them of the event
		w.must(w.ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "k", Cluster: c, Size: 3, Since: w.now()}))
	}
	rows, err := w.store.Queue().ListPending(t.Context(), state.PendingFilter{Cluster: "c3"}, state.PendingKey{}, 10)
	w.must(err)
	for _, r := range rows { // the workers of c3 come first; c1 is full, say
		if _, err := w.objects.Settle(t.Context(), object.TaskOf(r)); err == nil {
			w.must(w.ctl.Pending.Finish(t.Context(), r.RowKey()))
		}
	}
	if w.o.Router.Current(bkt, "k", "c1") {
		t.Error("the primary is current")
	}
	if !w.o.Router.Current(bkt, "k", "c2") {
		t.Error("what was written last is not current")
	}
	if got := w.fakes["c3"].Contents(bkt)["k"]; w.o.current(in("c3", "k")) && got != "two" {
		t.Errorf("the object on demand is a hit with %q", got)
	}
}
