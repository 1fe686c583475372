package replication

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What decides by an object's absence has it confirmed by the listing, and what FaDO writes where users
// write is no hit anywhere else until it was compared.

// denying has a storage say of a key that it is not there when it is asked, though it lists it.
func denying(s *fakestorage.Storage, denied string) {
	s.SetFault(func(_ context.Context, op, _, key string) error {
		if op == "stat" && key == denied {
			return storage.ErrNotFound
		}
		return nil
	})
}

// A delete that people rejected is not carried out because the copy's storage says for a moment that
// there is nothing to bring back.
func TestRejectTrustsNo404(t *testing.T) {
	t.Parallel()
	w, c1, c2 := breakerWorld(t)
	c1.Lose("bkt", first40()...)
	w.must(w.eng.SyncBucket(t.Context(), "bkt"))
	w.await("deletes are held", func() bool { return w.heldDeletes("bkt") == 40 })
	denying(c2, "07")
	if n, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false); !errors.Is(err, storage.ErrInconsistent) {
		t.Errorf("rejected %d, %v", n, err)
	}
	if n := w.heldDeletes("bkt"); n != 1 {
		t.Errorf("%d deletes are held, want that of what is not back", n)
	}
	c2.SetFault(nil)
	_, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false)
	w.must(err)
	w.awaitOK("bkt", "c1", "c2")
	if a, b := c1.Contents("bkt"), c2.Contents("bkt"); len(a) != 60 || !mapsEqual(a, b) {
		t.Errorf("c1 has %d objects, c2 %d, want 60", len(a), len(b))
	}
}

// wantNoStaleHits checks that a cluster has the primary's object wherever it counts as a hit.
func (w *world) wantNoStaleHits(primary, cluster *fakestorage.Storage, keys []string) {
	w.Helper()
	for _, key := range keys {
		current := w.ctl.Router().Current("bkt", key, cluster.Name()) // before it is looked at
		if want, got := primary.Contents("bkt")[key], cluster.Contents("bkt")[key]; current && got != want {
			w.Errorf("%s is a hit for %q and has %q, the primary %q", cluster.Name(), key, got, want)
		}
	}
}

// A copy where deletes were applied that another one held gets the objects that are brought back, and is
// no hit for them before: no event tells of them.
func TestRejectedAreNoHitsElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{MaxDeletes: MaxDeletes{Objects: 10, Percent: 10}}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, _, c3 := w.fake("c1"), w.fake("c2"), w.fake("c3")
	for i := range 60 {
		c1.User("bkt", fmt.Sprintf("%02d", i), "x")
	}
	w.policy("p", 3)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.feedsLive("c1", "c2", "c3")
	w.eng.core.deletes.Allow(ids.CopyIn("bkt", "", "c3"), 40)
	for _, key := range first40() {
		c1.UserDelete("bkt", key)
	}
	w.await("deletes are held in one place, and applied in the other", func() bool {
		return w.heldDeletes("bkt") == 30 && len(c3.Contents("bkt")) == 20
	})
	var hits []string
	c1.SetFault(func(_ context.Context, op, _, key string) error {
		if op == "put" && w.ctl.Router().Current("bkt", key, "c3") {
			hits = append(hits, key)
		}
		return nil
	})
	n, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false)
	if w.must(err); n != 30 {
		t.Errorf("rejected %d, want 30", n)
	}
	if len(hits) > 0 {
		t.Errorf("c3 is a hit for %q while they are brought back", hits)
	}
	w.wantNoStaleHits(c1, c3, first40())
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.awaitSame("bkt", "c1", "c2", "c3")
	if n := len(c3.Contents("bkt")); n != 50 {
		t.Errorf("c3 has %d objects, want 50", n)
	}
}

// Where anywhere is written, too, a delete that was applied in one place is undone there when people
// reject it for another.
func TestAnywhereRejectsEverywhere(t *testing.T) {
	t.Parallel()
	w, all := anywhereWorld(t, Settings{MaxDeletes: MaxDeletes{Objects: 2}}, minioA, minioB, minioC)
	w.feedsLive(all...)
	for i := range 5 {
		w.put("c1", "bkt", fmt.Sprint("k", i), "content")
	}
	w.awaitSame("bkt", all...)
	w.awaitIdle("bkt")
	w.eng.core.deletes.Allow(ids.CopyIn("bkt", "", "c3"), 5)
	for i := range 5 {
		w.del("c2", "bkt", fmt.Sprint("k", i))
	}
	w.await("three deletes are held in one place, and none in the other", func() bool {
		return w.heldDeletes("bkt") == 3 && len(w.contents("c3", "bkt")) == 0
	})
	n, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false)
	if w.must(err); n != 3 {
		t.Errorf("%d deletes were rejected, want 3", n)
	}
	for i := range 5 {
		key := fmt.Sprint("k", i)
		current := w.ctl.Router().Current("bkt", key, "c3")
		_, back := w.get("c2", "bkt", key)
		if _, has := w.get("c3", "bkt", key); current && back && !has {
			t.Errorf("c3 is a hit for %q and has it not", key)
		}
	}
	w.await("three objects are back", func() bool { return len(w.contents("c3", "bkt")) == 3 })
	w.awaitSame("bkt", all...)
	w.awaitIdle("bkt")
}

// conflicting makes a bucket whose copy in c2 has an object that is someone else's under "extra", and
// another one than the primary under "differs".
func conflicting(t *testing.T, policy func(w *world)) (w *world, c1, c2 *fakestorage.Storage) {
	t.Helper()
	w = newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 = w.fake("c1"), w.fake("c2")
	c1.User("bkt", "differs", "ours")
	c2.User("bkt", "differs", "theirs")
	c2.User("bkt", "extra", "only theirs")
	policy(w)
	w.bucket("bkt", "p", "c1")
	w.await("conflicts", func() bool { return w.status("bkt").Conflicts == 2 })
	w.feedsLive("c1", "c2")
	return w, c1, c2
}

// A conflict does not end because a storage says for a moment that there is nothing: what is there
// would count as FaDO's then, and go.
func TestResolveTrustsNo404(t *testing.T) {
	t.Parallel()
	w, _, c2 := conflicting(t, func(w *world) { w.policy("p", 2, "c1", "c2") })
	denying(c2, "extra")
	res := w.resolve(Verdict{Key: "extra", Winner: "c1"})
	if res.Resolved != 0 || len(res.Refused) != 1 {
		t.Errorf("%+v", res)
	}
	c2.SetFault(nil)
	w.must(w.eng.SyncBucket(t.Context(), "bkt"))
	row, _ := w.copyRow("bkt", "", "c2")
	w.await("a scan", func() bool {
		now, _ := w.copyRow("bkt", "", "c2")
		return now.VerifiedAt.After(row.VerifiedAt)
	})
	if got := c2.Contents("bkt")["extra"]; got != "only theirs" || w.status("bkt").Conflicts != 2 {
		t.Errorf("there is %q, and %d conflicts", got, w.status("bkt").Conflicts)
	}
}

// A resolution that brings a copy's object to the primary is no hit anywhere else before it is there: at
// a third copy that a worker compared too early, or where an object was copied on demand.
func TestResolvedIsNoHitElsewhere(t *testing.T) {
	t.Parallel()
	w, c1, c2 := conflicting(t, func(w *world) {
		w.fake("c3")
		w.fake("c4")
		w.policy("p", 3, "c1", "c2", "c3", "c4")
	})
	c3 := w.fakes["c3"]
	w.await("the third copy", func() bool { return w.ctl.Router().Current("bkt", "differs", "c3") })
	c4 := w.fakes["c4"]
	c4.User("bkt", "differs", "ours")
	now := time.Now()
	w.must(w.ctl.Pulled.Put(t.Context(), state.Pulled{
		Bucket: "bkt", Key: "differs", Cluster: "c4", Size: 4, ETag: fakestorage.ETag("ours"), UsedAt: now, Until: now.Add(time.Hour),
	}))
	c1.SetFault(func(_ context.Context, op, _, key string) error {
		if op != "put" {
			return nil
		}
		for _, c := range []string{"c3", "c4"} {
			if w.ctl.Router().Current("bkt", key, c) {
				t.Errorf("%s is a hit while the primary's object is replaced", c)
			}
		}
		for _, row := range w.pending(state.PendingFilter{Bucket: "bkt", Cluster: "c3"}) { // a worker compared too early
			w.must(w.ctl.Pending.Finish(context.Background(), state.PendingKey{Bucket: "bkt", Key: row.Key, Cluster: "c3", Gen: row.Gen}))
		}
		return nil
	})
	if res := w.resolve(Verdict{Key: "differs", Winner: "c2", Discard: true}); res.Resolved != 1 {
		t.Fatalf("%+v", res)
	}
	w.wantNoStaleHits(c1, c3, []string{"differs"})
	w.wantNoStaleHits(c1, c4, []string{"differs"})
	w.await("all have it", func() bool {
		return c3.Contents("bkt")["differs"] == "theirs" && c2.Contents("bkt")["differs"] == "theirs"
	})
}

// A purge does not end because a storage says for a moment that there is nothing, and leaves what is
// newer than what a primary has that went back in time.
func TestPurgeOfCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	for _, key := range []string{"denied", "equal", "newer"} {
		c1.User("bkt", key, "body of "+key)
	}
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	denying(c2, "denied")
	w.must(w.eng.Pause(t.Context())) // no scan of the start brings the older body along before the purge
	c1.Restore("bkt", "newer", "an older body")
	w.must(w.eng.Purge(t.Context(), "bkt", PurgeCopies, control.Precondition{}))
	w.must(w.eng.Resume(t.Context()))
	w.await("the purge is told of", func() bool { return len(w.eng.Reports().StuckPurges()) == 1 })
	c2.SetFault(nil)
	w.awaitPurged()
	if _, err := w.ctl.Resources.Get(t.Context(), catalog.KindBucket, "bkt"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("the bucket is declared: %v", err)
	}
	if got := c2.Contents("bkt"); len(got) != 1 || got["newer"] != "body of newer" {
		t.Errorf("c2 has %q", got)
	}
}

// What was in conflict when people had a bucket's copies purged stays, however much that is: it differs from the
// primary's, and is older than the comparison, as what FaDO adopted is.
func TestPurgeKeepsEveryConflict(t *testing.T) {
	t.Parallel()
	const n = 1100 // more than any batch
	w := newWorld(t, Settings{NoEventFeed: true, MaxDeletes: MaxDeletes{Objects: 1}}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("another", "k", "x") // what follows is newer than at c2
	for i := range n {
		key := fmt.Sprintf("k%04d", i)
		c1.User("bkt", key, "ours")
		c2.User("bkt", key, "theirs")
	}
	c1.User("bkt", "plain", "ours")
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.await("conflicts", func() bool { return w.status("bkt").Conflicts == n && c2.Contents("bkt")["plain"] == "ours" })
	w.must(w.ctl.Copies.Update(t.Context(), "bkt", func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			rows[i].OwnedUntil = time.Now() // later than all that the storages' clocks say
		}
		return rows, nil
	}))
	w.must(w.eng.Purge(t.Context(), "bkt", PurgeCopies, control.Precondition{}))
	w.awaitPurged()
	got := c2.Contents("bkt")
	if len(got) != n || got["plain"] != "" || got["k0000"] != "theirs" || len(c1.Contents("bkt")) != n+1 {
		t.Errorf("c2 has %d objects, c1 %d", len(got), len(c1.Contents("bkt")))
	}
}
