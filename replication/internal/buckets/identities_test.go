package buckets

import (
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// known is a bucket in c1 with a synced copy in c2, both of which are known.
func known(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.Fakes["c1"].User(bkt, "a", "x")
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySynced))
	_, err := w.Ensure(t.Context(), at("c2"))
	w.Must(err)
	return w
}

// What rows don't say is learnt at the first look, and stays.
func TestIdentityIsLearnt(t *testing.T) {
	t.Parallel()
	w := known(t)
	for _, c := range []string{"c1", "c2"} {
		if row := w.Row(c); row.At != w.Ctl.Router().Snapshot().Cluster(c).Storage.Address() || row.Born.IsZero() {
			t.Errorf("%s: address %d, born %v", c, row.At, row.Born)
		}
	}
	before := w.Row("c2")
	_, err := w.Ensure(t.Context(), at("c2"))
	w.Must(err)
	if after := w.Row("c2"); identity.Of(after) != identity.Of(before) || !after.OwnedUntil.Equal(before.OwnedUntil) {
		t.Errorf("a second look changed the row: %+v, was %+v", after, before)
	}
}

// A primary's bucket that was made again stops the bucket, with a reason that says what to do.
func TestPrimaryMadeAnewStops(t *testing.T) {
	t.Parallel()
	w := known(t)
	w.Reborn("c1")
	_, err := w.Ensure(t.Context(), at("c2"))
	w.WantErr(err, guard.ErrElsewhere)
	w.WantErr(w.Missing(), guard.ErrElsewhere)
	if !strings.Contains(err.Error(), "/fado/buckets/bkt/trust") || !strings.Contains(err.Error(), "the bucket in c1 was made at") {
		t.Errorf("the reason: %v", err)
	}
	row := w.Row("c1")
	if !row.Stopped || !strings.Contains(row.Error, "c1") {
		t.Errorf("the primary's row: %+v", row)
	}
	_, err = w.Ensure(t.Context(), at("c2")) // it goes on saying so
	w.WantErr(err, guard.ErrElsewhere)
	if again := w.Row("c1").Error; again != row.Error {
		t.Errorf("the reason became %q, was %q", again, row.Error)
	}
}

// A bucket that was stopped goes on when what lies at its primary is what was there before; one
// that was stopped for good does not.
func TestStoppedBucketGoesOn(t *testing.T) {
	t.Parallel()
	for name, forGood := range map[string]bool{"stopped": false, "for good": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := known(t)
			stop, want := w.Identities.Stop, error(nil)
			if forGood {
				stop, want = w.Identities.StopForGood, guard.ErrElsewhere
			}
			w.WantErr(stop(t.Context(), bkt, "a reason"), guard.ErrElsewhere)
			if row := w.Row("c1"); !row.Stopped || row.Error != "a reason" {
				t.Fatalf("the primary's row: %+v", row)
			}
			if row := w.Row("c2"); row.Stopped {
				t.Errorf("the copy's row: %+v", row)
			}
			_, err := w.Ensure(t.Context(), at("c2"))
			w.WantErr(err, want)
			if row := w.Row("c1"); row.Stopped != forGood {
				t.Errorf("the primary's row: %+v", row)
			}
		})
	}
}

// A bucket with no copy but the primary's is not stopped: nothing can come to harm.
func TestPrimaryAloneIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c1"].User(bkt, "a", "x")
	w.Rows(primary("c1"))
	w.Must(w.EnsurePrimary(t.Context(), at("c1")))
	before := w.Row("c1")
	w.Reborn("c1")
	w.Must(w.EnsurePrimary(t.Context(), at("c1")))
	if after := w.Row("c1"); after.Stopped || after.Born.Equal(before.Born) {
		t.Errorf("the row: %+v, was born %v", after, before.Born)
	}
}

// A copy whose bucket was made again is an import: nothing of what lies there is FaDO's, and its
// deletes are counted again. A copy that leaves stays one.
func TestCopyMadeAnewIsAnImport(t *testing.T) {
	t.Parallel()
	for _, s := range []catalog.CopyState{catalog.CopySynced, catalog.CopyRemoving} {
		w := known(t)
		w.SetState("c2", s)
		before := w.Row("c2")
		w.Reborn("c2")
		w.WantErr(w.Identities.Copy(t.Context(), w.Site("c2"), bkt), object.ErrChanged)
		row := w.Row("c2")
		if s == catalog.CopyRemoving {
			if row.State != s || identity.Of(row) != identity.Of(before) {
				t.Errorf("a copy that leaves became %+v", row)
			}
			continue
		}
		if row.State != catalog.CopyWaiting || !row.VerifiedAt.IsZero() || row.MadeBucket || row.Born.Equal(before.Born) || row.Born.IsZero() {
			t.Errorf("the copy's row: %+v", row)
		}
		w.Must(w.Identities.Copy(t.Context(), w.Site("c2"), bkt)) // it is the one that is known now
	}
}

// Objects of a copy may be removed because others have them only if both buckets are the ones that
// are known, and the copy's is none of the others.
func TestMayRemove(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(w *world)
		want   error
	}{
		{name: "nothing changed", change: func(*world) {}},
		{name: "the copy was made again", change: func(w *world) { w.Reborn("c2") }, want: ErrNotTheCopy},
		{name: "the primary was made again", change: func(w *world) { w.Reborn("c1") }, want: guard.ErrElsewhere},
		{
			name: "a third copy is the same storage", want: ErrOneStorage,
			change: func(w *world) {
				w.Fakes["c3"] = w.Fakes["c2"]
				w.AddRow(copyOf("c3", catalog.CopySynced))
			},
		},
		{
			name: "a third copy is down", // what can't be asked can't be lost by it
			change: func(w *world) {
				w.Apply(&catalog.Cluster{Name: "c3", Zones: []string{"c3"}})
				w.AddRow(copyOf("c3", catalog.CopySynced))
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := known(t)
			tc.change(w)
			var rows []state.Copy
			rows = append(rows, w.AllRows()...)
			err := w.Identities.MayRemove(t.Context(), Removal{Copy: at("c2"), Rows: rows, Src: w.Site("c1"), Dst: w.Site("c2")})
			if tc.want == nil {
				w.Must(err)
				return
			}
			w.WantErr(err, tc.want)
		})
	}
}
