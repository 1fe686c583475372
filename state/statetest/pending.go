package statetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func testAddPending(t *testing.T, fx Fixture) {
	s := fx.Store
	equal(t, "Gens of none", len(must(s.Queue().AddPending(ctx))(t)), 0)
	want := state.Pending{
		Bucket: "b", Key: "k", Cluster: "c1", Size: 1 << 40, Since: at(1), Attempts: 3, NextAttempt: at(9), Error: "why", Cause: "full",
		Hold: state.HoldConflict, Foreign: "e1 of then", Background: true,
	}
	given := want
	given.Gen, given.ClaimedBy, given.ClaimUntil = 99, "nobody", at(99) // not the caller's to say
	want.Gen = must(s.Queue().AddPending(ctx, given))(t)[0]
	equal(t, "row", onePending(t, s), want)

	drain(t, s)
	before := time.Now().Add(-time.Second)
	add(t, s, state.Pending{Bucket: "b", Key: "now", Cluster: "c1"})
	if since := onePending(t, s).Since; since.Before(before) || since.After(time.Now().Add(time.Second)) {
		t.Errorf("a zero Since became %v, want now", since)
	}

	drain(t, s)
	rows := make([]state.Pending, 2500)
	for i := range rows {
		rows[i] = pending("b", fmt.Sprintf("%04d", i), "c1")
	}
	rows = add(t, s, rows...)
	equal(t, "many rows", allPending(t, s), rows)
}

func testAddPendingAgain(t *testing.T, fx Fixture) {
	s := fx.Store
	first := add(t, s, state.Pending{Bucket: "b", Key: "k", Cluster: "c1", Size: 100, Since: at(1), Background: true})[0]
	other := add(t, s, pending("b", "k", "c2"))[0]
	equal(t, "claimed", len(claim(t, s, "n", 9, at(5))), 2)
	first.Attempts, first.NextAttempt, first.Error, first.Cause, first.Hold, first.Foreign = 2, at(100), "why", "conflict", state.HoldConflict, "e1 of then"
	ok(t, s.Queue().FailPending(ctx, first))

	// Twice in one call, which raises the Gen twice.
	gens := must(s.Queue().AddPending(ctx,
		state.Pending{Bucket: "b", Key: "k", Cluster: "c1", Size: 50, Since: at(7)},
		state.Pending{Bucket: "b", Key: "k", Cluster: "c1", Size: 70, Since: at(8), Background: true}))(t)
	if gens[0] <= first.Gen || gens[1] <= gens[0] {
		t.Errorf("Gens went %d, %v: every AddPending raises them", first.Gen, gens)
	}
	want := state.Pending{Bucket: "b", Key: "k", Cluster: "c1", Gen: gens[1], Size: 100, Since: at(1), Foreign: "e1 of then"}
	rows := allPending(t, s)
	equal(t, "row added again", rows[0], want)
	equal(t, "the other row's Gen and claim", [2]any{rows[1].Gen, rows[1].ClaimedBy}, [2]any{other.Gen, "n"})
	equal(t, "claimed again", keyOf(claim(t, s, "m", 9, at(5))[0]), keyOf(want))

	held := add(t, s, state.Pending{Bucket: "b", Key: "k", Cluster: "c1", Size: 200, Hold: state.HoldDeletes, Error: "breaker", Attempts: 1, NextAttempt: at(3), Foreign: "e2 of then"})[0]
	held.Since = at(1)
	equal(t, "row added with a hold", allPending(t, s)[0], held)
}

// A worker that finishes late must not remove the row of a newer change, not even when
// the row it worked on had gone in between.
func testGensAreNeverReused(t *testing.T, fx Fixture) {
	s := fx.Store
	old := add(t, s, pending("b", "k", "c1"))[0]
	must(s.Queue().FinishPending(ctx, keyOf(old)))(t)
	fresh := add(t, s, pending("b", "k", "c1"))[0]
	equal(t, "removed", must(s.Queue().FinishPending(ctx, keyOf(old)))(t), []bool{false})
	equal(t, "row", onePending(t, s), fresh)
}

func testClaimOrder(t *testing.T, fx Fixture) {
	s := fx.Store
	row := func(key string, since, next int, background bool) state.Pending {
		p := pending("b", key, "c1")
		p.Since, p.Background = at(since), background
		if next != 0 {
			p.NextAttempt = at(next)
		}
		return p
	}
	hold := row("held", 1, 0, false)
	hold.Hold = state.HoldConflict
	add(t, s, hold,
		row("background old", 2, 0, true), row("live young", 50, 0, false), row("live retry", 3, 40, false),
		row("live later", 4, 102, false), row("live since later", 101, 0, false), row("background young", 30, 0, true),
		row("live old", 20, 0, false), row("background later", 5, 200, true))

	equal(t, "claims of none", len(claim(t, s, "n", 0, at(100))), 0)
	got := claim(t, s, "n", 2, at(100))
	equal(t, "first two", keysOf(got), []string{"live old", "live retry"})
	equal(t, "claim", [2]any{got[0].ClaimedBy, got[0].ClaimUntil}, [2]any{"n", at(100).Add(time.Minute)})
	equal(t, "next two", keysOf(claim(t, s, "m", 2, at(100))), []string{"live young", "background old"})
	equal(t, "the rest", keysOf(claim(t, s, "m", 9, at(100))), []string{"background young"})
	equal(t, "nothing left", len(claim(t, s, "m", 9, at(100))), 0)
	equal(t, "due at that very moment", keysOf(claim(t, s, "m", 1, at(101))), []string{"live since later"})
}

func testClaimIn(t *testing.T, fx Fixture) {
	s := fx.Store
	for i, cluster := range []string{"c1", "c2", "c1", "c2"} {
		p := pending("b", fmt.Sprint(cluster, " ", i), cluster)
		p.Since, p.Background = at(i), i == 0
		add(t, s, p)
	}
	in := func(cluster string, n int) []string {
		return keysOf(must(s.Queue().ClaimPendingIn(ctx, "n", cluster, n, time.Minute, at(100)))(t))
	}
	other := pending("other", "k", "c2")
	other.Since = at(0)
	add(t, s, other)
	of := func(cluster string, n int, among ...string) []string {
		return keysOf(must(s.Queue().ClaimPendingIn(ctx, "n", cluster, n, time.Minute, at(100), among...))(t))
	}
	equal(t, "of a bucket that has none", len(of("c2", 9, "none")), 0)
	equal(t, "of one bucket of two", of("c2", 1, "none", "b"), []string{"c2 1"})
	ok(t, s.Queue().ReleaseClaims(ctx, "n"))
	equal(t, "of two buckets, the longest due first", of("c2", 2, "b", "other"), []string{"k", "c2 1"})
	ok(t, s.Queue().ReleaseClaims(ctx, "n"))
	equal(t, "of one bucket, live before background", of("c1", 9, "b"), []string{"c1 2", "c1 0"})
	ok(t, s.Queue().ReleaseClaims(ctx, "n"))
	equal(t, "of the other bucket", of("c2", 9, "other"), []string{"k"})
	equal(t, "of c2, live before background", in("c2", 1), []string{"c2 1"})
	equal(t, "of c1", in("c1", 9), []string{"c1 2", "c1 0"})
	equal(t, "of none such", len(in("c3", 9)), 0)
	equal(t, "the rest of any", keysOf(claim(t, s, "m", 9, at(100))), []string{"c2 3"})
}

func testClaimsRunOut(t *testing.T, fx Fixture) {
	s := fx.Store
	for i, key := range []string{"a", "b", "c"} {
		p := pending("b", key, "c1")
		p.Since = at(i)
		add(t, s, p)
	}
	equal(t, "claimed", keysOf(must(s.Queue().ClaimPending(ctx, "n", 2, 10*time.Millisecond, at(100)))(t)), []string{"a", "b"})
	equal(t, "not yet run out", keysOf(claim(t, s, "m", 1, at(109))), []string{"c"})
	must(s.Queue().ClaimPending(ctx, "m", 0, 0, at(0)))(t)
	// Run out, "a" and "b" stand in line by when they were due, before younger rows.
	late := pending("b", "d", "c1")
	late.Since = at(50)
	add(t, s, late)
	equal(t, "run out", keysOf(claim(t, s, "m", 9, at(110))), []string{"a", "b", "d"})

	ok(t, s.Queue().ReleaseClaims(ctx, "n")) // has none left
	equal(t, "another node's claims stay", len(claim(t, s, "x", 9, at(111))), 0)
	ok(t, s.Queue().ReleaseClaims(ctx, "m"))
	equal(t, "released", keysOf(claim(t, s, "x", 9, at(111))), []string{"a", "b", "c", "d"})
}

// Many claim and finish at the same time; every row must be worked on once.
func testClaimsDontOverlap(t *testing.T, fx Fixture) {
	const rows, nodes = 400, 8
	stores := []state.Store{fx.Store}
	if fx.Another != nil {
		other := fx.Another()
		defer func() { ok(t, other.Close()) }()
		stores = append(stores, other)
	}
	for i := range rows {
		add(t, stores[0], pending("b", fmt.Sprint(i), "c1"))
	}
	var mu sync.Mutex
	worked := map[string]int{}
	var wg sync.WaitGroup
	for n := range nodes {
		s := stores[n%len(stores)]
		wg.Go(func() {
			for {
				got, err := s.Queue().ClaimPending(ctx, fmt.Sprint("node", n), 7, time.Hour, at(0))
				if err != nil || len(got) == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				for _, p := range got {
					worked[p.Key]++
				}
				mu.Unlock()
				if n%2 == 0 { // the others keep theirs
					if _, err := s.Queue().FinishPending(ctx, keyOf(got[0])); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	equal(t, "rows worked on", len(worked), rows)
	for key, times := range worked {
		if times != 1 {
			t.Errorf("row %s was claimed %d times", key, times)
		}
	}
}

func testExtendClaims(t *testing.T, fx Fixture) {
	s := fx.Store
	rows := add(t, s, pending("b", "mine", "c1"), pending("b", "changed", "c1"), pending("b", "gone", "c1"), pending("b", "failed", "c1"))
	claim(t, s, "n", 9, at(0))
	add(t, s, pending("b", "changed", "c1"))
	must(s.Queue().FinishPending(ctx, keyOf(rows[2])))(t)
	ok(t, s.Queue().FailPending(ctx, rows[3]))
	keys := []state.PendingKey{keyOf(rows[0]), keyOf(rows[1]), keyOf(rows[2]), keyOf(rows[3])}
	until := at(0).Add(2 * time.Minute)
	equal(t, "lost", must(s.Queue().ExtendClaims(ctx, "n", until, keys...))(t), keys[1:])
	equal(t, "lost of none", len(must(s.Queue().ExtendClaims(ctx, "n", until))(t)), 0)
	equal(t, "another node's", must(s.Queue().ExtendClaims(ctx, "m", until, keys[0]))(t), keys[:1])

	free := func(now time.Time) []string { return keysOf(claim(t, s, "m", 9, now)) }
	equal(t, "free while it lasts", free(until.Add(-time.Millisecond)), []string{"changed", "failed"})
	equal(t, "free when it ran out", free(until), []string{"mine"})
	equal(t, "lost to m", must(s.Queue().ExtendClaims(ctx, "n", until, keys[0]))(t), keys[:1])
}

func testFinishPending(t *testing.T, fx Fixture) {
	s := fx.Store
	rows := add(t, s, pending("b", "done", "c1"), pending("b", "moved", "c1"), pending("b", "twice", "c1"))
	claim(t, s, "n", 9, at(0))
	add(t, s, pending("b", "moved", "c1"))
	equal(t, "finished of none", len(must(s.Queue().FinishPending(ctx))(t)), 0)
	equal(t, "finished", must(s.Queue().FinishPending(ctx, keyOf(rows[0]), keyOf(rows[1]), keyOf(rows[2]), keyOf(rows[2])))(t),
		[]bool{true, false, true, true})
	equal(t, "left", keysOf(allPending(t, s)), []string{"moved"})

	got := claim(t, s, "m", 9, at(0))
	equal(t, "free to be claimed", keysOf(got), []string{"moved"})
	equal(t, "finished for the old Gen", must(s.Queue().FinishPending(ctx, keyOf(rows[1])))(t), []bool{false})
	equal(t, "m keeps its claim", onePending(t, s), got[0])
	equal(t, "finished", must(s.Queue().FinishPending(ctx, keyOf(got[0])))(t), []bool{true})
	equal(t, "left", len(allPending(t, s)), 0)
}

func testFailPending(t *testing.T, fx Fixture) {
	s := fx.Store
	rows := add(t, s, pending("b", "again", "c1"), pending("b", "conflict", "c1"), pending("b", "moved", "c1"), pending("b", "other", "c1"))
	claim(t, s, "n", 9, at(0))
	moved := add(t, s, pending("b", "moved", "c1"))[0]
	again, conflict := rows[0], rows[1]
	again.Attempts, again.NextAttempt, again.Error, again.Cause = 1, at(500), "refused", state.CauseRefused
	conflict.Hold, conflict.Foreign, conflict.Error = state.HoldConflict, "e1 of then", "not FaDO's"
	old := rows[2]
	old.Attempts, old.Error = 5, "of the old Gen"
	gone := pending("b", "gone", "c1")
	ok(t, s.Queue().FailPending(ctx, again, conflict, old, gone))
	ok(t, s.Queue().FailPending(ctx))

	left := allPending(t, s)
	equal(t, "failed and held rows", left[:2], []state.Pending{again, conflict})
	equal(t, "row that moved on", left[2], moved)
	equal(t, "row not named", [2]any{left[3].Key, left[3].ClaimedBy}, [2]any{"other", "n"})
	equal(t, "claims before it is due", keysOf(claim(t, s, "m", 9, at(499))), []string{"moved"})
	equal(t, "claims when it is due", keysOf(claim(t, s, "m", 9, at(500))), []string{"again"})

	// Who did not know that the object there is foreign does not take that back.
	unaware := conflict
	unaware.Hold, unaware.Foreign, unaware.Error = state.HoldNone, "", "refused"
	ok(t, s.Queue().FailPending(ctx, unaware))
	unaware.Foreign = "e1 of then"
	equal(t, "failed, unaware", allPending(t, s)[1], unaware)
	unaware.Foreign = "e2 of then"
	ok(t, s.Queue().FailPending(ctx, unaware))
	equal(t, "failed, of another", allPending(t, s)[1], unaware)
}

func testRetryAndUnhold(t *testing.T, fx Fixture) {
	s := fx.Store
	fail := func(bucket, key, cluster string, attempts int, next time.Time, hold state.Hold) {
		p := add(t, s, pending(bucket, key, cluster))[0]
		p.Attempts, p.NextAttempt, p.Hold, p.Error = attempts, next, hold, "why"
		ok(t, s.Queue().FailPending(ctx, p))
	}
	later, now := at(10_000), at(100)
	fail("a", "1", "c1", 1, later, state.HoldNone)
	fail("a", "2", "c2", 2, later, state.HoldNone)
	fail("b", "3", "c1", 1, at(50), state.HoldNone) // due already, and stays so
	fail("a", "4", "c1", 1, later, state.HoldConflict)
	fail("a", "5", "c2", 0, later, state.HoldDeletes)
	fail("b", "6", "c1", 0, later, state.HoldConflict)
	fail("a", "7", "c1", 0, later, state.HoldNone) // waits, but has not failed

	conflict := state.HoldConflict
	equal(t, "retried: held", must(s.Queue().RetryPending(ctx, state.PendingFilter{Hold: &conflict}, now))(t), 0)
	equal(t, "retried: a, c2", must(s.Queue().RetryPending(ctx, state.PendingFilter{Bucket: "a", Cluster: "c2"}, now))(t), 1)
	equal(t, "due", keysOf(claim(t, s, "n", 9, now)), []string{"3", "2"})
	equal(t, "retried: all", must(s.Queue().RetryPending(ctx, state.PendingFilter{}, now))(t), 3)
	equal(t, "due", keysOf(claim(t, s, "n", 9, now)), []string{"1"})
	equal(t, "attempts and errors stay", [2]any{allPending(t, s)[1].Attempts, allPending(t, s)[1].Error}, [2]any{2, "why"})

	equal(t, "unheld: c2 conflicts", must(s.Queue().Unhold(ctx, state.PendingFilter{Cluster: "c2", Hold: &conflict}, now))(t), 0)
	equal(t, "unheld: b", must(s.Queue().Unhold(ctx, state.PendingFilter{Bucket: "b"}, now))(t), 1)
	equal(t, "due", keysOf(claim(t, s, "n", 9, now)), []string{"6"})
	equal(t, "unheld: conflicts", must(s.Queue().Unhold(ctx, state.PendingFilter{Hold: &conflict}, now))(t), 1)
	equal(t, "due", keysOf(claim(t, s, "n", 9, now)), []string{"4"})
	equal(t, "unheld: the rest", must(s.Queue().Unhold(ctx, state.PendingFilter{}, now))(t), 1)
	equal(t, "due", keysOf(claim(t, s, "n", 9, now)), []string{"5"})
	none := state.HoldNone
	equal(t, "unheld: none held", must(s.Queue().Unhold(ctx, state.PendingFilter{Hold: &none}, now))(t), 0)
	equal(t, "not failed, not retried", keysOf(claim(t, s, "n", 9, later)), []string{"7"})
}

func testListPending(t *testing.T, fx Fixture) {
	s := fx.Store
	var rows []state.Pending
	for _, b := range []string{"a", "b", "ba"} {
		for _, k := range []string{"k", "k ", "l"} {
			for _, c := range []string{"c1", "c2"} {
				p := pending(b, k, c)
				switch len(rows) % 4 {
				case 1:
					p.Hold = state.HoldConflict
				case 2:
					p.Hold, p.Attempts = state.HoldDeletes, 2
				case 3:
					p.Attempts, p.Gone = 1, "v1 v2"
				}
				rows = append(rows, p)
			}
		}
	}
	shuffled := slices.Clone(rows)
	slices.Reverse(shuffled)
	slices.Reverse(add(t, s, shuffled...))
	rows = shuffled

	none, conflict, deletes := state.HoldNone, state.HoldConflict, state.HoldDeletes
	for _, f := range []state.PendingFilter{
		{},
		{Bucket: "b"},
		{Cluster: "c1"},
		{Bucket: "ba", Cluster: "c2"},
		{Bucket: "none"},
		{Hold: &none},
		{Hold: &conflict},
		{Hold: &deletes},
		{Failed: true},
		{Gone: true},
		{Bucket: "a", Gone: true},
		{Failed: true, Hold: &none},
		{Failed: true, Hold: &deletes},
		{Bucket: "a", Hold: &deletes},
		{Bucket: "b", Cluster: "c2", Failed: true},
	} {
		want := matching(rows, f)
		equal(t, fmt.Sprintf("rows of %+v", f), must(s.Queue().ListPending(ctx, f, state.PendingKey{}, 0))(t), want)
		for _, limit := range []int{1, 2, 5} {
			equal(t, fmt.Sprintf("rows of %+v by pages of %d", f, limit), byPages(t, s, f, limit), want)
		}
		for _, after := range []state.PendingKey{{Bucket: "a", Key: "k!"}, {Bucket: "b"}, {Bucket: "b", Key: "k\x00"}, {Bucket: "b", Key: "k", Cluster: "c1"}, {Bucket: "z"}} {
			got := must(s.Queue().ListPending(ctx, f, after, 0))(t)
			left := slices.DeleteFunc(slices.Clone(want), func(p state.Pending) bool {
				return keyOf(p).Compare(after) <= 0
			})
			if len(got) != 0 || len(left) != 0 {
				equal(t, fmt.Sprintf("rows of %+v after %+v", f, after), got, left)
			}
		}
	}
	var streamed []state.Pending
	ok(t, s.Queue().EachPending(ctx, func(p state.Pending) error { streamed = append(streamed, p); return nil }))
	slices.SortFunc(streamed, comparePending)
	equal(t, "streamed", streamed, rows)
	isErr(t, s.Queue().EachPending(ctx, func(state.Pending) error { return errOfF }), errOfF)
}

func comparePending(a, b state.Pending) int {
	return keyOf(a).Compare(keyOf(b))
}

// matching is the contract of PendingFilter.
func matching(rows []state.Pending, f state.PendingFilter) (all []state.Pending) {
	for _, p := range rows {
		if (f.Bucket == "" || p.Bucket == f.Bucket) && (f.Cluster == "" || p.Cluster == f.Cluster) &&
			(f.Hold == nil || p.Hold == *f.Hold) && (!f.Failed || p.Attempts > 0 && p.Hold == state.HoldNone) && (!f.Gone || p.Gone != "") {
			all = append(all, p)
		}
	}
	return all
}

func byPages(t tb, s state.Store, f state.PendingFilter, limit int) (all []state.Pending) {
	t.Helper()
	var after state.PendingKey
	for {
		page := must(s.Queue().ListPending(ctx, f, after, limit))(t)
		all = append(all, page...)
		if len(page) == 0 {
			return all
		}
		if len(page) > limit {
			t.Fatalf("a page of %d rows, at most %d were asked for", len(page), limit)
		}
		after = keyOf(page[len(page)-1])
		after.Gen = 0 // the place, whatever the generation
	}
}

func testBacklogs(t *testing.T, fx Fixture) {
	s := fx.Store
	equal(t, "backlogs of nothing", len(must(s.Queue().Backlogs(ctx, ""))(t)), 0)
	equal(t, "total of nothing", must(s.Queue().BacklogTotal(ctx))(t), state.Backlog{})
	rows := add(t, s,
		state.Pending{Bucket: "b", Key: "1", Cluster: "c1", Size: 10, Since: at(5)},
		state.Pending{Bucket: "b", Key: "2", Cluster: "c1", Size: 20, Since: at(3), Hold: state.HoldDeletes},
		state.Pending{Bucket: "b", Key: "3", Cluster: "c1", Size: 30, Since: at(4), Hold: state.HoldConflict, Attempts: 1, Error: "held"},
		state.Pending{Bucket: "b", Key: "1", Cluster: "c2", Size: 40, Since: at(6)},
		state.Pending{Bucket: "a", Key: "1", Cluster: "c2", Size: 50, Since: at(7)})
	c1 := state.Backlog{Bucket: "b", Cluster: "c1", Objects: 3, Bytes: 60, Oldest: at(3), HeldDeletes: 1, OldestHeld: at(3), Conflicts: 1}
	c2 := state.Backlog{Bucket: "b", Cluster: "c2", Objects: 1, Bytes: 40, Oldest: at(6)}
	a := state.Backlog{Bucket: "a", Cluster: "c2", Objects: 1, Bytes: 50, Oldest: at(7)}
	equal(t, "all", must(s.Queue().Backlogs(ctx, ""))(t), []state.Backlog{a, c1, c2})
	equal(t, "of b", must(s.Queue().Backlogs(ctx, "b"))(t), []state.Backlog{c1, c2})
	equal(t, "of several", must(s.Queue().Backlogs(ctx, "b", "none", "a"))(t), []state.Backlog{a, c1, c2})
	equal(t, "of several without any", len(must(s.Queue().Backlogs(ctx, "none", "neither"))(t)), 0)
	equal(t, "of no bucket", len(must(s.Queue().Backlogs(ctx))(t)), 0)
	equal(t, "total", must(s.Queue().BacklogTotal(ctx))(t), state.Backlog{Objects: 5, Bytes: 150, Oldest: at(3), HeldDeletes: 1, Conflicts: 1})

	failed := rows[0]
	failed.Attempts, failed.Error, failed.Cause = 1, "refused", state.CauseRefused
	ok(t, s.Queue().FailPending(ctx, failed))
	c1.Failing, c1.Causes = 1, []state.FailingCause{{Cause: state.CauseRefused, Oldest: at(5), Error: "refused"}}
	equal(t, "one failed", must(s.Queue().Backlogs(ctx, "b"))(t), []state.Backlog{c1, c2})
	add(t, s, state.Pending{Bucket: "b", Key: "2", Cluster: "c1", Size: 25, Since: at(9)})
	c1.HeldDeletes, c1.OldestHeld, c1.Bytes = 0, time.Time{}, 65
	equal(t, "one added again", must(s.Queue().Backlogs(ctx, "b"))(t), []state.Backlog{c1, c2})
	must(s.Queue().FinishPending(ctx, keyOf(rows[0]), keyOf(rows[3])))(t)
	c1 = state.Backlog{Bucket: "b", Cluster: "c1", Objects: 2, Bytes: 55, Oldest: at(3), Conflicts: 1}
	equal(t, "two finished", must(s.Queue().Backlogs(ctx, "b"))(t), []state.Backlog{c1})
	drain(t, s)
	equal(t, "drained", len(must(s.Queue().Backlogs(ctx, ""))(t)), 0)
	equal(t, "total when drained", must(s.Queue().BacklogTotal(ctx))(t), state.Backlog{})
}

// The causes of failing rows are told each once, by its oldest row; those of held rows are not.
func testCauses(t *testing.T, fx Fixture) {
	s := fx.Store
	var rows []state.Pending
	for i, f := range []struct {
		cause state.Cause
		since int
		err   string
	}{
		{state.CauseRefused, 9, "refused later"},
		{state.CauseFull, 7, `no "space"`},
		{state.CauseRefused, 4, "refused\n\u20ac"},
		{"", 8, "of a former version"},
		{state.CauseDown, 1, "not failing"},
	} {
		p := state.Pending{Bucket: "b", Key: strconv.Itoa(i), Cluster: "c1", Since: at(f.since), Attempts: 1, Cause: f.cause, Error: f.err}
		if f.cause == state.CauseDown {
			p.Attempts = 0
		}
		rows = append(rows, p)
	}
	held := state.Pending{Bucket: "b", Key: "h", Cluster: "c1", Since: at(2), Attempts: 1, Hold: state.HoldDeletes, Cause: "held", Error: "held"}
	sooner := held
	sooner.Key, sooner.Since = "g", at(1)
	other := rows[1]
	other.Cluster = "c2"
	rows = add(t, s, append(rows, held, sooner, other)...)
	causes := func(what string, oldestHeld time.Time, want ...state.FailingCause) {
		t.Helper()
		logs := must(s.Queue().Backlogs(ctx, "b"))(t)
		equal(t, what, logs[0].Causes, want)
		equal(t, what+": held since", logs[0].OldestHeld, oldestHeld)
		equal(t, what+": in another cluster", logs[1].Causes, []state.FailingCause{{Cause: state.CauseFull, Oldest: at(7), Error: `no "space"`}})
	}
	unknown := state.FailingCause{Oldest: at(8), Error: "of a former version"}
	full := state.FailingCause{Cause: state.CauseFull, Oldest: at(7), Error: `no "space"`}
	refused := state.FailingCause{Cause: state.CauseRefused, Oldest: at(4), Error: "refused\n\u20ac"}
	causes("all", at(1), unknown, full, refused)
	rows[1].Cause, rows[1].Error = state.CauseRefused, "refused now"
	ok(t, s.Queue().FailPending(ctx, rows[1]))
	must(s.Queue().FinishPending(ctx, keyOf(rows[3]), keyOf(rows[6])))(t)
	causes("replaced and finished", at(2), refused)
	add(t, s, state.Pending{Bucket: "b", Key: rows[2].Key, Cluster: "c1"})
	equal(t, "cleared", must(s.Queue().ListPending(ctx, state.PendingFilter{Cluster: "c1"}, keyOf(rows[1]), 1))(t)[0].Cause, state.Cause(""))
	causes("added again", at(2), state.FailingCause{Cause: state.CauseRefused, Oldest: at(7), Error: "refused now"})
}

// legalKeys are keys S3 allows, in the order of their UTF-8 bytes.
func legalKeys() []string {
	keys := []string{
		"\x01", "\t tab", " ", "  two", "%", "%00", "%2F", "+", "//", "//x", "/", "/x", "a", "a ", "a/", "a//", "a//b", "a/b/", "a+b", "a%20b",
		"A", "~", "\x7f", "\u0080", "é", "e\u0301", "ÿ", "日本語/キー", "\ue000", "\uffff", "😀", "\U0010ffff",
		"'quote\"", "back\\slash", "new\nline", "{env.X}", "?", "?1", ":a", "$1", "; DROP TABLE pending", "%s", "_", "*", ".", "..", "../x",
		strings.Repeat("x", 1024), strings.Repeat("é", 512), strings.Repeat("😀", 256), strings.Repeat("/", 1024),
	}
	slices.Sort(keys)
	return keys
}

func testKeys(t *testing.T, fx Fixture) {
	s := fx.Store
	keys := legalKeys()
	for _, key := range slices.Backward(keys) {
		add(t, s, pending("b", key, "c1"))
		putCopies(t, s, state.Copy{Bucket: "b", Copy: catalog.Copy{Prefix: key, Cluster: "c1", Cursor: key}, ScanCursor: key})
	}
	got := allPending(t, s)
	equal(t, "keys in byte order", keysOf(got), keys)
	equal(t, "keys by pages", keysOf(byPages(t, s, state.PendingFilter{Bucket: "b"}, 3)), keys)
	for i, c := range must(s.Catalogue().CopiesOf(ctx, "b"))(t) {
		equal(t, "prefix and cursors", [3]string{c.Prefix, c.Cursor, c.ScanCursor}, [3]string{keys[i], keys[i], keys[i]})
	}
	claimed := claim(t, s, "n", len(keys), at(0))
	equal(t, "claimed", len(claimed), len(keys))
	var done []state.PendingKey
	for _, p := range claimed {
		done = append(done, keyOf(p))
	}
	equal(t, "lost", len(must(s.Queue().ExtendClaims(ctx, "n", at(9), done...))(t)), 0)
	must(s.Queue().FinishPending(ctx, done[1:]...))(t)
	equal(t, "left", onePending(t, s).Key, claimed[0].Key)
}

// testErrorsOfAnyBytes: what a storage answers is told whatever bytes it has, and does not keep the sums
// of its copy from being read.
func testErrorsOfAnyBytes(t *testing.T, fx Fixture) {
	s := fx.Store
	for i, text := range []string{"a\x00b", "a\xffb", "a\"b\\", "a\u2028\x1b\r\nb", "a\xed\xa0\x80b", "\ufffe\U0010ffff"} {
		p := state.Pending{Bucket: "b", Key: strconv.Itoa(i), Cluster: "c" + strconv.Itoa(i), Since: at(1), Attempts: 1, Cause: state.CauseRefused, Error: text}
		add(t, s, p)
	}
	logs := must(s.Queue().Backlogs(ctx, "b"))(t)
	for i, l := range logs {
		if len(l.Causes) != 1 || l.LastError() == "" || l.Causes[0].Cause != state.CauseRefused {
			t.Errorf("error %d: %+v", i, l)
		}
	}
	equal(t, "copies", len(logs), 6)
}
