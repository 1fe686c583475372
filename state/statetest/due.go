package statetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/state"
)

func testNextDue(t *testing.T, fx Fixture) {
	s := fx.Store
	equal(t, "of nothing", len(must(s.Queue().NextDue(ctx))(t)), 0)
	row := func(key, cluster string, since, next int, background bool) state.Pending {
		p := pending("b", key, cluster)
		p.Since, p.Background = at(since), background
		if next != 0 {
			p.NextAttempt = at(next)
		}
		return p
	}
	held := row("held", "c4", 1, 0, false)
	held.Hold = state.HoldConflict
	add(t, s, row("k1", "c1", 50, 0, false), row("k2", "c1", 40, 0, true), row("k3", "c2", 1, 90, false), row("k4", "c3", 7, 0, true), held)
	for i := range 50 {
		add(t, s, row(fmt.Sprint("more", i), "c1", 60+i, 0, i%2 == 0))
	}
	equal(t, "first of each cluster", must(s.Queue().NextDue(ctx))(t), map[string]time.Time{"c1": at(40), "c2": at(90), "c3": at(7)})
	got := must(s.Queue().ClaimPendingIn(ctx, "n", "c3", 9, time.Second, at(10)))(t)
	equal(t, "claimed", keysOf(got), []string{"k4"})
	equal(t, "until the claim runs out", must(s.Queue().NextDue(ctx))(t)["c3"], at(1010))
	must(s.Queue().FinishPending(ctx, keyOf(got[0])))(t)
	must(s.Queue().Unhold(ctx, state.PendingFilter{}, at(3)))(t)
	equal(t, "c3 done, c4 released", must(s.Queue().NextDue(ctx))(t), map[string]time.Time{"c1": at(40), "c2": at(90), "c4": at(3)})
}

// testDamagedAndCounted: what a row says of itself besides its error and its class.
func testDamagedAndCounted(t *testing.T, fx Fixture) {
	s := fx.Store
	flags := func() [3]bool {
		p := onePending(t, s)
		return [3]bool{p.Damaged, p.Counted, p.Background}
	}
	row := pending("b", "k", "c1")
	row.Counted, row.Background = true, true
	row = add(t, s, row)[0]
	equal(t, "found by a pass", flags(), [3]bool{false, true, true})
	found := row
	found.Damaged = true
	row = add(t, s, found)[0]
	equal(t, "found to be damaged", flags(), [3]bool{true, true, true})
	row.Attempts, row.Error, row.Damaged, row.Counted = 1, "the storage is down", false, false
	ok(t, s.Queue().FailPending(ctx, row))
	equal(t, "after a failed attempt", flags(), [3]bool{true, true, true})
	equal(t, "claimed", claim(t, s, "n", 1, at(9))[0].Damaged, true)
	add(t, s, pending("b", "k", "c1"))
	equal(t, "after a change by users", flags(), [3]bool{true, false, false})
	again := pending("b", "k", "c1")
	again.Counted = true
	add(t, s, again)
	equal(t, "found by a pass once more", flags(), [3]bool{true, false, false})
}
