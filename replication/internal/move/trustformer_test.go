package move

import (
	"testing"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/walktest"
)

// People name the former primary, before its last writes were carried over (it was down, say), because the new
// primary was made again: it is the primary, and none that is to be carried over; its bucket moves as
// any other.
func TestTrustFormerPrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []string{"c1", "c2", "c3"} {
		w.Fakes[c].SetFault(nil)
	}
	w.formerly(walktest.Keys(30)...) // c1 -> c2
	w.Reborn("c2")
	w.WantErr(w.Scanner.Scan(t.Context(), at("c1")), guard.ErrElsewhere)
	if !w.Row("c2").Stopped {
		t.Fatal("the bucket is not stopped")
	}
	w.Must(w.Decisions.TrustCopy(t.Context(), bkt, "c1"))
	if row := w.Row("c1"); !row.Primary || row.FormerPrimary {
		t.Errorf("the primary's row: primary %v, former primary %v", row.Primary, row.FormerPrimary)
	}
	w.Must(w.Syncer.Sync(t.Context(), at("c2")))
	w.WantSame("c1", "c2")

	w.Must(w.Mover.MovePrimary(t.Context(), bkt, "c2"))
}
