package evict

import (
	"testing"

	"github.com/fado-project/fado/catalog"
)

// What users wrote at a place that was a primary before goes to the primary before it leaves; what
// FaDO copied there and the primary lacks stays, because it may be nowhere else.
func TestEvictBringsHistoryHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.KeepTimes()
	for range 10 {
		w.Fakes["c1"].User(bkt, "z", "for c1's clock to be later")
	}
	w.Fakes["c2"].User(bkt, "a", "first")
	w.Fakes["c2"].User(bkt, "gone", "deleted")
	w.Fakes["c2"].UserDelete(bkt, "gone")
	w.Fakes["c2"].User(bkt, "a", "body of a")
	w.synced("a", "b")
	w.Fakes["c1"].User(bkt, "b", "second")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.Settle()
	w.Fakes["c1"].RemoveVersion(bkt, "b", w.History("c1", "b")[1].VersionID)
	w.SetState("c2", catalog.CopyRemoving)
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	w.WantBodies("c1", "a", "body of a", "body of a", "first") // another write of the same
	w.WantBodies("c1", "gone", "", "deleted")
	w.WantBodies("c2", "a")
	w.WantBodies("c2", "gone")
	w.WantBodies("c1", "b", "second")
	w.WantBodies("c2", "b", "", "body of b")
}
