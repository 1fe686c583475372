package queue

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/storage"
)

// historied has storages keep versions with IDs and times; k has three versions, which the copy has.
func historied(t *testing.T, w *world) (ids []string) {
	t.Helper()
	for _, f := range w.fakes {
		f.KeepTimes()
		f.KeepVersions(bkt)
	}
	for _, body := range []string{"one", "two", "three"} {
		w.fakes["c1"].User(bkt, "k", body)
		w.Intake.Take(t.Context(), w.event("c1", "k"))
		pass(time.Second)
	}
	return versions(t, w, "c1")
}

func versions(t *testing.T, w *world, cluster string) (ids []string) {
	t.Helper()
	h, err := w.fakes[cluster].Reader().History(t.Context(), bkt, "k", storage.MaxHistory)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range h.Versions {
		ids = append(ids, v.VersionID)
	}
	return ids
}

// gone is what a listener tells of a version that was removed.
func gone(cluster, id string) Event {
	return Event{Cluster: cluster, Event: storage.Event{Bucket: bkt, Key: "k", Removed: true, Gone: true, VersionID: id}}
}

// What the primary's storage told of is done whatever comes between: the copy's storage fails, other
// changes of the key come, FaDO starts again.
func TestRemovedVersionsAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		stop := w.run(t.Context(), w.Intake.Run, w.Workers.Run)
		all := historied(t, w)
		if got := versions(t, w, "c2"); !slices.Equal(got, all) {
			t.Fatalf("the copy has %q, want %q", got, all)
		}
		w.fail("c2", "deleteversion", errors.New("no answer"))
		w.fakes["c1"].RemoveVersion(bkt, "k", all[2])
		w.Intake.Take(t.Context(), gone("c1", all[2]))
		w.fakes["c1"].RemoveVersion(bkt, "k", all[1])
		w.Intake.Take(t.Context(), gone("c1", all[1]))
		pass(10 * time.Second)
		if r, _ := w.b.row("k", "c2"); !r.Gone.Has(all[1]) || !r.Gone.Has(all[2]) {
			t.Fatalf("the row says %+v", r)
		}
		stop()
		w.Workers.gone = goneRows{} // as after a start
		defer w.run(t.Context(), w.Intake.Run, w.Workers.Run)()
		w.fakes["c1"].User(bkt, "k", "four")
		w.Intake.Take(t.Context(), w.event("c1", "k"))
		w.fakes["c2"].SetFault(nil)
		pass(time.Hour)
		if got, want := versions(t, w, "c2"), versions(t, w, "c1"); !slices.Equal(got, want) || len(want) != 2 {
			t.Errorf("the copy has %q, want %q", got, want)
		}
		if w.b.len() != 0 || len(w.Workers.gone.of) != 0 {
			t.Errorf("%d rows are left, and %d are remembered", w.b.len(), len(w.Workers.gone.of))
		}
	})
}

// Of what goes at a copy, and of what goes where anywhere is written, nothing follows.
func TestRemovedVersionsElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.sites.Close()
	for _, ev := range []Event{gone("c2", "v"), gone("c3", "v")} {
		for _, row := range w.Intake.RowsFor([]Event{ev}) {
			if row.Gone != "" {
				t.Errorf("%+v names a version", row)
			}
		}
	}
	anywhere := gone("c1", "v")
	anywhere.Key = "any/k"
	if rows := w.Intake.RowsFor([]Event{anywhere}); len(rows) != 1 || rows[0].Gone != "" {
		t.Errorf("%+v names a version", rows)
	}
	rows := w.Intake.RowsFor([]Event{gone("c1", "v1"), gone("c1", "v2"), {Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: "k"}}})
	if len(rows) != 1 || rows[0].Gone != "v1 v2" {
		t.Errorf("rows %+v", rows)
	}
}

// What the store does not take for a while names every version when it does.
func TestLateRemovedVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		defer w.run(t.Context(), w.Intake.Run)()
		w.b.set(func() { w.b.err = errors.New("full") })
		for _, id := range []string{"v1", "v2", "v3"} {
			w.Intake.Take(t.Context(), gone("c1", id))
			pass(10 * time.Millisecond)
		}
		w.Intake.Take(t.Context(), Event{Cluster: "c1", Event: storage.Event{Bucket: bkt, Key: "k"}})
		pass(5 * time.Second)
		w.b.set(func() { w.b.err = nil })
		pass(5 * time.Second)
		if r, _ := w.b.row("k", "c2"); r.Gone != "v1 v2 v3" && !(r.Gone.Has("v1") && r.Gone.Has("v2") && r.Gone.Has("v3")) {
			t.Errorf("the row says %+v", r)
		}
	})
}
