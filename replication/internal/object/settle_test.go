package object

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// errNoDatabase is no word about an object: it is looked at again, and no conflict.
var errNoDatabase = errors.New("no database")

// What is done about an object follows from what the storages show, and from whose it is.
func TestSettle(t *testing.T) {
	t.Parallel()
	down := &storage.Error{Storage: "c2", Kind: storage.ErrUnavailable}
	for _, tc := range []struct {
		name     string
		prepare  func(w *world)
		task     func(t *Task)
		want     Outcome
		err      error
		body     string // at the copy afterwards; "": none
		untouch  bool   // nothing was written there
		heldRows bool
	}{
		{name: "nowhere", prepare: func(*world) {}, want: InStep, untouch: true},
		{name: "missing at the copy", prepare: func(w *world) { w.fakes["c1"].User(bkt, "k", "new") }, want: Copied, body: "new"},
		{name: "equal", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "same")
			w.fakes["c2"].User(bkt, "k", "same")
		}, want: InStep, body: "same", untouch: true},
		{name: "older at the copy", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "old")
			w.fakes["c1"].User(bkt, "k", "new")
		}, want: Copied, body: "new"},
		{name: "gone at the primary", prepare: func(w *world) { w.fakes["c2"].User(bkt, "k", "old") }, want: Removed},
		{name: "someone else's", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "theirs")
			w.fakes["c1"].User(bkt, "k", "ours")
			w.rows(func(c *state.Copy) { c.VerifiedAt = time.Time{} })
		}, err: ErrConflict, body: "theirs", untouch: true},
		{name: "someone else's, and gone at the primary", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "theirs")
			w.rows(func(c *state.Copy) { c.OwnedUntil = time.Time{} })
		}, err: ErrConflict, body: "theirs", untouch: true},
		{name: "on record as someone else's", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "theirs")
			if err := w.b.AddPending(w.Context(), state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Foreign: state.ForeignAny}); err != nil {
				w.Error(err)
			}
		}, err: ErrConflict, body: "theirs", untouch: true},
		{name: "it can't be told whose it is", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "theirs")
			w.router.Pending.Add(bkt, "k", "c2")
			w.b.err = errNoDatabase
		}, err: errNoDatabase, body: "theirs", untouch: true},
		{name: "it can't be told whose the older one is", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "old")
			w.fakes["c1"].User(bkt, "k", "new")
			w.router.Pending.Add(bkt, "k", "c2")
			w.b.err = errNoDatabase
		}, err: errNoDatabase, body: "old", untouch: true},
		{name: "deletes are held", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "old")
			w.rows(func(c *state.Copy) { c.HeldDeletes = true })
		}, err: ErrHeld, body: "old", untouch: true},
		{name: "too many deletes", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "old")
			w.deletes.Bounds = func() MaxDeletes { return MaxDeletes{Percent: 0.0001} }
		}, err: ErrHeld, body: "old", untouch: true, heldRows: true},
		{name: "damaged at the copy", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "same")
			w.fakes["c2"].User(bkt, "k", "same")
			w.Damaged.Note(inC2, w.stat("c2"))
		}, want: Copied, body: "same"},
		{name: "said to be damaged", task: func(t *Task) { t.Damaged = true }, prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "same")
			w.fakes["c2"].User(bkt, "k", "same")
		}, want: Copied, body: "same"},
		{name: "damaged at the primary", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "rotten")
			w.Damaged.Note(ids.ObjectIn(bkt, "k", "c1"), w.stat("c1"))
		}, err: ErrDamaged, untouch: true},
		{name: "the primary's bucket is missing", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "old")
			w.fail("c1", "stat", storage.ErrNoBucket)
		}, err: ErrNoSource, body: "old", untouch: true},
		{name: "the primary does not answer", prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "old")
			w.fail("c1", "stat", storage.ErrUnavailable)
		}, err: storage.ErrUnavailable, body: "old", untouch: true},
		{name: "the copy does not answer", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "new")
			w.fail("c2", "put", down)
		}, err: storage.ErrUnavailable, untouch: true},
		{name: "the copy is full", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "new")
			w.o.Sites.Get("c2").Space.Wrote(&storage.Error{Storage: "c2", Kind: storage.ErrFull})
		}, err: site.ErrFullWait, untouch: true},
		{name: "the copy leaves", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "new")
			w.rows(func(c *state.Copy) { c.State = catalog.CopyDraining })
		}, err: ErrLeaving, untouch: true},
		{name: "the copy's bucket is yet to be made", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "new")
			w.rows(func(c *state.Copy) { c.State = catalog.CopySyncing })
			w.fail("c2", "stat", storage.ErrNoBucket)
		}, err: ErrNotMade, untouch: true},
		{name: "the copy waits to begin", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "new")
			w.rows(func(c *state.Copy) { c.State = catalog.CopyWaiting })
			w.fail("c2", "put", storage.ErrNoBucket)
		}, err: ErrNotMade, untouch: true},
		{name: "the copy's bucket is gone", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "new")
			w.fail("c2", "stat", storage.ErrNoBucket)
		}, err: storage.ErrNoBucket, untouch: true},
		{name: "the former primary", prepare: func(w *world) {
			w.fakes["c1"].User(bkt, "k", "new")
			w.rows(func(c *state.Copy) { c.FormerPrimary = true })
		}, err: guard.ErrMoving, untouch: true},
		{name: "no copy there", task: func(t *Task) { t.Cluster = "c3" }, prepare: func(*world) {}, err: ErrNoCopy, untouch: true},
		{name: "the primary itself", task: func(t *Task) { t.Cluster = "c1" }, prepare: func(*world) {}, want: Moot, untouch: true},
		{name: "an unknown bucket", task: func(t *Task) { t.Bucket = "another" }, prepare: func(*world) {}, want: Moot, untouch: true},
		{name: "said to be fresh, and is not", task: func(t *Task) {
			t.Fresh, t.Src = true, &storage.Object{Key: "k", ETag: "of an older event"}
		}, prepare: func(w *world) {
			w.fakes["c2"].User(bkt, "k", "old")
			w.fakes["c1"].User(bkt, "k", "new")
		}, want: Copied, body: "new"},
	} {
		w := newWorld(t)
		tc.prepare(w)
		task := Task{Object: inC2, Size: -1}
		if tc.task != nil {
			tc.task(&task)
		}
		got, err := w.Settle(t.Context(), task)
		if wantErr(t, tc.name, err, tc.err); tc.err == nil && got != tc.want {
			t.Errorf("%s: outcome %d, want %d", tc.name, got, tc.want)
		}
		if body := w.fakes["c2"].Contents(bkt)["k"]; body != tc.body {
			t.Errorf("%s: the copy has %q, want %q", tc.name, body, tc.body)
		}
		if writes := w.fakes["c2"].Writes(); (len(writes) == 0) != tc.untouch {
			t.Errorf("%s: writes %q", tc.name, writes)
		}
		if len(w.fakes["c1"].Writes())+len(w.fakes["c3"].Writes()) != 0 {
			t.Errorf("%s: another cluster was written", tc.name)
		}
		if tc.heldRows && !w.b.copies[1].HeldDeletes {
			t.Errorf("%s: nobody is told that deletes are held", tc.name)
		}
		if err == nil && w.Damaged.Is(inC2, storage.Object{ETag: "same"}) {
			t.Errorf("%s: it is still known to be damaged", tc.name)
		}
	}
}

// That an object is not there, by one answer of a storage whose listing has it, neither removes it
// elsewhere nor counts as in step: a cache or a gateway in between may have answered.
func TestAbsenceIsConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "here")
	if _, err := w.Settle(t.Context(), Task{Object: inC2}); err != nil {
		t.Fatal(err)
	}
	w.fail("c1", "stat", storage.ErrNotFound)
	_, err := w.Settle(t.Context(), Task{Object: inC2})
	wantErr(t, "the primary says it is gone", err, storage.ErrInconsistent)
	if got := w.fakes["c2"].Contents(bkt)["k"]; got != "here" {
		t.Errorf("the copy has %q", got)
	}
	w.fakes["c1"].SetFault(nil)
	w.fakes["c1"].UserDelete(bkt, "k")
	w.fail("c2", "stat", storage.ErrNotFound)
	_, err = w.Settle(t.Context(), Task{Object: inC2})
	wantErr(t, "the copy's cluster says it is gone", err, storage.ErrInconsistent)
	w.fakes["c2"].SetFault(nil)
	if v, err := w.Settle(t.Context(), Task{Object: inC2}); err != nil || v != Removed {
		t.Errorf("it is gone: outcome %d, %v", v, err)
	}
	if v, err := w.Settle(t.Context(), Task{Object: inC2}); err != nil || v != InStep {
		t.Errorf("gone from both: outcome %d, %v", v, err)
	}
}

// What is on record as foreign is the object that was, not what FaDO writes under its key once that
// has gone: else a row that is raised again before it is finished makes FaDO's own copy a conflict,
// which nothing ends.
func TestForeignIsOneObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rows(func(c *state.Copy) { c.OwnedUntil = time.Unix(1, 0) })
	settle := func(what string, want Outcome, fails error) {
		t.Helper()
		v, err := w.Settle(t.Context(), Task{Object: inC2})
		if wantErr(t, what, err, fails); v != want {
			t.Errorf("%s: outcome %d, want %d", what, v, want)
		}
		if fails != nil {
			if err := w.b.AddPending(t.Context(), state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Foreign: ForeignIn(err)}); err != nil {
				t.Error(err)
			}
		}
	}
	w.fakes["c1"].User(bkt, "k", "ours")
	w.fakes["c2"].User(bkt, "k", "theirs")
	settle("someone else's", 0, ErrConflict)
	w.fakes["c2"].User(bkt, "k", "theirs, again")
	settle("another one of theirs", 0, ErrConflict)
	w.fakes["c2"].UserDelete(bkt, "k")
	settle("theirs has gone", Copied, nil)
	w.fakes["c1"].User(bkt, "k", "ours, changed")
	settle("changed", Copied, nil)
	w.fakes["c1"].UserDelete(bkt, "k")
	settle("removed", Removed, nil)
	if got := w.fakes["c2"].Contents(bkt); got["k"] != "" {
		t.Errorf("the copy has %q", got["k"])
	}
}

// A race that is lost is decided again, by what is there then, and not for ever.
func TestLostRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	races := 0
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" && races == 0 {
			races++
			w.fakes["c1"].User(bkt, "k", "two")
			return storage.ErrPrecondition
		}
		return nil
	})
	if v, err := w.Settle(t.Context(), Task{Object: inC2}); err != nil || v != Copied || w.fakes["c2"].Contents(bkt)["k"] != "two" {
		t.Errorf("%v, %v: the copy has %q", v, err, w.fakes["c2"].Contents(bkt)["k"])
	}
	tries := 0
	w.fakes["c1"].User(bkt, "k", "three")
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" {
			tries++
			return storage.ErrPrecondition
		}
		return nil
	})
	_, err := w.Settle(t.Context(), Task{Object: inC2})
	if wantErr(t, "always lost", err, storage.ErrPrecondition); tries != 3 {
		t.Errorf("tried %d times, want 3", tries)
	}
}

// Where no copy is wanted, pulls are asked.
func TestOnDemand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.OnDemand = func(_ context.Context, task Task) (Outcome, error) {
		if task.Cluster != "c3" {
			t.Errorf("asked about %+v", task)
		}
		return Copied, nil
	}
	if v, err := w.Settle(t.Context(), Task{Object: ids.ObjectIn(bkt, "k", "c3")}); err != nil || v != Copied {
		t.Errorf("%v, %v", v, err)
	}
}

// A row that outlived its copy where the policy allows none any more has nothing to wait for;
// one of a copy that the policy just forbade waits until the planner has removed that.
func TestForbidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) {
		e.PutPolicy(&catalog.Policy{Name: "all", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	}))
	_, err := w.Settle(t.Context(), Task{Object: inC2})
	wantErr(t, "with a copy there", err, guard.ErrForbidden)
	_, err = w.Settle(t.Context(), Task{Object: ids.ObjectIn(bkt, "k", "c3")})
	wantErr(t, "without one", err, ErrNoCopy)
}

// What single objects change in a copy's size is tallied, unless a walk counted them.
func TestTallies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	step := func(counted bool, want int64) {
		t.Helper()
		if _, err := w.Settle(t.Context(), Task{Object: inC2, Counted: counted}); err != nil {
			t.Fatal(err)
		}
		if err := w.o.Copies.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.b.copies[1].Bytes; got != want {
			t.Errorf("%d bytes, want %d", got, want)
		}
	}
	w.fakes["c1"].User(bkt, "k", "four")
	step(false, 4)
	w.fakes["c1"].User(bkt, "k", "longer")
	step(false, 6)
	w.fakes["c1"].UserDelete(bkt, "k")
	step(false, 0)
	w.fakes["c1"].User(bkt, "k", "counted")
	step(true, 0)
}
