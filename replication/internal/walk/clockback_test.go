package walk

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// What others write at a copy while its storage's clock is set back is theirs where FaDO made the bucket.
// In a bucket that was there before, or was a primary's, nothing tells it from what was compared.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before func(w *world)
		theirs bool
	}{
		"made by FaDO": {func(*world) {}, true},
		"made again by FaDO": {func(w *world) {
			w.Fakes["c2"].User(bkt, "theirs", "x") // an import
			w.synced("a")
			w.Fakes["c2"].Lose(bkt)
			w.Must(w.Scanner.Scan(w.Context(), at("c2")))
			w.Must(w.Syncer.Sync(w.Context(), at("c2")))
		}, true},
		"there before": {func(w *world) { w.Fakes["c2"].User(bkt, "b", "body of b") }, false},
		"a former primary's": {func(w *world) {
			w.synced("a")
			w.Must(w.Copies.Update(w.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
				for i := range rows {
					rows[i].OwnedUntil = w.clock("c2")
				}
				return rows, nil
			}))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.before(w)
			if len(w.AllRows()) < 2 {
				w.synced("a", "b")
			}
			w.Fakes["c2"].Restore(bkt, "a", "what a user wrote there")
			w.Fakes["c1"].User(bkt, "a", "a newer body")
			w.Must(w.Scanner.Scan(t.Context(), at("c2")))
			err := w.TryAll()
			if got := w.Fakes["c2"].Contents(bkt)["a"] == "what a user wrote there"; got != tc.theirs {
				t.Errorf("it stays: %v, want %v (%v)", got, tc.theirs, err)
			}
			if s := w.Row("c2").State; s != catalog.CopySynced {
				t.Errorf("the copy is %s", s)
			}
		})
	}
}
