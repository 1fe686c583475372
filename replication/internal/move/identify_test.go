package move

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/storage"
)

// A primary that was made again stops its bucket, in whatever a walk does next; an event's key
// included. What people say then is taken, and nothing else.
func TestPrimaryMadeAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced(walktest.Keys(3)...)
	w.WantErr(w.Decisions.TrustPrimary(t.Context(), bkt), ErrNotStopped)
	w.WantErr(w.Decisions.TrustCopy(t.Context(), bkt, "c2"), ErrNotStopped)
	w.Reborn("c1")

	_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, "k000", "c2"), Size: -1})
	w.WantErr(err, guard.ErrElsewhere)
	w.WantErr(w.Scanner.Scan(t.Context(), at("c2")), guard.ErrElsewhere)
	w.WantErr(w.Missing(), guard.ErrElsewhere)
	if row := w.Row("c1"); !row.Stopped || row.Error == "" {
		t.Errorf("the primary's row: %+v", row)
	}
	w.SetState("c2", catalog.CopyRemoving)
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), guard.ErrElsewhere)
	w.SetState("c2", catalog.CopySynced)
	if len(w.Fakes["c2"].Contents(bkt)) != 3 {
		t.Fatal("the copy lost objects")
	}
	w.WantErr(w.Decisions.TrustCopy(t.Context(), bkt, "c3"), ErrNoWhole)

	w.Must(w.Decisions.TrustPrimary(t.Context(), bkt))
	w.Must(w.Scanner.Scan(t.Context(), at("c2")))
	w.WantKeys(w.Pending(), "c2/k000", "c2/k001", "c2/k002")
	w.Settle()
	w.WantSame("c1", "c2")
}

// The copy that people name becomes the primary, and the others imports.
func TestTrustCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced(walktest.Keys(3)...)
	w.Reborn("c1")
	w.Fakes["c1"].User(bkt, "other", "someone's")
	w.WantErr(w.Scanner.Scan(t.Context(), at("c2")), guard.ErrElsewhere)
	w.Must(w.Decisions.TrustCopy(t.Context(), bkt, "c2"))
	if row := w.Row("c1"); row.Primary || row.Stopped || row.State != catalog.CopyWaiting || !row.VerifiedAt.IsZero() {
		t.Fatalf("the former primary: %+v", row)
	}
	w.Must(w.Syncer.Sync(t.Context(), at("c1")))
	if got := w.Fakes["c1"].Contents(bkt); len(got) != 4 || got["other"] != "someone's" {
		t.Errorf("c1 has %q", got)
	}
	w.WantKeys(w.Pending(), "c1/other")
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
		{"others' objects at the copy", func(w *world) { w.theirs(12) }, nil, 12},
		{"the latest gone, and others' objects at the copy", func(w *world) { w.deleteKeys(18, 30); w.theirs(40) }, guard.ErrElsewhere, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, c := range []string{"c1", "c2"} {
				w.Fakes[c].SetFault(walktest.Refusing(storage.ErrUnsupported, "births"))
			}
			w.synced(walktest.Keys(30)...)
			tc.change(w)
			err := w.Scanner.Scan(t.Context(), at("c2"))
			if tc.want == nil {
				w.Must(err)
			} else {
				w.WantErr(err, tc.want)
			}
			if got := len(w.Pending()); got != tc.rows {
				t.Errorf("%d rows, want %d", got, tc.rows)
			}
			if tc.want == nil {
				return
			}
			w.WantErr(w.Scanner.Scan(t.Context(), at("c2")), guard.ErrElsewhere) // it does not go on by itself
			w.Must(w.Decisions.TrustPrimary(t.Context(), bkt))
			w.Must(w.Scanner.Scan(t.Context(), at("c2")))
			w.WantBrought()
			if w.Row("c2").Trusts {
				t.Error("the next scan trusts as well")
			}
		})
	}
}

// WantBrought fails the test unless all has come to the copy, but for what others wrote there.
func (w *world) WantBrought() {
	w.Helper()
	if err := w.TryAll(); err != nil && !errors.Is(err, object.ErrConflict) {
		w.Fatal(err)
	}
	got := w.Fakes["c2"].Contents(bkt)
	maps.DeleteFunc(got, func(k, _ string) bool { return strings.HasPrefix(k, "theirs") })
	if want := w.Fakes["c1"].Contents(bkt); !maps.Equal(got, want) {
		w.Errorf("c2 has %q, c1 has %q", got, want)
	}
}

// theirs has others write n objects at the copy.
func (w *world) theirs(n int) {
	for i := range n {
		w.Fakes["c2"].User(bkt, fmt.Sprintf("theirs%02d", i), "x")
	}
}

func (w *world) deleteKeys(from, to int) {
	for _, k := range walktest.Keys(to)[from:] {
		w.Fakes["c1"].UserDelete(bkt, k)
	}
}

// older has the primary's first n objects be what they were long before.
func (w *world) older(n int) {
	for _, k := range walktest.Keys(n) {
		w.Fakes["c1"].Restore(bkt, k, "an older body of "+k)
	}
}
