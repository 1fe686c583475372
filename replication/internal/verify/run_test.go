package verify

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What differs by the listings becomes rows, which workers settle; the verification ends
// when that is done.
func TestListings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b", "c", "d")
	w.fakes["c2"].UserDelete(bkt, "a")
	w.fakes["c2"].User(bkt, "b", "another size")
	w.fakes["c3"].User(bkt, "extra", "not at the primary")
	w.run(w.Run, w.work)
	v := w.ended(false)
	w.count(v, stateDone, 3, 3, 0)
	if v.Deep || v.Finished == nil || v.Error != "" {
		t.Errorf("%+v", v)
	}
	reasons := make(map[string]string)
	for _, m := range v.Keys {
		reasons[m.Key] = m.Reason
	}
	for key, want := range map[string]string{"a": "missing", "b": "12 bytes", "extra": "no such object"} {
		if !strings.Contains(reasons[key], want) {
			t.Errorf("%s: %q, want it to say %q", key, reasons[key], want)
		}
	}
	w.wantSame()
	// A second one finds nothing.
	w.count(w.ended(false), stateDone, 0, 0, 0)
	if n := w.fakes["c1"].readings("a"); n != 0 {
		t.Errorf("a verification of listings read bytes %d times", n)
	}
}

// A request that wants the bytes read, of a verification that is under way with the listings
// alone, is honoured to the last moment before the outcome is stored.
func TestJoinedDeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	w.fakes["c2"].rot("a", "rotten!!!") // as long as it was, and listed as it was
	_, err := w.Request(t.Context(), bkt, false)
	w.must(err)
	c := w.next()
	w.must(running{w.Verifier, c}.attempt(t.Context())) // everything is done, and only the outcome is to be noted
	v, err := w.Request(t.Context(), bkt, true)
	w.must(err)
	if !v.Deep || w.find(bkt) != c {
		t.Fatalf("it was not joined: %+v", v)
	}
	if w.Verifier.ended(t.Context(), c, stateDone, nil) {
		t.Fatal("it ended without reading the bytes")
	}
	w.run(w.work)
	running{w.Verifier, c}.run(t.Context())
	v, err = w.Get(t.Context(), bkt)
	w.must(err)
	w.count(v, stateDone, 1, 1, 0)
	if !v.Deep || w.fakes["c2"].readings("b") == 0 {
		t.Errorf("the bytes were not read: %+v", v)
	}
}

// A request that comes while the outcome is being stored begins another verification, after
// it.
func TestJoinTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	c, err := w.join(t.Context(), bkt, false)
	w.must(err)
	if again, err := w.join(t.Context(), bkt, false); err != nil || again != c {
		t.Fatalf("another one is under way: %v", err)
	}
	if !w.close(c, stateDone) {
		t.Fatal("it can't be closed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.join(ctx, bkt, true); !errors.Is(err, context.Canceled) {
		t.Errorf("joined: %v", err)
	}
	joined := make(chan *current, 1)
	go func() {
		again, err := w.join(t.Context(), bkt, true)
		if err != nil {
			t.Error(err)
		}
		joined <- again
	}()
	w.Verifier.ended(t.Context(), c, stateDone, nil)
	if again := <-joined; again == c || !again.deep() || w.find(bkt) != again {
		t.Error("it joined what had come to its end")
	}
	if c.deep() {
		t.Error("what had come to its end was changed")
	}
}

// A verification ends by the steps it has done: one that failed can be ended deep or not.
func TestClose(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		how            string
		deep, deepSeen bool
		want           bool
	}{
		{stateDone, false, false, true},
		{stateDone, true, true, true},
		{stateDone, true, false, false},
		{stateFailed, true, false, true},
	} {
		v, c := New(Options{}), newCurrent(state.Verification{Deep: tc.deep})
		c.deepSeen = tc.deepSeen
		if got := v.close(c, tc.how); got != tc.want || c.closing != tc.want {
			t.Errorf("%+v: closed %v", tc, got)
		}
	}
}

// Bytes that rotted at a copy are written again from the primary, and those that rotted at
// the primary from a copy that proves to have what was written.
func TestRot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b", "c")
	w.fakes["c2"].rot("a", "rotten!!!")
	w.fakes["c1"].rot("b", "rotten!!!")
	w.run(w.Run, w.work)
	w.count(w.ended(true), stateDone, 2, 2, 0)
	w.count(w.ended(true), stateDone, 0, 0, 0)
	w.wantSame()
}

// An object that is written, and copied, while it is read is no mismatch: what was read first is
// what was there before.
func TestWrittenWhileRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	var once sync.Once
	w.fakes["c1"].onRead = func(key string) {
		once.Do(func() {
			for _, f := range w.fakes {
				f.User(bkt, key, "written later")
			}
		})
	}
	w.run(w.Run, w.work)
	w.count(w.ended(true), stateDone, 0, 0, 0)
	if w.fakes["c2"].readings("a") == 0 {
		t.Error("the copy was not read: the test shows nothing")
	}
}

// Where nothing tells which side is right, both stay as they are, and the bucket's status
// says so until a later verification finds it well.
func TestUnrepairable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	for _, f := range w.fakes {
		f.proofs = false
	}
	w.fakes["c2"].rot("a", "rotten!!!")
	w.run(w.Run, w.work)
	v := w.ended(true)
	w.count(v, stateDone, 1, 0, 1)
	if issues := w.ctl.Issues.List(10)[bkt]; len(issues) != 1 || !strings.Contains(issues[0].Reason, "could not be repaired") || issues[0].Code != control.ReasonDamaged {
		t.Errorf("issues %+v", issues)
	}
	if last, err := Last(t.Context(), w.o.Records, bkt); err != nil || len(last.Keys) != 1 || last.Unrepairable != 1 {
		t.Errorf("the store keeps %+v, %v", last, err)
	}
	w.fakes["c2"].heal("a")
	w.count(w.ended(true), stateDone, 0, 0, 0)
	if issues := w.ctl.Issues.List(10)[bkt]; len(issues) != 0 {
		t.Errorf("issues %+v after it was found well", issues)
	}
}

// A step that is resumed counts nothing twice, neither objects nor what was found to be
// beyond repair.
func TestResume(t *testing.T) {
	t.Parallel()
	keys := []string{"a", "b", "c", "d", "e", "f"}
	w := newWorld(t, keys...)
	for _, f := range w.fakes {
		f.proofs = false
	}
	w.fakes["c2"].rot("b", "rotten!!!") // found beyond a, which can't be read yet
	var fails atomic.Int32
	w.fakes["c1"].SetFault(func(_ context.Context, op, _, key string) error {
		if op == "stat" && key == "a" && fails.Add(1) <= 3 {
			return storage.ErrUnavailable
		}
		return nil
	})
	w.run(w.Run, w.work)
	v := w.ended(true)
	w.count(v, stateDone, 1, 0, 1)
	if fails.Load() <= 3 {
		t.Fatal("it was never resumed: the test shows nothing")
	}
	// Each key is counted by two listings and one reading.
	if want := int64(3 * len(keys)); v.Objects != want {
		t.Errorf("%d objects were compared, want %d", v.Objects, want)
	}
}

// What is under way when the process ends goes on with the next one, where it was.
func TestRestart(t *testing.T) {
	t.Parallel()
	keys := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	w := newWorld(t, keys...)
	w.fakes["c2"].UserDelete(bkt, "a")
	stopAt, over := make(chan struct{}), make(chan struct{})
	w.fakes["c1"].onRead = func(key string) {
		if key == "h" {
			close(stopAt)
			<-over
		}
	}
	stop := w.run(w.Run)
	_, err := w.Request(t.Context(), bkt, true)
	w.must(err)
	<-stopAt
	w.fakes["c1"].mu.Lock()
	w.fakes["c1"].onRead = nil
	w.fakes["c1"].mu.Unlock()
	go func() { time.Sleep(10 * time.Millisecond); close(over) }()
	stop()
	w.Verifier = New(w.o)
	w.run(w.Run, w.work)
	v := w.awaitDone() // it may be over before it is seen running
	w.count(v, stateDone, 1, 1, 0)
	if want := int64(3 * len(keys)); v.Objects < want-1 || v.Objects > want {
		t.Errorf("%d objects were compared, want %d", v.Objects, want)
	}
	if n := w.fakes["c1"].readings("a"); n != 1 {
		t.Errorf("what was read before the restart was read %d times", n)
	}
}

// A bucket that is gone ends its verification; one that never had one says so.
func TestGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	if v, err := w.Get(t.Context(), "another"); err != nil || v.State != stateNever || v.Keys == nil {
		t.Errorf("never verified: %+v, %v", v, err)
	}
	_, err := w.Request(t.Context(), "unknown", false)
	w.must(err)
	if list := w.List(); len(list) != 1 || list[0].State != stateWaiting {
		t.Errorf("listed %+v", list)
	}
	w.run(w.Run)
	c := w.find("unknown")
	if c != nil {
		<-c.gone
	}
	if v, err := w.Get(t.Context(), "unknown"); err != nil || v.State != stateFailed {
		t.Errorf("of an unknown bucket: %+v, %v", v, err)
	}
}

// What became of a repair is told by its row.
func TestRepairOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	ref := ids.ObjectIn(bkt, "a", "c2")
	for _, tc := range []struct {
		row  *state.Pending
		want string
	}{
		{nil, repaired},
		{&state.Pending{}, ""},
		{&state.Pending{Attempts: stubborn - 1}, ""},
		{&state.Pending{Attempts: stubborn, Error: "why"}, unrepairable},
		{&state.Pending{Hold: state.HoldConflict, Error: "why"}, unrepairable},
	} {
		if tc.row != nil {
			w.must(w.ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "a", Cluster: "c2", Since: time.Now()}))
			claimed, err := w.ctl.Pending.ClaimIn(t.Context(), "c2", 1, time.Minute)
			w.must(err)
			if len(claimed) != 1 {
				t.Fatalf("claimed %+v", claimed)
			}
			r := claimed[0]
			r.Attempts, r.Hold, r.Error, r.NextAttempt = tc.row.Attempts, tc.row.Hold, tc.row.Error, time.Now().Add(time.Hour)
			w.must(w.ctl.Pending.Fail(t.Context(), r))
		}
		if got, _, err := (running{w.Verifier, nil}).repairOf(t.Context(), ref); err != nil || got != tc.want {
			t.Errorf("%+v: %q, %v; want %q", tc.row, got, err, tc.want)
		}
	}
}

// The scrub verifies every bucket, one after the other, and goes on behind the last one
// after a restart.
func TestScrub(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	for _, b := range []string{"bk1", "bk2"} {
		w.apply(&catalog.Bucket{Name: b, Policy: "p", Primary: "c1"})
	}
	stop := w.run(w.Run)
	st := state.Scrub{Last: time.Now(), Running: true, After: "bk1"}
	if !w.scrubPass(t.Context(), &st) || st.Running || st.After != "" {
		t.Errorf("the pass ended with %+v", st)
	}
	for bucket, want := range map[string]bool{"bk1": false, "bk2": true, bkt: true} {
		v, err := w.Get(t.Context(), bucket)
		w.must(err)
		if got := v.State != stateNever; got != want {
			t.Errorf("%s: verified %v, want %v", bucket, got, want)
		}
	}
	stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	st = state.Scrub{Running: true}
	if w.scrubPass(ctx, &st) {
		t.Error("a pass that was cut is through")
	}
	if _, err := w.loadScrub(t.Context()); err != nil {
		t.Error(err)
	}
}

// An object that was written again with the same content and other headers, unnoticed, is found by
// reading it, told of, and brought in step.
func TestOtherHeadersAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	w.fakes["c1"].Describe(bkt, "a", "text/html")
	w.run(w.Run, w.work)
	v := w.ended(true)
	w.count(v, stateDone, 2, 2, 0)
	for _, m := range v.Keys {
		if m.Key != "a" || m.Reason == "" {
			t.Errorf("found %+v", m)
		}
	}
	for _, c := range []string{"c2", "c3"} {
		if got := w.fakes[c].Attributes(bkt, "a"); got != "text/html" {
			t.Errorf("%s has the headers %q", c, got)
		}
	}
	w.count(w.ended(true), stateDone, 0, 0, 0)
}
