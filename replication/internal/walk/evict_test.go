package walk

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

// leaving has the bucket's copy in c2 leave and one in c3 in its place.
func (w *world) leaving(s catalog.CopyState) {
	w.Helper()
	w.must(w.o.Copies.Update(w.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		rows[copyrows.Index(rows, "", "c2")].State = s
		return rows, nil
	}))
}

func (w *world) hasRow(cluster string) bool {
	w.Helper()
	rows, err := w.store.CopiesOf(w.Context(), bkt)
	w.must(err)
	return copyrows.Index(rows, "", cluster) >= 0
}

func TestEvict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b", "c")
	w.fakes["c1"].UserDelete(bkt, "c") // what the primary deleted meanwhile goes as well
	w.leaving(catalog.CopyDraining)
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.hasRow("c2") {
		t.Error("the copy is there")
	}
	if left := w.fakes["c2"].Contents(bkt); left != nil {
		t.Errorf("FaDO's bucket has %q", left)
	}
	if len(w.fakes["c1"].Contents(bkt)) != 2 {
		t.Error("the primary lost something")
	}
}

// What is not FaDO's stays, and the bucket with it.
func TestEvictLeavesForeignObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c2"].User(bkt, "b", "somebody else's")
	w.synced("a", "b")
	w.fakes["c2"].User(bkt, "z", "somebody else's, and later")
	w.leaving(catalog.CopyRemoving)
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	if left := w.fakes["c2"].Contents(bkt); len(left) != 2 || left["b"] == "" || left["z"] == "" {
		t.Errorf("left are %q", left)
	}
	if w.hasRow("c2") {
		t.Error("the copy is there")
	}
}

// A copy does not go before the one that takes its place is synced, nor an object before it
// is there.
func TestEvictWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	add := func(c state.Copy) {
		w.must(w.o.Copies.Update(t.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) { return append(rows, c), nil }))
	}
	w.leaving(catalog.CopyRemoving)
	add(copyOf("c3", catalog.CopyWaiting))
	w.wantErr(w.Evictor.Evict(t.Context(), at("c2")), ErrNotYet)
	if len(w.fakes["c2"].Contents(bkt)) != 2 {
		t.Fatal("objects went before the new copy is synced")
	}

	w.must(w.Syncer.Sync(t.Context(), at("c3")))
	w.must(w.ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "a", Cluster: "c3", Since: w.o.Now()}))
	w.wantErr(w.Evictor.Evict(t.Context(), at("c2")), ErrNotYet)
	if left := w.fakes["c2"].Contents(bkt); len(left) != 1 || left["a"] == "" {
		t.Fatalf("left are %q, want the one that is on its way to c3", left)
	}

	w.settle()
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.hasRow("c2") || w.fakes["c2"].Contents(bkt) != nil {
		t.Error("the copy is there")
	}
	w.wantSame("c1", "c3")
}

// An eviction ends when the copy is wanted again.
func TestEvictOfCopyThatIsWantedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.leaving(catalog.CopyRemoving)
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "listed" {
			w.leaving(catalog.CopyWaiting)
		}
		return nil
	})
	w.wantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrChanged)
	w.wantSame("c1", "c2")
}

// That the primary's bucket is gone is no reason to remove anything.
func TestEvictWithoutSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	w.leaving(catalog.CopyRemoving)
	w.fakes["c1"].UserDelete(bkt, "a")
	w.must(w.fakes["c1"].RemoveBucket(t.Context(), bkt))
	w.wantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrNoSource)
	w.wantErr(w.missing, object.ErrNoSource)
	if len(w.fakes["c2"].Contents(bkt)) != 1 {
		t.Error("the copy lost its object")
	}
}

// A storage that fails ends the eviction with its error; what was not removed stays wanted.
func TestEvictEndsWithBrokenStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.leaving(catalog.CopyRemoving)
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "delete" {
			return storage.ErrDenied
		}
		return nil
	})
	w.wantErr(w.Evictor.Evict(t.Context(), at("c2")), storage.ErrDenied)
	if !w.hasRow("c2") {
		t.Error("the copy's row is gone, and its objects are there")
	}
}

// A copy is not touched before the requests that were routed to it have ended.
func TestEvictAwaitsRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	flights := w.ctl.Router().Flights
	flights.Begin(bkt, "c2")
	looks := 0
	w.o.Timing.Poll = time.Microsecond
	w.o.Now = func() time.Time { // asked with every look while the request is in flight
		if looks++; looks == 3 {
			if s := w.row("c2").State; s != catalog.CopyDraining {
				t.Errorf("the copy is %s while a request is in flight", s)
			}
			flights.End(bkt, "c2")
		}
		return time.Now()
	}
	w.Walks = New(w.o)
	w.must(w.o.Copies.Update(t.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
		c := &rows[copyrows.Index(rows, "", "c2")]
		c.State, c.DrainSince = catalog.CopyDraining, time.Now()
		return rows, nil
	}))
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	if looks < 3 || w.hasRow("c2") {
		t.Errorf("after %d looks the copy is there: %t", looks, w.hasRow("c2"))
	}
}

// An eviction that waits for one object looks at that one again, and at nothing else.
func TestEvictLooksAtWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b", "c")
	w.rows(w.row("c1"), w.row("c2"), copyOf("c3", catalog.CopyWaiting))
	w.must(w.Syncer.Sync(t.Context(), at("c3")))
	w.must(w.ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "b", Cluster: "c3", Since: w.o.Now()}))
	w.leaving(catalog.CopyRemoving)
	lists := 0
	w.fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			lists++
		}
		return nil
	})
	for range 10 {
		w.wantErr(w.Evictor.Evict(t.Context(), at("c2")), ErrNotYet)
	}
	if lists > 1 {
		t.Errorf("the primary was listed %d times while one object waited", lists)
	}
	w.settle()
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.hasRow("c2") || w.fakes["c2"].Contents(bkt) != nil {
		t.Error("the copy is there")
	}
}

// Versions that are in no copy that remains keep a copy from leaving a cluster that the policy does not
// allow any more, and nothing is listed for that again; they go on people's word, and no other ones.
func TestHiddenHistoryIsReleased(t *testing.T) {
	t.Parallel()
	w := keeping(t)
	w.synced("a", "b")
	w.fakes["c1"].User(bkt, "a", "second")
	for _, key := range []string{"a", "b"} {
		_, err := w.objects.Settle(t.Context(), object.Task{Object: ids.ObjectIn(bkt, key, "c2"), Size: -1})
		w.must(err)
	}
	w.fakes["c1"].RemoveVersion(bkt, "a", w.history("c1", "a")[1].VersionID) // as a lifecycle rule does
	w.fakes["c2"].Replicate(bkt, "users", "shown")
	if _, err := w.Evictor.ReleaseHistory(t.Context(), bkt, "c2"); !errors.Is(err, ErrNoneLeaves) {
		t.Errorf("of a copy that stays: %v", err)
	}
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	w.leaving(catalog.CopyRemoving)
	listings := 0
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			listings++
		}
		return nil
	})
	for range 3 {
		err := w.Evictor.Evict(t.Context(), at("c2"))
		if !errors.Is(err, ErrOnlyThere) || !strings.Contains(err.Error(), "/release") || !strings.Contains(err.Error(), `"a"`) {
			t.Fatalf("it left: %v", err)
		}
	}
	if listings != 1 {
		t.Errorf("it was listed %d times", listings)
	}
	w.wantBodies("c2", "a", "", "body of a")
	n, err := w.Evictor.ReleaseHistory(t.Context(), bkt, "c2")
	w.must(err)
	if n != 1 {
		t.Errorf("of %d objects versions were removed, want 1", n)
	}
	w.wantBodies("c2", "a")
	w.wantBodies("c2", "users", "shown")
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	if w.hasRow("c2") {
		t.Error("the copy is there")
	}
	w.wantBodies("c1", "a", "second")
}
