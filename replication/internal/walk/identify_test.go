package walk

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
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
	_, err = s.BornNow(w.Context(), bkt)
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

// A primary that was made anew stops its bucket, in whatever a walk does next; an event's key
// included. What people say then is taken, and nothing else.
func TestPrimaryMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced(keys(3)...)
	w.wantErr(w.Mover.TrustPrimary(t.Context(), bkt), ErrNotStopped)
	w.wantErr(w.Mover.TrustCopy(t.Context(), bkt, "c2"), ErrNotStopped)
	w.reborn("c1")

	_, err := w.objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, "k000", "c2"), Size: -1})
	w.wantErr(err, guard.ErrElsewhere)
	w.wantErr(w.Scanner.Scan(t.Context(), at("c2")), guard.ErrElsewhere)
	w.wantErr(w.missing, guard.ErrElsewhere)
	if row := w.row("c1"); !row.Stopped || row.Error == "" {
		t.Errorf("the primary's row: %+v", row)
	}
	w.leaving(catalog.CopyRemoving)
	w.wantErr(w.Evictor.Evict(t.Context(), at("c2")), guard.ErrElsewhere)
	w.leaving(catalog.CopySynced)
	if len(w.fakes["c2"].Contents(bkt)) != 3 {
		t.Fatal("the copy lost objects")
	}
	w.wantErr(w.Mover.TrustCopy(t.Context(), bkt, "c3"), ErrNoWhole)

	w.must(w.Mover.TrustPrimary(t.Context(), bkt))
	w.must(w.Scanner.Scan(t.Context(), at("c2")))
	w.wantKeys(w.pending(), "c2/k000", "c2/k001", "c2/k002")
	w.settle()
	w.wantSame("c1", "c2")
}

// The copy that people name becomes the primary, and the others imports.
func TestTrustCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced(keys(3)...)
	w.reborn("c1")
	w.fakes["c1"].User(bkt, "other", "somebody's")
	w.wantErr(w.Scanner.Scan(t.Context(), at("c2")), guard.ErrElsewhere)
	w.must(w.Mover.TrustCopy(t.Context(), bkt, "c2"))
	if row := w.row("c1"); row.Primary || row.Stopped || row.State != catalog.CopyWaiting || !row.VerifiedAt.IsZero() {
		t.Fatalf("the former primary: %+v", row)
	}
	w.must(w.Syncer.Sync(t.Context(), at("c1")))
	if got := w.fakes["c1"].Contents(bkt); len(got) != 4 || got["other"] != "somebody's" {
		t.Errorf("c1 has %q", got)
	}
	w.wantKeys(w.pending(), "c1/other")
}

// A copy whose bucket was made anew is an import: nothing of what lies there is FaDO's.
func TestCopyMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced(keys(3)...)
	w.reborn("c2")
	w.fakes["c2"].User(bkt, "k000", "another")
	w.fakes["c2"].User(bkt, "precious", "somebody's")
	w.wantErr(w.Scanner.Scan(t.Context(), at("c2")), object.ErrChanged)
	if row := w.row("c2"); row.State != catalog.CopyWaiting || !row.VerifiedAt.IsZero() || row.MadeBucket {
		t.Fatalf("the copy's row: %+v", row)
	}
	w.must(w.Syncer.Sync(t.Context(), at("c2")))
	w.wantKeys(w.pending(), "c2/k000", "c2/precious")
	if got := w.fakes["c2"].Contents(bkt); got["k000"] != "another" || got["precious"] != "somebody's" || got["k001"] == "" {
		t.Errorf("c2 has %q", got)
	}

	w.reborn("c2")
	w.fakes["c2"].User(bkt, "k001", "somebody's")
	w.leaving(catalog.CopyRemoving)
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.hasRow("c2") || len(w.fakes["c2"].Contents(bkt)) != 1 {
		t.Error("the row stayed, or what lies in another bucket was removed")
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

// Where birth dates don't tell, a scan doubts a primary that lacks what was written last, or
// has older versions; fewer than that, and what is older than the rest, are users' deletes.
func TestScanDoubts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(w *world)
		want   error
		rows   int
	}{
		{"everything gone", func(w *world) { w.deleteKeys(0, 30) }, guard.ErrElsewhere, 0},
		{"the latest gone", func(w *world) { w.deleteKeys(18, 30) }, guard.ErrElsewhere, 0},
		{"a few of the latest gone", func(w *world) { w.deleteKeys(22, 30) }, nil, 8},
		{"earlier ones gone", func(w *world) { w.deleteKeys(0, 29) }, nil, 29},
		{"older versions", func(w *world) { w.older(12) }, guard.ErrElsewhere, 0},
		{"a few older versions", func(w *world) { w.older(5) }, nil, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, c := range []string{"c1", "c2"} {
				w.fakes[c].SetFault(refusing(storage.ErrUnsupported, "births"))
			}
			w.synced(keys(30)...)
			tc.change(w)
			err := w.Scanner.Scan(t.Context(), at("c2"))
			if tc.want == nil {
				w.must(err)
			} else {
				w.wantErr(err, tc.want)
			}
			if got := len(w.pending()); got != tc.rows {
				t.Errorf("%d rows, want %d", got, tc.rows)
			}
			if tc.want == nil {
				return
			}
			w.wantErr(w.Scanner.Scan(t.Context(), at("c2")), guard.ErrElsewhere) // it does not go on by itself
			w.must(w.Mover.TrustPrimary(t.Context(), bkt))
			w.must(w.Scanner.Scan(t.Context(), at("c2")))
			w.settle()
			w.wantSame("c1", "c2")
			if w.row("c2").Trusts {
				t.Error("the next scan trusts as well")
			}
		})
	}
}

func (w *world) deleteKeys(from, to int) {
	for _, k := range keys(to)[from:] {
		w.fakes["c1"].UserDelete(bkt, k)
	}
}

// older has the primary's first n objects be what they were long before.
func (w *world) older(n int) {
	for _, k := range keys(n) {
		w.fakes["c1"].Restore(bkt, k, "an older body of "+k)
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
