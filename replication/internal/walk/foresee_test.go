package walk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// restarted has a first sync of 30 objects be cut at the end, and another process go on with it.
func (w *world) restarted() {
	w.Helper()
	w.synced(keys(30)...)
	w.Must(w.Copies.Update(w.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if c := &rows[i]; !c.Primary {
				c.State, c.Cursor = catalog.CopySyncing, keys(30)[29]
			}
		}
		return rows, nil
	}))
	w.Walks = New(w.o)
}

// A first sync that begins again may find the primary restored from a backup: what a copy has of newer
// objects stays until people decide, as it does when a scan finds out.
func TestSyncForesees(t *testing.T) {
	t.Parallel()
	deleted := func(w *world, from, to int) {
		for _, k := range keys(to)[from:] {
			w.Fakes["c1"].UserDelete(bkt, k)
		}
	}
	older := func(w *world, n int) {
		for _, k := range keys(n) {
			w.Fakes["c1"].Restore(bkt, k, "an older body of "+k)
		}
	}
	theirs := func(w *world, n int) {
		for i := range n {
			w.Fakes["c2"].User(bkt, fmt.Sprintf("theirs%02d", i), "x")
		}
	}
	for _, tc := range []struct {
		name   string
		change func(w *world)
		want   string // what becomes of it; "": the copy follows
	}{
		{"older versions", func(w *world) { older(w, 12) }, "doubt"},
		{"a few older versions", func(w *world) { older(w, 5) }, ""},
		{"everything gone", func(w *world) { deleted(w, 0, 30) }, "doubt"},
		{"the latest gone", func(w *world) { deleted(w, 18, 30) }, "doubt"},
		{"a few of the latest gone", func(w *world) { deleted(w, 22, 30) }, ""},
		{"earlier ones gone", func(w *world) { deleted(w, 0, 29) }, ""},
		{"newer versions", func(w *world) {
			for _, k := range keys(30) {
				w.Fakes["c1"].User(bkt, k, "a newer body of "+k)
			}
		}, ""},
		{"others' objects at the copy", func(w *world) { theirs(w, 30) }, ""},
		{"the latest gone, and others' objects at the copy", func(w *world) { deleted(w, 18, 30); theirs(w, 30) }, "doubt"},
		{"more than the breaker allows", func(w *world) { w.Deletes.Bounds = most(20); deleted(w, 0, 25) }, "held"},
		{"as many as the breaker allows", func(w *world) { w.Deletes.Bounds = most(20); deleted(w, 0, 20) }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.restarted()
			tc.change(w)
			was := w.Fakes["c2"].Contents(bkt)
			err := w.Syncer.Sync(t.Context(), at("c2"))
			if tc.want == "doubt" {
				w.WantErr(err, guard.ErrElsewhere)
			} else {
				w.Must(err)
			}
			if tc.want != "" {
				if got := w.Fakes["c2"].Contents(bkt); !maps.Equal(got, was) {
					t.Errorf("the copy has %q, and had %q", got, was)
				}
				if w.Row("c2").HeldDeletes != (tc.want == "held") {
					t.Errorf("the copy's row is %+v", w.Row("c2"))
				}
				return
			}
			want := w.Fakes["c1"].Contents(bkt)
			for k, body := range was {
				if k > "t" {
					want[k] = body
				}
			}
			if got := w.Fakes["c2"].Contents(bkt); !maps.Equal(got, want) {
				t.Errorf("the copy has %q, want %q", got, want)
			}
		})
	}
}

// What becomes older while the walk is on its way is counted there.
func TestSyncCountsWhatIsOlder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.restarted()
	w.Fakes["c1"].User(bkt, "a", "what the walk writes first")
	for _, k := range keys(30) {
		w.Fakes["c1"].User(bkt, k, "a newer body of "+k)
	}
	was := w.Fakes["c2"].Contents(bkt)
	w.Slots.Resize(1)
	w.Fakes["c2"].SetFault(func(ctx context.Context, op, _, key string) error {
		if op == "put" && key == "a" {
			for _, k := range keys(30) {
				w.Fakes["c1"].Restore(bkt, k, "an older body of "+k)
			}
		}
		return ctx.Err()
	})
	w.WantErr(w.Syncer.Sync(t.Context(), at("c2")), guard.ErrElsewhere)
	replaced := 0
	for k, body := range w.Fakes["c2"].Contents(bkt) {
		if was[k] != body && k != "a" {
			replaced++
		}
	}
	if replaced >= object.Doubtful {
		t.Errorf("%d objects were replaced by older ones", replaced)
	}
}

// A walk that is cut goes on where it was itself, not where one before the restart was: keys in between
// may have changed while nobody listened.
func TestSyncGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.restarted()
	w.Fakes["c1"].User(bkt, keys(30)[10], "where the walk is cut")
	w.Fakes["c1"].User(bkt, keys(30)[20], "what changed before the restart")
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, key string) error {
		if op == "put" && key == keys(30)[10] {
			return storage.ErrFull
		}
		return nil
	})
	w.Slots.Resize(1)
	w.WantErr(w.Syncer.Sync(t.Context(), at("c2")), storage.ErrFull)
	w.Fakes["c2"].SetFault(nil)
	w.Sites.Get("c2").Space.Wrote(nil) // there is space again
	w.Must(w.Syncer.Sync(t.Context(), at("c2")))
	w.WantSame("c1", "c2")
	if row := w.Row("c2"); row.Objects != 30 {
		t.Errorf("the copy's row is %+v", row)
	}
}

// A first sync that begins with nothing at the copy reads the primary's listing once.
func TestForeseeReadsNoMoreThanTheCopyHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lists := make(map[string]int)
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			lists["c1"]++
		}
		return nil
	})
	w.synced(keys(3)...)
	if got := slices.Sorted(maps.Keys(lists)); len(got) != 1 || lists["c1"] > 3 {
		t.Errorf("listed: %v", lists)
	}
}

func most(objects int64) func() object.MaxDeletes {
	return func() object.MaxDeletes { return object.MaxDeletes{Objects: objects} }
}
