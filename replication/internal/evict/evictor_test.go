package evict

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestEvict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b", "c")
	w.Fakes["c1"].UserDelete(bkt, "c") // what the primary deleted meanwhile goes as well
	w.SetState("c2", catalog.CopyDraining)
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.HasRow("c2") {
		t.Error("the copy is there")
	}
	if left := w.Fakes["c2"].Contents(bkt); left != nil {
		t.Errorf("FaDO's bucket has %q", left)
	}
	if len(w.Fakes["c1"].Contents(bkt)) != 2 {
		t.Error("the primary lost something")
	}
}

// What is not FaDO's stays, and the bucket with it.
func TestEvictLeavesForeignObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c2"].User(bkt, "b", "someone else's")
	w.synced("a", "b")
	w.Fakes["c2"].User(bkt, "z", "someone else's, and later")
	w.SetState("c2", catalog.CopyRemoving)
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if left := w.Fakes["c2"].Contents(bkt); len(left) != 2 || left["b"] == "" || left["z"] == "" {
		t.Errorf("left are %q", left)
	}
	if w.HasRow("c2") {
		t.Error("the copy is there")
	}
}

// A copy does not go before the one that takes its place is synced, nor an object before it
// is there.
func TestEvictWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.SetState("c2", catalog.CopyRemoving)
	w.AddRow(copyOf("c3", catalog.CopyWaiting))
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrNotYet)
	if len(w.Fakes["c2"].Contents(bkt)) != 2 {
		t.Fatal("objects went before the new copy is synced")
	}

	w.Must(w.Syncer.Sync(t.Context(), at("c3")))
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "a", Cluster: "c3", Since: time.Now()}))
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrNotYet)
	if left := w.Fakes["c2"].Contents(bkt); len(left) != 1 || left["a"] == "" {
		t.Fatalf("left are %q, want the one that is on its way to c3", left)
	}

	w.Settle()
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.HasRow("c2") || w.Fakes["c2"].Contents(bkt) != nil {
		t.Error("the copy is there")
	}
	w.WantSame("c1", "c3")
}

// An eviction ends when the copy is wanted again.
func TestEvictOfCopyThatIsWantedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.SetState("c2", catalog.CopyRemoving)
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "listed" {
			w.SetState("c2", catalog.CopyWaiting)
		}
		return nil
	})
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrChanged)
	w.WantSame("c1", "c2")
}

// That the primary's bucket is gone is no reason to remove anything.
func TestEvictWithoutSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.SetState("c2", catalog.CopyRemoving)
	w.Fakes["c1"].UserDelete(bkt, "a")
	w.Must(w.Fakes["c1"].Writer().RemoveBucket(t.Context(), bkt))
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrNoSource)
	w.WantErr(w.Missing(), object.ErrNoSource)
	if len(w.Fakes["c2"].Contents(bkt)) != 1 {
		t.Error("the copy lost its object")
	}
}

// A storage that fails ends the eviction with its error; what was not removed stays wanted.
func TestEvictEndsWithBrokenStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.SetState("c2", catalog.CopyRemoving)
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "delete" {
			return storage.ErrDenied
		}
		return nil
	})
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), storage.ErrDenied)
	if !w.HasRow("c2") {
		t.Error("the copy's row is gone, and its objects are there")
	}
}

// A copy is not touched before the requests that were routed to it have ended.
func TestEvictAwaitsRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	flights := w.Ctl.Router().Flights
	flights.Begin(bkt, "c2")
	looks := 0
	w.o.Timing.Poll = time.Microsecond
	w.o.Now = func() time.Time { // asked with every look while the request is in flight
		if looks++; looks == 3 {
			if s := w.Row("c2").State; s != catalog.CopyDraining {
				t.Errorf("the copy is %s while a request is in flight", s)
			}
			flights.End(bkt, "c2")
		}
		return time.Now()
	}
	w.Evictor = New(w.o)
	w.Must(w.Copies.Update(t.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		c := &rows[copyrows.Index(rows, "", "c2")]
		c.State, c.DrainSince = catalog.CopyDraining, time.Now()
		return rows, nil
	}))
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if looks < 3 || w.HasRow("c2") {
		t.Errorf("after %d looks the copy is there: %t", looks, w.HasRow("c2"))
	}
}

// An eviction that waits for one object looks at that one again, and at nothing else.
func TestEvictLooksAtWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b", "c")
	w.Rows(w.Row("c1"), w.Row("c2"), copyOf("c3", catalog.CopyWaiting))
	w.Must(w.Syncer.Sync(t.Context(), at("c3")))
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "b", Cluster: "c3", Since: time.Now()}))
	w.SetState("c2", catalog.CopyRemoving)
	lists := 0
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			lists++
		}
		return nil
	})
	for range 10 {
		w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrNotYet)
	}
	if lists > 2 { // once to foresee what goes
		t.Errorf("the primary was listed %d times while one object waited", lists)
	}
	w.Settle()
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.HasRow("c2") || w.Fakes["c2"].Contents(bkt) != nil {
		t.Error("the copy is there")
	}
}

// Versions that are in no copy that remains keep a copy from leaving a cluster that the policy does not
// allow any more, and nothing is listed for that again; they go on people's word, and no other ones.
func TestHiddenHistoryIsReleased(t *testing.T) {
	t.Parallel()
	for name, suspended := range map[string]bool{"kept": false, "suspended": true} {
		t.Run(name, func(t *testing.T) { hiddenHistoryIsReleased(t, suspended) })
	}
}

func hiddenHistoryIsReleased(t *testing.T, suspended bool) {
	t.Helper()
	w := newWorld(t)
	w.KeepTimes()
	w.synced("a", "b")
	w.Fakes["c1"].User(bkt, "a", "second")
	for _, key := range []string{"a", "b"} {
		_, err := w.Objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, key, "c2"), Size: -1})
		w.Must(err)
	}
	w.Fakes["c1"].RemoveVersion(bkt, "a", w.History("c1", "a")[1].VersionID) // as a lifecycle rule does
	w.Fakes["c2"].Replicate(bkt, "users", "shown")
	if suspended {
		w.Fakes["c2"].Suspend(bkt, true)
	}
	if _, err := w.Evictor.ReleaseHistory(t.Context(), bkt, "c2"); !errors.Is(err, ErrNoneLeaves) {
		t.Errorf("of a copy that stays: %v", err)
	}
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	w.SetState("c2", catalog.CopyRemoving)
	listings := 0
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			listings++
		}
		return nil
	})
	for range 3 {
		err := w.Evictor.Evict(t.Context(), at("c2"))
		if !errors.Is(err, ErrOnlyThere) || !errors.Is(err, ErrHidden) || !strings.Contains(err.Error(), "/release") || !strings.Contains(err.Error(), `"a"`) {
			t.Fatalf("it left: %v", err)
		}
	}
	if listings != 2 { // once to foresee what goes
		t.Errorf("it was listed %d times", listings)
	}
	w.WantBodies("c2", "a", "", "body of a")
	n, err := w.Evictor.ReleaseHistory(t.Context(), bkt, "c2")
	w.Must(err)
	if n != 1 {
		t.Errorf("of %d objects versions were removed, want 1", n)
	}
	w.WantBodies("c2", "a")
	w.WantBodies("c2", "users", "shown")
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.HasRow("c2") {
		t.Error("the copy is there")
	}
	w.WantBodies("c1", "a", "second")
}

// A copy of one of a cluster's rules leaves the others' objects there, and the bucket, of which it is
// remembered that FaDO made it.
func TestEvictOfOneRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "logs/b")
	whole, logs := w.Row("c2"), w.Row("c2")
	whole.MadeBucket, logs.Prefix, logs.MadeBucket, logs.State = false, "logs/", true, catalog.CopyRemoving
	old := w.Row("c1")
	old.Prefix = "logs/"
	w.Rows(w.Row("c1"), old, whole, logs)
	w.Must(w.Evictor.Evict(t.Context(), ids.CopyIn(bkt, "logs/", "c2")))
	if row := w.Row("c2"); !row.MadeBucket || len(w.AllRows()) != 3 {
		t.Errorf("the rows: %+v", w.AllRows())
	}
	w.WantSame("c1", "c2") // the whole bucket's copy holds the key
}

// Requests that do not end hold a copy for no longer than the drain timeout.
func TestAwaitDrainedGivesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Ctl.Router().Flights.Begin(bkt, "c2")
	defer w.Ctl.Router().Flights.End(bkt, "c2")
	now, looks := time.Now(), 0
	w.o.Timing.Poll = time.Microsecond
	w.o.Now = func() time.Time {
		looks++
		return now.Add(time.Duration(looks) * 10 * time.Second)
	}
	w.Evictor = New(w.o)
	w.Must(w.Evictor.AwaitDrained(t.Context(), bkt, "c2", now))
	if looks != 6 {
		t.Errorf("it gave up after %d looks, want 6: the timeout is a minute", looks)
	}
}

// A copy whose bucket was removed by other hands leaves without one. A primary's bucket that is back by
// the time it is asked for is no reason to remove anything by the listing that missed it.
func TestEvictWithoutBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.SetState("c2", catalog.CopyRemoving)
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			return storage.ErrNoBucket
		}
		return nil
	})
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrNotYet)
	if len(w.Fakes["c2"].Contents(bkt)) != 1 || !w.HasRow("c2") {
		t.Error("the copy lost its object, or its row")
	}
	w.Fakes["c1"].SetFault(nil)
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			w.Fakes["c2"].UserDelete(bkt, "a")
			w.Must(w.Fakes["c2"].Writer().RemoveBucket(t.Context(), bkt))
			return storage.ErrNoBucket
		}
		return nil
	})
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.HasRow("c2") {
		t.Error("the copy is there")
	}
}
