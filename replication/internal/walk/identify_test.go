package walk

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/object"
)

// What rows of former versions don't say is learnt at the first look, and stays.
func TestIdentityIsLearnt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	for _, c := range []string{"c1", "c2"} {
		if row := w.Row(c); row.At != w.Ctl.Router().Snapshot().Cluster(c).Storage.Address() || row.Born.IsZero() {
			t.Errorf("%s: address %d, born %v", c, row.At, row.Born)
		}
	}
	before := w.Row("c2")
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	if after := w.Row("c2"); identity.Of(after) != identity.Of(before) || after.OwnedUntil != before.OwnedUntil {
		t.Errorf("a scan changed the identity: %+v", after)
	}
}

// A bucket with no copy but the primary's is not stopped: nothing can come to harm.
func TestPrimaryAloneIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c1"].User(bkt, "a", "x")
	w.Rows(primary("c1"))
	w.Must(w.Scanner.CountPrimary(t.Context(), at("c1")))
	before := w.Row("c1")
	w.Reborn("c1")
	w.Must(w.Scanner.CountPrimary(t.Context(), at("c1")))
	if after := w.Row("c1"); after.Stopped || after.Born.Equal(before.Born) {
		t.Errorf("the row: %+v, was born %v", after, before.Born)
	}
}

// A copy that lost most of its objects is synced from the beginning, instead of getting a row
// for each.
func TestEmptiedCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.o.ScanMissing = 20
	w.Walks = New(w.o)
	w.synced(keys(2100)...)
	for _, k := range keys(2100) {
		w.Fakes["c2"].UserDelete(bkt, k)
	}
	w.WantErr(w.Scanner.Scan(t.Context(), at("c2")), object.ErrChanged)
	if row := w.Row("c2"); row.State != catalog.CopyWaiting || row.VerifiedAt.IsZero() {
		t.Errorf("the copy's row: %+v", row)
	}
	if n := len(w.Pending()); n > 1000 {
		t.Errorf("%d rows", n)
	}
	w.Must(w.Syncer.Sync(t.Context(), at("c2")))
	w.Settle()
	w.WantSame("c1", "c2")
}
