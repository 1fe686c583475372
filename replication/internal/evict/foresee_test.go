package evict

import (
	"context"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func deleteKeys(w *world, from, to int) {
	for _, k := range walktest.Keys(to)[from:] {
		w.Fakes["c1"].UserDelete(bkt, k)
	}
}

// older has the primary's first n objects be what they were long before.
func older(w *world, n int) {
	for _, k := range walktest.Keys(n) {
		w.Fakes["c1"].Restore(bkt, k, "an older body of "+k)
	}
}

// A copy that leaves may hold the last there is of what its primary lacks, or has an older version of:
// a doubt stops the bucket, as it does for a scan, before anything has gone, and so does the breaker.
func TestEvictForesees(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(w *world)
		want   string // why it does not leave; "": it does
	}{
		{"everything gone", func(w *world) { deleteKeys(w, 0, 30) }, "doubt"},
		{"the latest gone", func(w *world) { deleteKeys(w, 18, 30) }, "doubt"},
		{"a few of the latest gone", func(w *world) { deleteKeys(w, 22, 30) }, ""},
		{"earlier ones gone", func(w *world) { deleteKeys(w, 0, 29) }, ""},
		{"older versions", func(w *world) { older(w, 12) }, "doubt"},
		{"a few older versions", func(w *world) { older(w, 5) }, ""},
		{"newer versions", func(w *world) {
			for _, k := range walktest.Keys(30) {
				w.Fakes["c1"].User(bkt, k, "a newer body of "+k)
			}
		}, ""},
		{"someone else's there", func(w *world) {
			for _, k := range walktest.Keys(30) {
				w.Fakes["c2"].User(bkt, k+" theirs", "x")
			}
		}, ""},
		{"more than the breaker allows", func(w *world) { w.Deletes.Bounds = bounds(20); deleteKeys(w, 0, 25) }, "held"},
		{"as many as the breaker allows", func(w *world) { w.Deletes.Bounds = bounds(20); deleteKeys(w, 0, 20) }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, c := range []string{"c1", "c2"} {
				w.Fakes[c].SetFault(walktest.Refusing(storage.ErrUnsupported, "births"))
			}
			w.synced(walktest.Keys(30)...)
			tc.change(w)
			w.SetState("c2", catalog.CopyRemoving)
			was := len(w.Fakes["c2"].Contents(bkt))
			err := w.Evictor.Evict(t.Context(), at("c2"))
			if tc.want != "" {
				w.stays(err, tc.want, was)
				err = w.Evictor.Evict(t.Context(), at("c2"))
			}
			w.Must(err)
			if w.HasRow("c2") {
				t.Error("the copy is there")
			}
			if left := len(w.Fakes["c2"].Contents(bkt)); left != was-30 {
				t.Errorf("%d objects are left of %d", left, was)
			}
		})
	}
}

// stays checks that an eviction did not begin, and says that it may.
func (w *world) stays(err error, why string, objects int) {
	w.Helper()
	want, lists := guard.ErrElsewhere, 0
	if why == "held" {
		want = object.ErrHeld
	}
	w.WantErr(err, want)
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			lists++
		}
		if op == "births" {
			return storage.ErrUnsupported
		}
		return nil
	})
	w.WantErr(w.Evictor.Evict(w.Context(), at("c2")), want) // it does not go on by itself, and lists nothing again
	if got := len(w.Fakes["c2"].Contents(bkt)); got != objects || lists != 0 {
		w.Errorf("of %d objects %d are left, and it was listed %d times", objects, got, lists)
	}
	if why == "held" {
		w.Deletes.Allow(at("c2"), 30)
		return
	}
	w.Must(w.Copies.Update(w.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) { // people confirm the primary
		for i := range rows {
			if rows[i].Primary {
				rows[i].At, rows[i].Stopped, rows[i].Error = w.Site("c1").Address(), false, ""
			}
			rows[i].Trusts = !rows[i].Primary
		}
		return rows, nil
	}))
}

func bounds(objects int64) func() object.MaxDeletes {
	return func() object.MaxDeletes { return object.MaxDeletes{Objects: objects} }
}
