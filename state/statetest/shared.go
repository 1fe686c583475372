package statetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// SharedFixture is a store that two instances have open.
type SharedFixture struct {
	A, B state.Shared
	// Deafen makes an instance lose every notification, or hear again.
	Deafen func(s state.Shared, on bool)
	// Suspend stops an instance's signs of life and its maintenance, as a process that is
	// stopped does, until resume is called.
	Suspend func(s state.Shared) (resume func())
}

// RunShared exercises what the contract says of several instances. Leases should be
// short: tests wait for their end.
func RunShared(t *testing.T, open func(t *testing.T) SharedFixture) {
	for name, test := range map[string]func(*testing.T, SharedFixture){
		"Members":          testMembers,
		"AwaitSeen":        testAwaitSeen,
		"LeaseEnds":        testLeaseEnds,
		"ObjectChanges":    testObjectChanges,
		"VisibilityOrder":  testVisibilityOrder,
		"LostNotification": testLostNotification,
		"News":             testNews,
		"Latest":           testLatest,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func join(t tb, s state.Shared, node string) state.Member {
	t.Helper()
	return must(s.Instances().Join(ctx, node))(t)
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	bound, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return bound
}

func testMembers(t *testing.T, fx SharedFixture) {
	l, got, err := fx.A.Locks().TryLock(ctx, "before") // a lock makes no member
	ok(t, err)
	equal(t, "locked", got, true)
	equal(t, "members", len(must(fx.B.Instances().Members(ctx))(t)), 0)
	a, b := join(t, fx.A, "n"), join(t, fx.B, "n") // names need not be unique
	if a.ID() == b.ID() {
		t.Fatalf("two members are %q", a.ID())
	}
	select {
	case <-l.Lost():
		t.Error("joining lost the lock")
	default:
	}
	if _, err := fx.A.Instances().Join(ctx, "n"); err == nil {
		t.Error("one instance joined twice")
	}
	a.Seen(3, 4)
	a.Seen(2, 5) // never backwards
	ok(t, b.AwaitSeen(bounded(t), 3, 5))
	for _, m := range must(fx.B.Instances().Members(ctx))(t) {
		if m.ID == a.ID() {
			equal(t, "member", [3]any{m.Node, m.Changes, m.Objects}, [3]any{"n", state.Seq(3), state.Seq(5)})
		}
		if m.LeaseUntil.IsZero() {
			t.Errorf("%+v has no lease", m)
		}
	}
	ok(t, a.Leave(ctx))
	receive(t, a.Lost())
	receive(t, l.Lost())
	equal(t, "members", len(must(fx.B.Instances().Members(ctx))(t)), 1)
	_, got, err = fx.B.Locks().TryLock(ctx, "before")
	ok(t, err)
	equal(t, "taken after the other left", got, true)
	if again := join(t, fx.A, "n"); again.ID() == a.ID() {
		t.Error("a member that left came back under its former ID")
	}
}

func testAwaitSeen(t *testing.T, fx SharedFixture) {
	a := join(t, fx.A, "a")
	ok(t, a.AwaitSeen(bounded(t), 100, 100)) // alone
	b := join(t, fx.B, "b")
	waiting, cancel := context.WithCancel(ctx)
	cancel()
	isErr(t, a.AwaitSeen(waiting, 1, 1), context.Canceled)

	var wg sync.WaitGroup
	var mu sync.Mutex
	told := false
	for range 20 {
		wg.Go(func() {
			if err := a.AwaitSeen(bounded(t), 7, 9); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if !told {
				t.Error("the wait ended before b had seen the numbers")
			}
		})
	}
	b.Seen(7, 8) // not yet
	b.Seen(6, 9)
	mu.Lock()
	told = true // set before b is: the other way round would accuse the innocent
	mu.Unlock()
	b.Seen(7, 9)
	wg.Wait()

	resume := fx.Suspend(fx.B)
	defer resume()
	ok(t, a.AwaitSeen(bounded(t), 1000, 1000)) // until its lease has ended
	for _, m := range must(fx.A.Instances().Members(ctx))(t) {
		if m.ID == b.ID() {
			t.Errorf("%+v is a member though others go on without it", m)
		}
	}
	if now := time.Now(); now.Before(b.LeaseUntil()) {
		t.Errorf("the others went on %s before the end of the lease as its holder knows it", b.LeaseUntil().Sub(now))
	}
}

// What a member holds is taken over when its lease has ended, and it learns of that.
func testLeaseEnds(t *testing.T, fx SharedFixture) {
	a, b := join(t, fx.A, "a"), join(t, fx.B, "b")
	held, got, err := fx.A.Locks().TryLock(ctx, "planner")
	ok(t, err)
	equal(t, "taken", got, true)
	row := add(t, fx.A, pending("b", "k", "c1"))[0]
	equal(t, "claimed", len(must(fx.A.Queue().ClaimPending(ctx, a.ID(), 9, time.Hour, at(0)))(t)), 1)
	_, got, err = fx.B.Locks().TryLock(ctx, "planner")
	ok(t, err)
	equal(t, "taken while it is held", got, false)
	equal(t, "claimed while it is", len(must(fx.B.Queue().ClaimPending(ctx, b.ID(), 9, time.Hour, at(0)))(t)), 0)

	resume := fx.Suspend(fx.A)
	until := a.LeaseUntil()
	var mine []state.Pending
	eventually(t, "the lock and the claim are taken over", func() bool {
		if !got {
			_, got, err = fx.B.Locks().TryLock(ctx, "planner")
			ok(t, err)
			if got && time.Now().Before(until) {
				t.Fatal("the lock was taken before the lease had ended")
			}
		}
		mine = append(mine, must(fx.B.Queue().ClaimPending(ctx, b.ID(), 9, time.Hour, at(0)))(t)...)
		return got && len(mine) > 0
	})
	equal(t, "claimed", keyOf(mine[0]), keyOf(row))

	resume()
	receive(t, a.Lost())
	receive(t, held.Lost())
	equal(t, "lost", must(fx.A.Queue().ExtendClaims(ctx, a.ID(), at(9), keyOf(row)))(t), []state.PendingKey{keyOf(row)})
	ok(t, held.Unlock()) // of what it lost: nothing
	_, got, err = fx.A.Locks().TryLock(ctx, "planner")
	ok(t, err)
	equal(t, "taken back while b has it", got, false)
	again := join(t, fx.A, "a")
	if again.ID() == a.ID() {
		t.Error("a member that was lost came back under its former ID")
	}
	again.Seen(1, 1)
	ok(t, b.AwaitSeen(bounded(t), 1, 1))
}

func eventually(t tb, what string, f func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func objectChanges(t tb, s state.Shared, after state.Seq) (all []state.ObjectChange) {
	t.Helper()
	for _, c := range must(s.Instances().ObjectChanges(ctx, after, 0))(t) {
		if c.Seq <= after {
			t.Fatalf("number %d after %d", c.Seq, after)
		}
		after, c.Seq = c.Seq, 0
		all = append(all, c)
	}
	return all
}

func testObjectChanges(t *testing.T, fx SharedFixture) {
	a, b := fx.A, fx.B
	change := func(kind state.ObjectChangeKind, key string, gone bool) state.ObjectChange {
		return state.ObjectChange{Kind: kind, Bucket: "b", Key: key, Cluster: "c1", Gone: gone}
	}
	step := func(what string, f func(), want ...state.ObjectChange) {
		t.Helper()
		from := must(b.Instances().ObjectSeq(ctx))(t)
		f()
		equal(t, what, objectChanges(t, b, from), want)
		if to := must(b.Instances().ObjectSeq(ctx))(t); (to > from) != (len(want) > 0) {
			t.Errorf("%s: ObjectSeq went from %d to %d", what, from, to)
		}
	}
	var rows []state.Pending
	key := "k\x00\xff" // whatever bytes a storage lists
	step("added", func() { rows = add(t, a, pending("b", key, "c1")) }, change(state.ObjectPending, key, false))
	step("added again", func() { rows = add(t, a, pending("b", key, "c1")) }, change(state.ObjectPending, key, false))
	step("claimed, failed, retried", func() {
		claim(t, a, "n", 9, at(0))
		failed := rows[0]
		failed.Attempts, failed.Hold = 1, state.HoldConflict
		ok(t, a.Queue().FailPending(ctx, failed))
		must(a.Queue().Unhold(ctx, state.PendingFilter{}, at(0)))(t)
	})
	step("finished", func() { must(a.Queue().FinishPending(ctx, keyOf(rows[0])))(t) }, change(state.ObjectPending, key, true))
	step("finished again", func() { must(a.Queue().FinishPending(ctx, keyOf(rows[0])))(t) })
	step("pulled", func() { ok(t, a.Pulls().PutPulled(ctx, pulled("b", "k", "c1", 1, 1, 2))) }, change(state.ObjectPulled, "k", false))
	step("used", func() { ok(t, a.Pulls().TouchPulled(ctx, pulled("b", "k", "c1", 1, 5, 6))) })
	step("forgotten", func() { ok(t, a.Pulls().DeletePulled(ctx, state.PulledKey{Bucket: "b", Key: "k", Cluster: "c1"})) }, change(state.ObjectPulled, "k", true))
	put(t, a, record(catalog.KindBucket, "b", `{}`))
	add(t, a, pending("b", "x", "c1"))
	step("bucket deleted", func() {
		update(t, a, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, "b") })
	}, change(state.ObjectPending, "x", true))
	equal(t, "at most one", len(must(b.Instances().ObjectChanges(ctx, 0, 1))(t)), 1)
}

// Numbers become visible in their order: a reader that continues after the last number it
// saw misses nothing, however many write.
func testVisibilityOrder(t *testing.T, fx SharedFixture) {
	const writers, each = 8, 40
	done := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		s := []state.Shared{fx.A, fx.B}[w%2]
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%d-%d", w, i)
				if _, err := s.Queue().AddPending(ctx, pending("b", key, "c1"), pending("b", key, "c2")); err != nil {
					t.Error(err)
				}
				if _, err := s.Catalogue().Update(ctx, func(tx state.Tx) error { return tx.Put(record(catalog.KindZone, "z"+key, `{}`)) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	seenObjects, seenNames := map[string]bool{}, map[string]bool{}
	var objects, changes state.Seq
	for last := false; ; {
		for _, c := range must(fx.B.Instances().ObjectChanges(ctx, objects, 7))(t) {
			seenObjects[c.Key+" "+c.Cluster], objects = true, c.Seq
		}
		for _, c := range must(fx.A.ChangeLog().Changes(ctx, changes, 7))(t) {
			seenNames[c.Name], changes = true, c.Seq
		}
		if len(seenObjects) == 2*writers*each && len(seenNames) == writers*each {
			break
		}
		if last && objects == must(fx.B.Instances().ObjectSeq(ctx))(t) && changes == must(fx.A.ChangeLog().Seq(ctx))(t) {
			t.Fatalf("the reader reached the end with %d of %d objects and %d of %d changes",
				len(seenObjects), 2*writers*each, len(seenNames), writers*each)
		}
		select {
		case <-done:
			last = true
		default:
		}
	}
	<-done
}

func testLostNotification(t *testing.T, fx SharedFixture) {
	fx.Deafen(fx.B, true)
	ch := fx.B.ChangeLog().Watch(ctx)
	for name, commit := range map[string]func(){
		"Update":     func() { put(t, fx.A, record(catalog.KindZone, "z", `{}`)) },
		"AddPending": func() { add(t, fx.A, pending("b", "k", "c1")) },
		"PutMeta":    func() { ok(t, fx.A.Facts().PutMeta(ctx, "paused", "yes")) },
	} {
		// What an earlier commit left to be found has to be found first.
		for quiet := false; !quiet; {
			select {
			case <-ch:
			case <-time.After(1500 * time.Millisecond):
				quiet = true
			}
		}
		commit()
		if !receive(t, ch) {
			t.Fatalf("%s: the channel is closed", name)
		}
	}
	a, b := join(t, fx.A, "a"), join(t, fx.B, "b")
	a.Seen(5, 5)
	ok(t, b.AwaitSeen(bounded(t), 5, 5))
}

// testNews: what an instance waits for of another is told, each kind to those who asked for
// it, and members that come or go to all.
func testNews(t *testing.T, fx SharedFixture) {
	locks, reports := fx.B.Instances().News(bounded(t), state.NewsLocks), fx.B.Instances().News(bounded(t), state.NewsReports)
	told := func(what string, ch <-chan struct{}) {
		t.Helper()
		select {
		case _, open := <-ch:
			equal(t, what+" is open", open, true)
		case <-bounded(t).Done():
			t.Fatalf("%s: nothing is told", what)
		}
	}
	join(t, fx.A, "a")
	told("locks, a member", locks)
	told("reports, a member", reports)
	l, got, err := fx.A.Locks().TryLock(ctx, "l")
	ok(t, err)
	equal(t, "locked", got, true)
	ok(t, fx.A.Reports().PutReport(ctx, "r", "body"))
	told("a report", reports)
	ok(t, l.Unlock())
	told("a lock given back", locks)
	eventually(t, "the lock free", func() bool {
		_, got, err := fx.B.Locks().TryLock(ctx, "l")
		return err == nil && got
	})
	ended, end := context.WithCancel(ctx)
	over := fx.B.Instances().News(ended, state.NewsLocks)
	end()
	for open := true; open; {
		select {
		case _, open = <-over:
		case <-bounded(t).Done():
			t.Fatal("the channel outlives its context")
		}
	}
}

// testLatest: the numbers are those of a moment ago, whether the store looks by itself or is
// asked.
func testLatest(t *testing.T, fx SharedFixture) {
	seq, err := fx.A.Catalogue().Update(ctx, func(tx state.Tx) error { return tx.Put(record(catalog.KindZone, "z", `{}`)) })
	ok(t, err)
	_, err = fx.A.Queue().AddPending(ctx, state.Pending{Bucket: "b", Key: "k", Cluster: "c"})
	ok(t, err)
	objects := must(fx.A.Instances().ObjectSeq(ctx))(t)
	eventually(t, "the numbers", func() bool {
		c, o, err := fx.B.Instances().Latest(ctx)
		return err == nil && c == seq && o == objects
	})
}
