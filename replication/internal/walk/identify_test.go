package walk

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/object"
)

func keys(n int) (ks []string) {
	for i := range n {
		ks = append(ks, fmt.Sprintf("k%03d", i))
	}
	return ks
}

// reborn removes a bucket and makes it again, empty.
func (w *world) reborn(cluster string) {
	w.Helper()
	f := w.fakes[cluster]
	for k := range f.Contents(bkt) {
		f.UserDelete(bkt, k)
	}
	w.must(f.RemoveBucket(w.Context(), bkt))
	_, err := f.EnsureBucket(w.Context(), bkt, false)
	w.must(err)
	s, err := w.sites.Usable(cluster)
	w.must(err)
	_, err = s.Births.Now(w.Context(), bkt)
	w.must(err)
}

// What rows of former versions don't say is learnt at the first look, and stays.
func TestIdentityIsLearnt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	for _, c := range []string{"c1", "c2"} {
		if row := w.row(c); row.At != w.ctl.Router().Snapshot().Cluster(c).Storage.Address() || row.Born.IsZero() {
			t.Errorf("%s: address %d, born %v", c, row.At, row.Born)
		}
	}
	before := w.row("c2")
	w.must(w.Scanner.Scan(t.Context(), at("c2")))
	if after := w.row("c2"); identity.Of(after) != identity.Of(before) || after.OwnedUntil != before.OwnedUntil {
		t.Errorf("a scan changed the identity: %+v", after)
	}
}

// A bucket with no copy but the primary's is not stopped: nothing can come to harm.
func TestPrimaryAloneIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "a", "x")
	w.rows(primary("c1"))
	w.must(w.Scanner.CountPrimary(t.Context(), at("c1")))
	before := w.row("c1")
	w.reborn("c1")
	w.must(w.Scanner.CountPrimary(t.Context(), at("c1")))
	if after := w.row("c1"); after.Stopped || after.Born.Equal(before.Born) {
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
		w.fakes["c2"].UserDelete(bkt, k)
	}
	w.wantErr(w.Scanner.Scan(t.Context(), at("c2")), object.ErrChanged)
	if row := w.row("c2"); row.State != catalog.CopyWaiting || row.VerifiedAt.IsZero() {
		t.Errorf("the copy's row: %+v", row)
	}
	if n := len(w.pending()); n > 1000 {
		t.Errorf("%d rows", n)
	}
	w.must(w.Syncer.Sync(t.Context(), at("c2")))
	w.settle()
	w.wantSame("c1", "c2")
}
