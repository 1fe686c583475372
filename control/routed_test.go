package control_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// What decides about a copy is in the snapshot whichever way the row got there, so that
// nobody has to ask the store before acting.
func TestWhatDecidesAboutACopyIsInTheSnapshot(t *testing.T) {
	w := newWorld(t)
	w.create(t, &catalog.Bucket{Name: "reports"})
	primary := state.Copy{Bucket: "reports", VerifiedAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	primary.Copy = catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced, MadeBucket: true, Anywhere: true}
	replica := state.Copy{Bucket: "reports"}
	replica.Copy = catalog.Copy{Cluster: "c2", State: catalog.CopySynced, FormerPrimary: true, HeldDeletes: true}
	published := func(when string, w *world, rows ...state.Copy) {
		t.Helper()
		for i, got := range w.Router().Snapshot().Of("reports").Copies() {
			want := rows[i].Copy
			want.Verified, want.Compared = !rows[i].VerifiedAt.IsZero(), rows[i].VerifiedAt
			if got != want {
				t.Errorf("%s the snapshot has %+v, want %+v", when, got, want)
			}
		}
	}

	w.setCopies(t, "reports", primary, replica)
	published("after a change", w, primary, replica)

	replica.VerifiedAt = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	if err := w.Copies.SaveProgress(t.Context(), replica); err != nil {
		t.Fatal(err)
	}
	published("after progress", w, primary, replica)

	before := w.Router().Snapshot().Of("reports").Copies()
	w.close()
	again := open(t, w.path)
	if _, err := again.Attach(t.Context(), control.Config{}); err != nil {
		t.Fatal(err)
	}
	if after := again.Router().Snapshot().Of("reports").Copies(); !slices.Equal(after, before) {
		t.Errorf("after a restart the snapshot has %+v, had %+v", after, before)
	}
	published("after a restart", again, primary, replica)
}
