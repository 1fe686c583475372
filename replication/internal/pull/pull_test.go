package pull

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func TestOneCopyHoweverManyAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if err := w.Pull(t.Context(), planFor("k", "c2", "c3")); err != nil {
				t.Error(err)
			}
			if !w.o.current(in("c2", "k")) {
				t.Error("not there after the wait")
			}
		})
	}
	wg.Wait()
	if n := w.put.Load(); n != 1 {
		t.Errorf("%d copies", n)
	}
	rows := w.pulledRows("c2")
	if k := rows["k"]; len(rows) != 2 || k.Size != 3 || k.ETag == "" || w.fakes["c2"].Contents(bkt)["k"] != "one" {
		t.Errorf("rows %+v", rows)
	}
	if w.counts.of("copied") != 1 {
		t.Errorf("counted: %v", w.counts.by)
	}
}

// What can't be put on record is not copied.
func TestUnrecordedIsNotCopied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	why := errors.New("no record")
	w.unrecorded.Store(&why)
	if err := w.Pull(t.Context(), planFor("k", "c2")); !errors.Is(err, why) || w.put.Load() != 0 || w.fakes["c2"].Contents(bkt)["k"] != "" {
		t.Errorf("%v, %d copies, %v", err, w.put.Load(), w.fakes["c2"].Contents(bkt))
	}
}

// Who comes while an object is on its way takes part in its pull.
func TestJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	hold := make(chan struct{})
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" {
			<-hold
		}
		return nil
	})
	_, first, err := w.starter.join(planFor("k", "c2", "c3"), []string{"c2", "c3"})
	w.must(err)
	cluster, second, err := w.starter.join(planFor("k", "c3", "c2"), []string{"c3", "c2"})
	w.must(err)
	if cluster != "c2" || len(first) != 1 || len(second) != 1 || first[0] != second[0] {
		t.Errorf("in %s: %v, then %v", cluster, first, second)
	}
	close(hold)
	w.must(await(t.Context(), second))
}

func TestOffAndPaused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	w.pause.Set(true)
	wantErr(t, w.Pull(t.Context(), planFor("k", "c2")), errPaused)
	w.pause.Set(false)
	idle := New(w.o)
	wantErr(t, idle.Pull(t.Context(), planFor("k", "c2")), errOff)
	stop := w.loop(idle.Run)
	w.await("it runs", idle.starter.isOpen)
	w.must(idle.Pull(t.Context(), planFor("k", "c2")))
	stop()
	wantErr(t, idle.Pull(t.Context(), planFor("k", "c2")), errOff)
}

// What failed is not tried again right away, unless the catalogue changed; an object that
// the primary lacks is tried nowhere.
func TestBackoff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("c1", "c2", "c3")
	w.fakes["c1"].User(bkt, "k", "one")
	refused := storage.ErrDenied
	w.fail("c2", "put", refused)
	wantErr(t, w.Pull(t.Context(), planFor("k", "c2")), refused)
	w.fakes["c2"].SetFault(nil)
	n := w.put.Load()
	if err := w.Pull(t.Context(), planFor("k", "c2")); !errors.Is(err, refused) || !strings.Contains(err.Error(), "a moment ago") {
		t.Errorf("again: %v", err)
	}
	if w.put.Load() != n {
		t.Error("it was tried")
	}
	w.pull("k", "c2", "c3")
	if !w.o.current(in("c3", "k")) {
		t.Error("not in the next cluster")
	}
	w.ahead.Add(int64(w.o.Timing.Backoff))
	w.pull("k", "c2")

	wantErr(t, w.Pull(t.Context(), planFor("missing", "c2")), errGone)
	w.fakes["c1"].User(bkt, "missing", "came")
	wantErr(t, w.Pull(t.Context(), planFor("missing", "c3")), errGone)
	w.Changed()
	w.pull("missing", "c3")
}

// A failed pull takes back what it made; what can't be taken back keeps its row.
func TestFailedPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	w.fail("c2", "put", storage.ErrDenied)
	wantErr(t, w.Pull(t.Context(), planFor("k", "c2")), storage.ErrDenied)
	w.wantNothing("c2")

	w.Changed()
	var broken bool
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		broken = broken || op == "put"
		if broken {
			return storage.ErrDenied
		}
		return nil
	})
	wantErr(t, w.Pull(t.Context(), planFor("k", "c2")), storage.ErrDenied)
	rows := w.pulledRows("c2")
	if _, made := rows[""]; len(rows) != 2 || !made || rows["k"].ETag != "" {
		t.Errorf("rows %+v", rows)
	}
}

// The row is durable before the object is there.
func TestRowComesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		switch rows := w.pulledRows("c2"); op {
		case "ensure":
			if len(rows) != 2 {
				t.Errorf("when the bucket is made there are %v", rows)
			}
		case "put":
			if k, ok := rows["k"]; !ok || k.ETag != "" || w.o.current(in("c2", "k")) {
				t.Errorf("when the object is written there are %v", rows)
			}
		}
		return nil
	})
	w.pull("k", "c2")
}

func TestWaitEndsBeforeThePull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	begun, hold := make(chan struct{}), make(chan struct{})
	w.fakes["c2"].SetFault(func(ctx context.Context, op, _, _ string) error {
		if op != "put" {
			return nil
		}
		close(begun)
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return nil
	})
	left, leave := context.WithCancel(t.Context())
	go func() { <-begun; leave() }()
	wantErr(t, w.Pull(left, planFor("k", "c2")), context.Canceled)
	short := planFor("k", "c2")
	short.Timeout = time.Millisecond
	wantErr(t, w.Pull(t.Context(), short), context.DeadlineExceeded)
	if w.counts.of("timeout") > 1 || w.counts.of("copied") != 0 {
		t.Errorf("counted: %v", w.counts.by)
	}
	close(hold)
	w.await("it comes later", func() bool { return w.o.current(in("c2", "k")) })
}

func TestForeignObjectStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c2"].User(bkt, "k", "theirs")
	w.fakes["c1"].User(bkt, "k", "ours")
	wantErr(t, w.Pull(t.Context(), planFor("k", "c2")), object.ErrConflict)
	if got := w.fakes["c2"].Contents(bkt); got["k"] != "theirs" || len(w.pulledRows("c2")) != 0 {
		t.Errorf("there are %v, rows %v", got, w.pulledRows("c2"))
	}
	w.has("l")
	if _, made := w.pulledRows("c2")[""]; made {
		t.Error("someone else's bucket counts as FaDO's")
	}
}

// A change during a pull is answered when nothing more is written there.
func TestPolicyChangeStopsAPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	wantErr(t, w.Pull(t.Context(), planFor("k", "c3")), guard.ErrForbidden)
	begun := make(chan struct{})
	w.fakes["c1"].SetFault(func(ctx context.Context, op, _, _ string) error {
		if op == "get" {
			close(begun)
			<-ctx.Done()
		}
		return ctx.Err()
	})
	outcome := make(chan error, 1)
	go func() { outcome <- w.Pull(t.Context(), planFor("k", "c2")) }()
	<-begun
	w.policy("c1", "c3")
	wantErr(t, <-outcome, guard.ErrForbidden)
	w.wantNothing("c2")
}

// An object that changes while it is copied is copied again.
func TestChangeWhileCopying(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	var once sync.Once
	w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" {
			once.Do(func() { w.fakes["c1"].User(bkt, "k", "two") })
		}
		return nil
	})
	w.pull("k", "c2")
	if got := w.fakes["c2"].Contents(bkt)["k"]; got != "two" {
		t.Errorf("%q is routed by", got)
	}
}

func TestLeastRecentlyUsedMakesRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	small := clusterOf("c2")
	small.Storage.Capacity = 2500 + 100
	w.apply(small)
	w.used.Store(100)
	for _, k := range []string{"a", "b", "c", "huge"} {
		w.fakes["c1"].User(bkt, k, strings.Repeat("x", 1000))
	}
	w.fakes["c1"].User(bkt, "huge", strings.Repeat("x", 2501))
	w.pull("a", "c2")
	w.pull("b", "c2")
	a := w.pulledRows("c2")["a"]
	a.UsedAt = a.UsedAt.Add(time.Minute)
	w.must(w.store.Pulls().TouchPulled(t.Context(), a))
	w.pull("c", "c2")
	if got := w.fakes["c2"].Contents(bkt); len(got) != 2 || got["b"] != "" {
		t.Errorf("there are %d objects", len(got))
	}
	wantErr(t, w.Pull(t.Context(), planFor("huge", "c2")), ErrNoRoom)
	if got := w.fakes["c2"].Contents(bkt); len(got) != 2 || w.counts.of("no_room") != 1 {
		t.Errorf("after it there are %d objects; counted: %v", len(got), w.counts.by)
	}
	w.policy("c1", "c2", "c3")
	w.pull("huge", "c2", "c3")
	if !w.o.current(in("c3", "huge")) {
		t.Error("not in the next best cluster")
	}
}

// A proper copy's object is waited for, not copied, unless nobody is at it.
func TestCopyIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	w.addCopy("c2", catalog.CopySynced)
	row := state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Since: w.now()}
	w.must(w.ctl.Pending.Add(t.Context(), row))
	outcome := make(chan error, 1)
	go func() { outcome <- w.Pull(t.Context(), planFor("k", "c2")) }()
	w.await("it is waited for", func() bool {
		w.starter.marks.mu.Lock()
		defer w.starter.marks.mu.Unlock()
		return len(w.starter.marks.pulls) == 1
	})
	rows, err := w.store.Queue().ListPending(t.Context(), state.PendingFilter{}, state.PendingKey{}, 1)
	w.must(err)
	w.must(w.ctl.Pending.Finish(t.Context(), state.PendingKey{Bucket: bkt, Key: "k", Cluster: "c2", Gen: rows[0].Gen}))
	w.must(<-outcome)
	if w.put.Load() != 0 || len(w.pulledRows("c2")) != 0 {
		t.Error("it was copied")
	}

	w.must(w.ctl.Pending.Add(t.Context(), row))
	rows, err = w.store.Queue().ListPending(t.Context(), state.PendingFilter{}, state.PendingKey{}, 1)
	w.must(err)
	rows[0].Attempts, rows[0].NextAttempt = 1, w.now().Add(time.Hour)
	w.must(w.ctl.Pending.Fail(t.Context(), rows[0]))
	wantErr(t, w.Pull(t.Context(), planFor("k", "c2")), errBehind)
}

// What was noticed before the pull is settled by it.
func TestPullFinishesPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fakes["c1"].User(bkt, "k", "one")
	w.must(w.ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Since: w.now()}))
	w.pull("k", "c2")
	if w.o.Router.Pending.Has(bkt, "k", "c2") {
		t.Error("it is still pending")
	}
}
