package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// lateWorld is a bucket of 60 objects in three clusters, c1 being the primary.
func lateWorld(t *testing.T) (w *world, fakes []*fakestorage.Storage) {
	t.Helper()
	w = newWorld(t, Settings{MaxDeletes: MaxDeletes{Objects: 10, Percent: 10}}, func(o *Options) { o.Copy = fakestorage.Copy })
	for _, c := range []string{"c1", "c2", "c3"} {
		fakes = append(fakes, w.fake(c))
	}
	for i := range 60 {
		fakes[0].User("bkt", fmt.Sprintf("%02d", i), "x")
	}
	w.policy("p", 3)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.feedsLive("c1", "c2", "c3")
	return w, fakes
}

// onceMoved has f called with what is asked of a storage once the primary is c2.
func (w *world) onceMoved(at *fakestorage.Storage, f func(op string) error) {
	at.SetFault(func(_ context.Context, op, _, _ string) error {
		if w.ctl.Router().Snapshot().Of("bkt").Primary() != "c2" {
			return nil
		}
		return f(op)
	})
}

// A storm of deletes at the former primary that the move came too early for is held, listed and decided as any
// other: confirmed, all copies follow at once; rejected, the objects are back everywhere.
func TestLateDeletesAreDecided(t *testing.T) {
	t.Parallel()
	for _, apply := range []bool{true, false} {
		t.Run(fmt.Sprint("confirmed: ", apply), func(t *testing.T) {
			t.Parallel()
			w, fakes := lateWorld(t)
			var lost sync.Once
			w.onceMoved(fakes[0], func(op string) error {
				if op == "list" {
					lost.Do(func() { fakes[0].Lose("bkt", first40()...) })
				}
				return nil
			})
			w.bucket("bkt", "p", "c2")
			w.await("deletes are held", func() bool { return w.heldDeletes("bkt") == 40 })
			w.await("the end of the move", func() bool { row, _ := w.copyRow("bkt", "", "c1"); return !row.FormerPrimary })
			w.must(w.eng.SyncBucket(t.Context(), "bkt"))
			rows, err := w.store.Catalogue().CopiesOf(t.Context(), "bkt")
			w.must(err)
			if held := w.pending(state.PendingFilter{Bucket: "bkt"})[0]; HeldIn(held, rows) != "c2" || held.Size != 1 {
				t.Errorf("%+v: it is said to be in %s", held, HeldIn(held, rows))
			}
			if n := len(fakes[1].Contents("bkt")); n != 60 {
				t.Errorf("the primary has %d objects before people decide", n)
			}
			if _, err := w.eng.Decisions().Deletes(t.Context(), "bkt", apply); err != nil {
				t.Fatal(err)
			}
			w.awaitOK("bkt", "c2", "c1", "c3")
			want := 60
			if apply {
				want = 20
			}
			for i, f := range fakes {
				if n := len(f.Contents("bkt")); n != want {
					t.Errorf("c%d has %d objects, want %d", i+1, n, want)
				}
			}
		})
	}
}

// What people have copied back to a primary that has just moved is not taken for what was copied there from the
// former one, and deleted there since.
func TestRejectWaitsForTheMove(t *testing.T) {
	t.Parallel()
	w, fakes := lateWorld(t)
	fakes[0].Lose("bkt", "07")
	fakes[1].Lose("bkt", "07")
	w.must(w.ctl.Pending.Add(t.Context(), state.Pending{Bucket: "bkt", Key: "07", Cluster: "c3", Hold: state.HoldDeletes}))
	down := fmt.Errorf("away: %w", storage.ErrUnavailable)
	w.onceMoved(fakes[0], func(string) error { return down })
	w.bucket("bkt", "p", "c2")
	w.await("the move", func() bool { return w.ctl.Router().Snapshot().Of("bkt").Primary() == "c2" })
	if _, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false); !errors.Is(err, guard.ErrMoving) {
		t.Errorf("while the former primary may have late writes: %v", err)
	}
	fakes[0].SetFault(nil)
	w.await("the end of the move", func() bool { row, _ := w.copyRow("bkt", "", "c1"); return !row.FormerPrimary })
	if _, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false); err != nil {
		t.Error(err)
	}
	w.awaitSame("bkt", "c1", "c2", "c3")
	if n := len(fakes[1].Contents("bkt")); n != 60 {
		t.Errorf("the primary has %d objects", n)
	}
}

// A conflict's winner that is brought to the primary in the moment in which that moves away is not given up for it: the
// key stays in conflict.
func TestResolveLosesThePrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2, _ := w.fake("c1"), w.fake("c2"), w.fake("c3")
	c1.User("bkt", "a", "x")
	c2.User("bkt", "extra", "only theirs")
	w.policy("p", 3, "c1", "c2", "c3")
	w.bucket("bkt", "p", "c1")
	w.await("the conflict", func() bool {
		row, _ := w.copyRow("bkt", "", "c3")
		return w.status("bkt").Conflicts == 1 && row.State == catalog.CopySynced
	})
	w.feedsLive("c1", "c2", "c3")
	var once sync.Once
	c1.SetFault(func(_ context.Context, op, _, key string) error {
		if op == "put" && key == "extra" {
			once.Do(func() { w.moved("bkt", "c1", "c3") })
		}
		return nil
	})
	if res := w.resolve(Verdict{Key: "extra", Winner: "c2", Discard: true}); res.Resolved != 0 || res.RefusedTotal != 1 {
		t.Errorf("%+v", res)
	}
	w.await("the end of the move", func() bool { row, _ := w.copyRow("bkt", "", "c1"); return !row.FormerPrimary })
	w.must(w.eng.SyncBucket(t.Context(), "bkt"))
	w.await("what was brought to the former primary to go", func() bool { return c1.Contents("bkt")["extra"] == "" })
	if got := c2.Contents("bkt")["extra"]; got != "only theirs" || w.status("bkt").Conflicts != 1 {
		t.Errorf("c2 has %q, and there are %d conflicts", got, w.status("bkt").Conflicts)
	}
}

// moved swaps the roles of a bucket's primary and a copy, as a move ends.
func (w *world) moved(bucket, from, to string) {
	w.Helper()
	w.must(w.ctl.Copies.Update(context.Background(), bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			switch c := &rows[i]; c.Cluster {
			case from:
				c.Primary, c.FormerPrimary, c.VerifiedAt = false, true, time.Now()
			case to:
				c.Primary = true
			}
		}
		return rows, nil
	}))
	w.apply(&catalog.Bucket{Name: bucket, Policy: "p", Primary: to})
}
