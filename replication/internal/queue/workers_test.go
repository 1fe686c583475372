package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What follows from each reason why a row could not be settled: whether it is held, counts
// as a failed attempt, and when it is tried again.
func TestSetbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		full := &storage.Error{Storage: "c2", Kind: storage.ErrFull}
		for _, tc := range []struct {
			err      error
			hold     state.Hold
			attempts int           // of a row that had none
			wait     time.Duration // before the next, give or take a fifth; 0: held
			foreign  bool
		}{
			{err: object.ErrConflict, hold: state.HoldConflict, foreign: true},
			{err: object.ErrHeld, hold: state.HoldDeletes},
			{err: guard.ErrMoving, wait: time.Second},
			{err: object.ErrLeaving, wait: time.Second},
			{err: object.ErrNotMade, wait: time.Second},
			{err: control.ErrCutOff, wait: time.Second},
			{err: errNotHere, wait: retryMax / 10},
			{err: guard.ErrForbidden, wait: 2 * time.Second},
			{err: site.Absent("c2").Space.Error(site.ErrFullWait), attempts: 1, wait: retryMax},
			{err: full, attempts: 1, wait: fullProbe},
			{err: site.ErrDown, attempts: 1, wait: retryMax},
			{err: storage.ErrUnavailable, attempts: 1, wait: time.Second},
			{err: storage.ErrPrecondition, attempts: 1, wait: time.Second / 5},
			{err: storage.ErrRefused, attempts: 1, wait: retryMax / 10},
			{err: object.ErrNoSource, attempts: 1, wait: time.Second},
			{err: object.ErrStalled, attempts: 1, wait: time.Second},
			{err: object.ErrDamaged, attempts: 1, wait: time.Second},
			{err: errors.New("anything else"), attempts: 1, wait: time.Second},
		} {
			for had := range 3 {
				row := w.Workers.after(state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Attempts: had}, fmt.Errorf("wrapped: %w", tc.err))
				want := had
				switch {
				case tc.hold != state.HoldNone:
					want = 0
				case setbackOf(tc.err).counts:
					want = had + tc.attempts
				case tc.attempts > 0:
					want = max(had, tc.attempts)
				}
				if row.Hold != tc.hold || row.Attempts != want || (row.Foreign != "") != tc.foreign || row.Error == "" || row.Cause != object.KindOf(tc.err) {
					t.Errorf("%v after %d attempts: %+v, want hold %q, %d attempts", tc.err, had, row, tc.hold, want)
				}
				if wait := time.Until(row.NextAttempt); had == 0 && tc.wait > 0 && (wait < tc.wait*8/10 || wait > tc.wait*12/10) {
					t.Errorf("%v: tried again after %v, want about %v", tc.err, wait, tc.wait)
				}
			}
		}
		row := w.Workers.after(state.Pending{Damaged: true}, storage.ErrUnavailable)
		if row.Error == storage.ErrUnavailable.Error() {
			t.Errorf("a damaged object's error hides that: %q", row.Error)
		}
		for err, want := range map[error]state.Cause{storage.ErrUnavailable: state.CauseCorrupt, storage.ErrDenied: state.CauseCorrupt, full: state.CauseFull} {
			if row := w.Workers.after(state.Pending{Damaged: true}, err); row.Cause != want {
				t.Errorf("a damaged object that fails by %v has the cause %q, want %q", err, row.Cause, want)
			}
		}
		for _, full := range []error{full, site.Absent("c2").Space.Error(site.ErrFullWait)} {
			if row := w.Workers.after(state.Pending{}, full); row.Cause != state.CauseFull {
				t.Errorf("%v: the cause is %q", full, row.Cause)
			}
		}
		if row = w.Workers.after(state.Pending{Foreign: "e"}, storage.ErrUnavailable); row.Foreign != "e" {
			t.Error("a foreign object lost its mark")
		}
	})
}

// A row of a delete is held for as long as its copy is: one that is stored as held after people
// decided would wait for a decision that has been taken.
func TestHeldWhileTheCopyIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, held := range []bool{true, false} {
			w := newWorld()
			w.rows(catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced},
				catalog.Copy{Cluster: "c2", State: catalog.CopySynced, HeldDeletes: held})
			row := state.Pending{Bucket: bkt, Key: "k", Cluster: "c2"}
			if err := w.b.Add(t.Context(), row); err != nil {
				t.Fatal(err)
			}
			row.Gen = 1
			w.Workers.failed(t.Context(), row, object.ErrHeld)
			got, _ := w.b.row("k", "c2")
			if isHeld := got.Hold == state.HoldDeletes; isHeld != held {
				t.Errorf("the copy's deletes are held: %v, the row is: %v", held, isHeld)
			}
			if wait := time.Until(got.NextAttempt); !held && (wait <= 0 || wait > 2*time.Second) {
				t.Errorf("it is tried again after %v, want about a second", wait)
			}
			w.sites.Close()
		}
	})
}

// A late delete stays held although its copy holds none, and a user's request that waits for the object does not
// bring it back either, whatever an event told of the primary's.
func TestLateDeletesStayHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.fakes["c1"].User(bkt, "k", "x")
		w.fakes["c2"].User(bkt, "other", "x")
		o, err := w.fakes["c1"].Reader().Stat(t.Context(), bkt, "k")
		if err != nil {
			t.Fatal(err)
		}
		row := state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Foreign: object.LateOf(o)}
		if err := w.b.Add(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		row.Gen = 1
		w.Workers.failed(t.Context(), row, object.ErrLate)
		if got, _ := w.b.row("k", "c2"); got.Hold != state.HoldDeletes || !object.IsLate(got) {
			t.Errorf("the row is %+v", got)
		}
		w.Intake.seen.Note(ids.ObjectIn(bkt, "k", ""), o)
		if err := w.Attempts.Now(t.Context(), ids.ObjectIn(bkt, "k", "c2"), 1); !errors.Is(err, object.ErrLate) {
			t.Errorf("the request is answered with %v", err)
		}
		if got := w.fakes["c2"].Contents(bkt); len(got) != 1 {
			t.Errorf("the copy has %q", got)
		}
	})
}

// A small change is copied while its row is being stored, without a claim; a large one by
// its claim. Afterwards there is neither row nor exception.
func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			name   string
			size   int
			shared bool
			claims int
		}{
			{name: "small", size: 10},
			{name: "large", size: limit.SmallObject + 1, claims: 1},
			{name: "small, where others use the store", size: 10, shared: true, claims: 1},
		} {
			w := newWorld()
			w.b.set(func() { w.b.shared = tc.shared })
			w.fakes["c2"].User(bkt, "other", "")
			w.fakes["c1"].User(bkt, "k", string(make([]byte, tc.size)))
			stop := w.run(t.Context(), w.Intake.Run, w.Workers.Run)
			w.Intake.Take(t.Context(), w.event("c1", "k"))
			pass(100 * time.Millisecond)
			if got := len(w.fakes["c2"].Contents(bkt)["k"]); got != tc.size {
				t.Errorf("%s: %d bytes were copied, want %d", tc.name, got, tc.size)
			}
			if w.b.len() != 0 || w.router.Pending.Len() != 0 || w.b.claims != tc.claims || w.sink.lags != 1 {
				t.Errorf("%s: %d rows, %d exceptions are left; %d claims, %d lags", tc.name, w.b.len(), w.router.Pending.Len(), w.b.claims, w.sink.lags)
			}
			w.fakes["c1"].UserDelete(bkt, "k")
			w.Intake.Take(t.Context(), w.event("c1", "k"))
			pass(100 * time.Millisecond)
			if _, there := w.fakes["c2"].Contents(bkt)["k"]; there || w.b.len() != 0 {
				t.Errorf("%s: the object is there after its removal: %v; %d rows", tc.name, there, w.b.len())
			}
			stop()
			w.sites.Close()
		}
	})
}

// An early start whose row was not stored leaves the exception: the row is stored later,
// and worked off then.
func TestEarlyStartNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.fakes["c2"].User(bkt, "other", "")
		w.fakes["c1"].User(bkt, "k", "body")
		defer w.run(t.Context(), w.Intake.Run, w.Workers.Run)()
		w.b.set(func() { w.b.err = errStore })
		w.Intake.Take(t.Context(), w.event("c1", "k"))
		pass(100 * time.Millisecond)
		if w.fakes["c2"].Contents(bkt)["k"] != "body" {
			t.Error("the object was not copied while the store was away")
		}
		if !w.router.Pending.Has(bkt, "k", "c2") {
			t.Error("it is no exception, though its row was never stored")
		}
		w.b.set(func() { w.b.err = nil })
		pass(5 * time.Second)
		if w.b.len() != 0 || w.router.Pending.Len() != 0 || w.b.adds != 1 {
			t.Errorf("%d rows, %d exceptions, stored %d times", w.b.len(), w.router.Pending.Len(), w.b.adds)
		}
	})
}

// A change that comes while an early start is under way is a row of its own: the outcome of
// the first is noted for its generation alone.
func TestEarlyStartOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.fakes["c2"].User(bkt, "other", "")
		w.fakes["c1"].User(bkt, "k", "one")
		defer w.run(t.Context(), w.Intake.Run, w.Workers.Run)()
		reading, read := make(chan struct{}), make(chan struct{})
		w.fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
			if op == "get" {
				reading <- struct{}{}
				<-read
			}
			return nil
		})
		w.Intake.Take(t.Context(), w.event("c1", "k"))
		<-reading
		w.fakes["c1"].SetFault(nil)
		w.fakes["c1"].User(bkt, "k", "two!")
		w.Intake.Take(t.Context(), w.event("c1", "k"))
		synctest.Wait()
		if r, ok := w.b.row("k", "c2"); !ok || r.Gen != 2 {
			t.Errorf("row %+v, %v; want the second", r, ok)
		}
		if n := w.Workers.by["c2"]; n != 2 {
			t.Errorf("%d in the line of c2, want 2: the early start and the claim that waits for it", n)
		}
		close(read)
		pass(10 * time.Second)
		if got := w.fakes["c2"].Contents(bkt)["k"]; got != "two!" {
			t.Errorf("copied %q, want the second content", got)
		}
		if w.b.len() != 0 || w.router.Pending.Len() != 0 || len(w.Workers.by) != 0 || len(w.Workers.early) != 0 || len(w.Workers.outstanding) != 0 {
			t.Errorf("left: %d rows, %d exceptions, lines %v", w.b.len(), w.router.Pending.Len(), w.Workers.by)
		}
	})
}

// A claimed row whose very generation an early start settled is not worked on again; one of
// another generation is, after it.
func TestDoneEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		row := state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Gen: 5}
		if w.Workers.doneEarly(t.Context(), row) {
			t.Error("done without an early start")
		}
		for gen, want := range map[int64]bool{5: true, 4: false, 0: false} {
			h := &earlyStart{done: make(chan struct{})}
			w.Workers.early[ids.ObjectIn(bkt, "k", "c2")] = h
			done := make(chan bool, 1)
			go func() { done <- w.Workers.doneEarly(t.Context(), row) }()
			synctest.Wait()
			if len(done) != 0 {
				t.Fatal("it did not wait for the early start")
			}
			h.gen = gen
			close(h.done)
			if got := <-done; got != want {
				t.Errorf("generation %d was settled, the row's is 5: done %v", gen, got)
			}
		}
	})
}

// What has to wait for its claim: what is large, paused, full, under way or too much.
func TestStartEarly(t *testing.T) {
	t.Parallel()
	row := state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Size: 10}
	for _, tc := range []struct {
		name   string
		change func(w *world, row *state.Pending)
		want   bool
	}{
		{"small", func(*world, *state.Pending) {}, true},
		{"large", func(_ *world, r *state.Pending) { r.Size = limit.SmallObject + 1 }, false},
		{"paused", func(w *world, _ *state.Pending) { w.pause.Set(true) }, false},
		{"full", func(w *world, _ *state.Pending) {
			w.sites.Get("c2").Space.Wrote(&storage.Error{Storage: "c2", Kind: storage.ErrFull})
		}, false},
		{"full, a removal", func(w *world, r *state.Pending) {
			r.Size = 0
			w.sites.Get("c2").Space.Wrote(&storage.Error{Storage: "c2", Kind: storage.ErrFull})
		}, true},
		{"closed", func(w *world, _ *state.Pending) { w.Workers.open = false }, false},
		{"a full line", func(w *world, _ *state.Pending) { w.Workers.by["c2"] = w.slots.ClaimCap("c2") }, false},
		{"another's full line", func(w *world, _ *state.Pending) { w.Workers.by["c3"] = 1000 }, true},
		{"under way", func(w *world, r *state.Pending) { w.Workers.startEarly(*r) }, false},
	} {
		w, r := newWorld(), row
		w.Workers.open = true
		tc.change(w, &r)
		if got := w.Workers.startEarly(r) != nil; got != tc.want {
			t.Errorf("%s: started early %v, want %v", tc.name, got, tc.want)
		}
		w.sites.Close()
	}
}

// Claims come in batches: none until half of those before are done, and never more than
// keep the cluster's slots busy.
func TestRoom(t *testing.T) {
	t.Parallel()
	w := newWorld()
	defer w.sites.Close()
	most := w.slots.ClaimCap("c2")
	for has := range most + 3 {
		w.Workers.by["c2"] = has
		got := w.Workers.room("c2")
		if want := most - has; has > 0 && has > most/2 {
			if got != 0 {
				t.Errorf("with %d of %d there is room for %d, want none yet", has, most, got)
			}
		} else if got != want {
			t.Errorf("with %d of %d there is room for %d, want %d", has, most, got, want)
		}
	}
	if got := w.Workers.room("c3"); got != w.slots.ClaimCap("c3") {
		t.Errorf("another cluster's room is %d", got)
	}
}

// A cluster that hangs holds up its own line and no other.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.slots.SetClusters(3)
		defer w.sites.Close()
		w.rows(catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced},
			catalog.Copy{Cluster: "c2", State: catalog.CopySynced}, catalog.Copy{Cluster: "c3", State: catalog.CopySynced})
		over := make(chan struct{})
		w.fakes["c2"].User(bkt, "other", "")
		w.fakes["c3"].User(bkt, "other", "")
		w.fakes["c2"].SetFault(func(context.Context, string, string, string) error { <-over; return nil })
		stop := w.run(t.Context(), w.Intake.Run, w.Workers.Run)
		for i := range 200 {
			key := fmt.Sprint("k", i)
			w.fakes["c1"].User(bkt, key, "body")
			w.Intake.Take(t.Context(), w.event("c1", key))
		}
		pass(5 * time.Second)
		if n := len(w.fakes["c3"].Contents(bkt)); n != 201 {
			t.Errorf("%d of 201 objects are in c3 while c2 hangs", n)
		}
		close(over)
		pass(30 * time.Second)
		if n := len(w.fakes["c2"].Contents(bkt)); n != 201 || w.b.len() != 0 {
			t.Errorf("%d of 201 objects are in c2, %d rows are left", n, w.b.len())
		}
		stop()
	})
}

// Claims of what takes long are prolonged in time; a pause holds new claims back.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.fakes["c2"].User(bkt, "other", "")
		w.fakes["c1"].User(bkt, "k", "body")
		w.b.set(func() { w.b.shared = true })
		w.pause.Set(true)
		stop := w.run(t.Context(), w.Intake.Run, w.Workers.Run)
		w.Intake.Take(t.Context(), w.event("c1", "k"))
		pass(time.Minute)
		if w.b.claims != 0 {
			t.Errorf("%d claims during a pause", w.b.claims)
		}
		over := make(chan struct{})
		w.fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
			if op == "get" {
				<-over
			}
			return nil
		})
		w.pause.Set(false)
		pass(30 * time.Second)
		if n := len(w.b.extends); w.b.claims != 1 || n < 3 || n > 10 {
			t.Errorf("%d claims, prolonged %d times in three leases", w.b.claims, n)
		}
		close(over)
		pass(time.Second)
		if w.b.len() != 0 {
			t.Error("the row is left")
		}
		stop()
	})
}

// A row that could not be settled stays, with its error, and is told to who can help.
func TestFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			name    string
			prepare func(w *world)
			kind    state.Cause
			told    []string
			hold    state.Hold
		}{
			{name: "denied", kind: "denied", prepare: func(w *world) {
				w.fakes["c2"].User(bkt, "other", "")
				w.fail("c2", "put", &storage.Error{Storage: "c2", Kind: storage.ErrDenied})
			}},
			{name: "no bucket at the copy", kind: "no_bucket", told: []string{"scan " + bkt}, prepare: func(*world) {}},
			{name: "no bucket at the primary", kind: "no_source", told: []string{"missing " + bkt}, prepare: func(w *world) {
				w.fakes["c2"].User(bkt, "other", "")
				w.fail("c1", "stat", storage.ErrNoBucket)
				w.fail("c2", "put", storage.ErrPrecondition)
			}},
			{name: "someone else's", kind: "conflict", hold: state.HoldConflict, prepare: func(w *world) {
				w.rows(catalog.Copy{Cluster: "c1", Primary: true, State: catalog.CopySynced}, catalog.Copy{Cluster: "c2", State: catalog.CopySynced})
				w.b.set(func() { w.b.copies[1].OwnedUntil = time.Time{} })
				w.fakes["c2"].User(bkt, "k", "another")
			}},
		} {
			w := newWorld()
			w.fakes["c1"].User(bkt, "k", "body")
			tc.prepare(w)
			w.b.set(func() { w.b.shared = true })
			stop := w.run(t.Context(), w.Intake.Run, w.Workers.Run)
			w.Intake.Take(t.Context(), w.event("c1", "k"))
			pass(100 * time.Millisecond)
			r, ok := w.b.row("k", "c2")
			if !ok || r.Error == "" || r.Cause != tc.kind || r.Hold != tc.hold || tc.hold == "" && !r.NextAttempt.After(time.Now()) {
				t.Errorf("%s: row %+v, %v", tc.name, r, ok)
			}
			if w.sink.failed[string(tc.kind)] != 1 || len(w.sink.failed) != 1 {
				t.Errorf("%s: counted %v, want one %s", tc.name, w.sink.failed, tc.kind)
			}
			w.wantTold(t, tc.told...)
			stop()
			w.sites.Close()
		}
	})
}

// A storage that came back while a row for it failed does not have to wait for the row's
// long delay.
func TestBackMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		for up, want := range map[bool]time.Duration{true: 2 * time.Second, false: 2 * retryMax} {
			cond := routing.StorageDown
			if up {
				cond = routing.StorageUp
			}
			w.sites.Get("c1")
			w.sites.Get("c2")
			w.router.Snapshot().ClusterState("c1").SetStorage(routing.StorageUp)
			w.router.Snapshot().ClusterState("c2").SetStorage(cond)
			row := state.Pending{Bucket: bkt, Key: "k", Cluster: "c2"}
			if err := w.b.Add(t.Context(), row); err != nil {
				t.Fatal(err)
			}
			row, _ = w.b.row("k", "c2")
			w.Workers.failed(t.Context(), row, fmt.Errorf("x: %w", site.ErrDown))
			r, _ := w.b.row("k", "c2")
			if wait := time.Until(r.NextAttempt); wait > want || !up && wait < retryMax/2 {
				t.Errorf("up %v: tried again in %v", up, wait)
			}
		}
	})
}

// Where others share the store, what this instance does not know yet may be theirs: it
// catches up before it takes a row for moot.
func TestAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.b.set(func() { w.b.shared = true })
		for _, tc := range []struct {
			bucket, cluster string
			left            bool
		}{
			{"theirs", "c2", true}, // not of this instance's configuration
			{bkt, "c1", false},     // it is the primary: there is nothing to do
			{bkt, "c3", false},     // no copy is wanted there
		} {
			w.caughtN = 0
			row := state.Pending{Bucket: tc.bucket, Key: "k", Cluster: tc.cluster}
			if err := w.b.Add(t.Context(), row); err != nil {
				t.Fatal(err)
			}
			row.Gen = w.b.gen
			w.Workers.work(t.Context(), row)
			r, left := w.b.pending[ids.ObjectIn(tc.bucket, "k", tc.cluster)]
			if left != tc.left || w.caughtN != 1 {
				t.Errorf("%s in %s: left %v, caught up %d times", tc.bucket, tc.cluster, left, w.caughtN)
			}
			if left && time.Until(r.NextAttempt) < retryMax/20 {
				t.Errorf("a bucket of others is tried again in %v", time.Until(r.NextAttempt))
			}
		}
	})
}

// Work that ends with the run notes no outcome: its claims are released as a whole.
func TestWorkEndsWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, shared := range []bool{false, true} { // by an early start, by a claim
			w := newWorld()
			w.b.set(func() { w.b.shared = shared })
			w.fakes["c2"].User(bkt, "other", "")
			w.fakes["c1"].User(bkt, "k", "body")
			w.fakes["c1"].SetFault(func(ctx context.Context, op, _, _ string) error {
				if op == "get" {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			})
			stop := w.run(t.Context(), w.Intake.Run, w.Workers.Run)
			w.Intake.Take(t.Context(), w.event("c1", "k"))
			synctest.Wait()
			stop()
			if r, ok := w.b.row("k", "c2"); !ok || r.Attempts != 0 || r.Error != "" || len(w.sink.failed) != 0 {
				t.Errorf("shared %v: row %+v, %v; failures %v", shared, r, ok, w.sink.failed)
			}
			if !w.router.Pending.Has(bkt, "k", "c2") {
				t.Errorf("shared %v: it is no exception any more", shared)
			}
			if !slices.Equal(w.o.Pending.Clusters(), []string{"c2"}) {
				t.Errorf("clusters with rows: %q", w.o.Pending.Clusters())
			}
			w.sites.Close()
		}
	})
}

// A row that is raised while its object is at work takes no room of its own, however often;
// the last one follows, and the object ends as it was written last.
func TestRaisedRowsTakeNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		w.fakes["c2"].User(bkt, "other", "")
		w.fakes["c1"].User(bkt, "k", string(make([]byte, limit.SmallObject+1)))
		gate := make(chan struct{})
		w.fakes["c2"].SetFault(func(ctx context.Context, op, _, _ string) error {
			if op != "put" {
				return nil
			}
			select {
			case <-gate:
			case <-ctx.Done():
			}
			return nil
		})
		defer w.run(t.Context(), w.Intake.Run, w.Workers.Run)()
		for i := range 5 {
			w.fakes["c1"].User(bkt, "k", string(make([]byte, limit.SmallObject+2+i)))
			w.Intake.Take(t.Context(), w.event("c1", "k"))
			pass(2 * time.Second)
			w.Workers.mu.Lock()
			if n := w.Workers.by["c2"]; n != 1 {
				t.Errorf("%d places are taken by one object", n)
			}
			w.Workers.mu.Unlock()
		}
		close(gate)
		pass(time.Minute)
		if n := len(w.fakes["c2"].Contents(bkt)["k"]); n != limit.SmallObject+6 || w.b.len() != 0 || w.router.Pending.Len() != 0 {
			t.Errorf("%d bytes are there, %d rows and %d exceptions are left", n, w.b.len(), w.router.Pending.Len())
		}
	})
}

// A storage that fails at once, whatever it is asked, is asked for a bounded number of
// objects, however many wait for it, and when it is well again everything is worked off.
func TestAFailingStorageIsAskedLittle(t *testing.T) {
	for _, failing := range []string{"c1", "c2"} { // the source, or the target
		t.Run(failing, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const objects, per = 2000, time.Minute
				w := newWorld()
				defer w.sites.Close()
				w.fakes["c2"].User(bkt, "first", "")
				var events []Event
				for i := range objects {
					key := fmt.Sprintf("k%04d", i)
					w.fakes["c1"].User(bkt, key, "body")
					events = append(events, w.event("c1", key))
				}
				var asked atomic.Int64
				w.fakes[failing].SetFault(func(context.Context, string, string, string) error {
					asked.Add(1)
					return storage.ErrUnavailable
				})
				defer w.run(t.Context(), w.Intake.Run, w.Workers.Run)()
				if err := w.Intake.store(t.Context(), w.Intake.RowsFor(events)); err != nil {
					t.Fatal(err)
				}
				pass(per)
				// Two requests an object at most, and a few before it is known how it is.
				if got, most := asked.Load(), int64(2*per/(50*time.Millisecond)+20); got == 0 || got > most {
					t.Errorf("it was asked %d times in %v, want at most %d", got, per, most)
				}
				w.fakes[failing].SetFault(nil)
				pass(2 * retryMax)
				if w.b.len() != 0 || w.fakes["c2"].Contents(bkt)["k1999"] != "body" {
					t.Errorf("%d rows are left of %d", w.b.len(), objects)
				}
			})
		})
	}
}

// Where the bytes of some buckets may not pass through this instance, claims name those that may,
// some at a time and all in turn.
func TestClaimsNameWhatMayPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		defer w.sites.Close()
		const mine = 2*bucketsPerClaim + 10
		names := func(what string, n int) (all []string) {
			for i := range n {
				all = append(all, fmt.Sprintf("%s%04d", what, i))
			}
			return all
		}
		w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) {
			e.PutZone(&catalog.Zone{Name: "eu"})
			here := &catalog.Cluster{Name: "us", Zones: []string{}}
			here.Normalize()
			e.PutCluster(here)
			e.PutPolicy(&catalog.Policy{Name: "in-eu", Zones: []string{"eu"}})
			e.PutPolicy(&catalog.Policy{Name: "open"})
			for _, b := range names("mine", mine) {
				e.PutBucket(&catalog.Bucket{Name: b, Policy: "open"})
			}
			for _, b := range names("theirs", 10) {
				e.PutBucket(&catalog.Bucket{Name: b, Policy: "in-eu"})
			}
		}))
		for _, b := range append(names("mine", mine), names("theirs", 10)...) {
			w.router.Pending.Add(b, "k", "c2")
		}
		if buckets, all := w.Workers.passing("c2"); !all || buckets != nil {
			t.Errorf("nobody says where this instance is: all %v, %d named", all, len(buckets))
		}
		w.router.Swap(w.router.Snapshot().Edit(func(e *routing.Editor) { e.SetHere("us") }))
		if _, err := w.Workers.claim(t.Context(), "c2", 1000); err != nil {
			t.Fatal(err)
		}
		if len(w.b.named) != 3 {
			t.Fatalf("%d claims, want 3", len(w.b.named))
		}
		if got := slices.Concat(w.b.named...); !slices.Equal(got, names("mine", mine)) {
			t.Errorf("the claims named %d buckets, %q to %q", len(got), got[0], got[len(got)-1])
		}
		w.b.named = nil
		for _, b := range names("mine", mine) {
			w.router.Pending.Remove(b, "k", "c2")
		}
		if rows, err := w.Workers.claim(t.Context(), "c2", 1000); err != nil || len(rows) > 0 || w.b.named != nil {
			t.Errorf("nothing may pass: %d rows, %v, claims of %q", len(rows), err, w.b.named)
		}
	})
}
