package statetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/state"
)

// place names a row, whatever its generation.
type place struct{ bucket, key, cluster string }

func placeOf(p state.Pending) place { return place{p.Bucket, p.Key, p.Cluster} }

// queueModel is the pending queue as the contract tells it, in the plainest way.
type queueModel struct {
	s    state.Store
	now  time.Time
	rows map[place]state.Pending
	past []state.PendingKey // every row at every Gen, for late workers
}

// testPendingModel runs random operations on the store and the model, and compares
// all of both after each.
func testPendingModel(t *testing.T, fx Fixture) {
	rapid.Check(t, func(t *rapid.T) {
		drain(t, fx.Store)
		m := &queueModel{s: fx.Store, now: epoch, rows: map[place]state.Pending{}}
		t.Repeat(map[string]func(*rapid.T){
			"":        m.check,
			"add":     m.add,
			"claim":   m.claim,
			"extend":  m.extend,
			"finish":  m.finish,
			"fail":    m.fail,
			"release": m.release,
			"retry":   m.retry,
			"unhold":  m.unhold,
			"wait":    func(t *rapid.T) { m.now = m.now.Add(ms(rapid.IntRange(1, 100)).Draw(t, "ms")) },
		})
	})
}

func ms(g *rapid.Generator[int]) *rapid.Generator[time.Duration] {
	return rapid.Map(g, func(n int) time.Duration { return time.Duration(n) * time.Millisecond })
}

var (
	genNode   = rapid.SampledFrom([]string{"n1", "n2"})
	genBucket = rapid.SampledFrom([]string{"a", "b"})
	genKey    = rapid.SampledFrom([]string{"k", "k/", "é"})
	genHold   = rapid.SampledFrom([]state.Hold{state.HoldNone, state.HoldNone, state.HoldConflict, state.HoldDeletes})
	genFilter = rapid.Custom(func(t *rapid.T) (f state.PendingFilter) {
		f.Bucket = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "bucket")
		f.Cluster = rapid.SampledFrom([]string{"", "c1", "c2"}).Draw(t, "cluster")
		if rapid.Bool().Draw(t, "by hold") {
			hold := genHold.Draw(t, "hold")
			f.Hold = &hold
		}
		f.Failed = rapid.Bool().Draw(t, "failed")
		return f
	})
)

// effort draws what an attempt may have come to.
func (m *queueModel) effort(t *rapid.T, p state.Pending) state.Pending {
	p.Attempts = rapid.IntRange(0, 2).Draw(t, "attempts")
	p.NextAttempt = time.Time{}
	if rapid.Bool().Draw(t, "not yet") {
		p.NextAttempt = m.now.Add(ms(rapid.IntRange(-50, 150)).Draw(t, "next"))
	}
	p.Error = rapid.SampledFrom([]string{"", "e1", "e2"}).Draw(t, "error")
	p.Cause = rapid.SampledFrom([]state.Cause{"", state.CauseDown, state.CauseFull}).Draw(t, "cause")
	p.Hold = genHold.Draw(t, "hold")
	p.Foreign = rapid.SampledFrom([]state.Foreign{"", "e1 of then", "e2 of then", state.ForeignAny}).Draw(t, "foreign")
	return p
}

func (m *queueModel) add(t *rapid.T) {
	var rows []state.Pending
	for range rapid.IntRange(1, 4).Draw(t, "rows") {
		p := pending(genBucket.Draw(t, "bucket"), genKey.Draw(t, "key"), rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "cluster"))
		p.Since = m.now.Add(-ms(rapid.IntRange(0, 50)).Draw(t, "age"))
		p.Size = rapid.Int64Range(0, 9).Draw(t, "size")
		p.Background = rapid.Bool().Draw(t, "background")
		p.Damaged = rapid.Bool().Draw(t, "damaged")
		p.Counted = rapid.Bool().Draw(t, "counted")
		p.Gone = rapid.SampledFrom([]state.VersionIDs{"", "v1", "v2 v3"}).Draw(t, "gone")
		rows = append(rows, m.effort(t, p))
	}
	for _, p := range add(t, m.s, rows...) {
		if old, exists := m.rows[placeOf(p)]; exists {
			if p.Gen <= old.Gen {
				t.Fatalf("Gen of %v went from %d to %d", placeOf(p), old.Gen, p.Gen)
			}
			p.Since, p.Size = old.Since, max(p.Size, old.Size)
			p.Foreign, p.Background = cmp.Or(p.Foreign, old.Foreign), p.Background && old.Background
			p.Damaged, p.Counted = p.Damaged || old.Damaged, p.Counted && old.Counted
			p.Gone = old.Gone.With(p.Gone)
		}
		if slices.Contains(m.past, keyOf(p)) {
			t.Fatalf("Gen %d of %v was given before", p.Gen, placeOf(p))
		}
		m.rows[placeOf(p)] = p
		m.past = append(m.past, keyOf(p))
	}
}

// free says whether a row may be claimed.
func (m *queueModel) free(p state.Pending) bool {
	return p.Hold == state.HoldNone && !due(p).After(m.now) && (p.ClaimedBy == "" || !p.ClaimUntil.After(m.now))
}

func due(p state.Pending) time.Time {
	if p.NextAttempt.IsZero() {
		return p.Since
	}
	return p.NextAttempt
}

// before says whether a row has to be claimed before another.
func before(a, b state.Pending) bool {
	if a.Background != b.Background {
		return b.Background
	}
	return due(a).Before(due(b))
}

func (m *queueModel) claim(t *rapid.T) {
	node, n := genNode.Draw(t, "node"), rapid.IntRange(0, 6).Draw(t, "max")
	lease := ms(rapid.IntRange(1, 100)).Draw(t, "lease")
	free := 0
	for _, p := range m.rows {
		if m.free(p) {
			free++
		}
	}
	got := must(m.s.Queue().ClaimPending(ctx, node, n, lease, m.now))(t)
	equal(t, "number of claims", len(got), min(n, free))
	for i, p := range got {
		want := m.rows[placeOf(p)]
		if !m.free(want) {
			t.Fatalf("claimed %+v, which is not free at %v", want, m.now)
		}
		if i > 0 && before(p, got[i-1]) {
			t.Fatalf("claimed %+v before %+v", got[i-1], p)
		}
		want.ClaimedBy, want.ClaimUntil = node, m.now.Add(lease)
		equal(t, "claimed row", p, want)
		m.rows[placeOf(p)] = want
	}
	for _, p := range m.rows {
		if m.free(p) && len(got) > 0 && before(p, got[len(got)-1]) {
			t.Fatalf("claimed %+v, but left %+v", got[len(got)-1], p)
		}
	}
}

// some draws rows that are or were.
func (m *queueModel) some(t *rapid.T) []state.PendingKey {
	if len(m.past) == 0 {
		t.Skip("no rows yet")
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(m.past), 1, 3, rapid.ID[state.PendingKey]).Draw(t, "rows")
}

// at returns the row at the very generation of a key.
func (m *queueModel) at(k state.PendingKey) (state.Pending, bool) {
	p, exists := m.rows[place{k.Bucket, k.Key, k.Cluster}]
	return p, exists && p.Gen == k.Gen
}

func (m *queueModel) extend(t *rapid.T) {
	node, keys := genNode.Draw(t, "node"), m.some(t)
	until := m.now.Add(ms(rapid.IntRange(1, 100)).Draw(t, "until"))
	lost := must(m.s.Queue().ExtendClaims(ctx, node, until, keys...))(t)
	for _, k := range keys {
		p, there := m.at(k)
		mine := there && p.ClaimedBy == node
		ranOut := mine && !p.ClaimUntil.After(m.now) // either answer will do
		if isLost := slices.Contains(lost, k); isLost == mine && !ranOut {
			t.Fatalf("extending %v of %s: lost is %v, row is %+v", k, node, isLost, p)
		} else if !isLost {
			p.ClaimUntil = until
			m.rows[placeOf(p)] = p
		}
	}
}

func (m *queueModel) finish(t *rapid.T) {
	keys := m.some(t)
	for i, removed := range must(m.s.Queue().FinishPending(ctx, keys...))(t) {
		pl := place{keys[i].Bucket, keys[i].Key, keys[i].Cluster}
		if _, there := m.at(keys[i]); there {
			delete(m.rows, pl)
		}
		_, left := m.rows[pl]
		equal(t, fmt.Sprintf("removed %v", keys[i]), removed, !left)
	}
}

func (m *queueModel) fail(t *rapid.T) {
	var rows []state.Pending
	for _, k := range m.some(t) {
		p := m.effort(t, state.Pending{Bucket: k.Bucket, Key: k.Key, Cluster: k.Cluster, Gen: k.Gen})
		rows = append(rows, p)
		if now, there := m.at(k); there {
			now.Attempts, now.NextAttempt, now.Error, now.Cause, now.Hold, now.Foreign = p.Attempts, p.NextAttempt, p.Error, p.Cause, p.Hold, cmp.Or(p.Foreign, now.Foreign)
			now.ClaimedBy, now.ClaimUntil = "", time.Time{}
			m.rows[placeOf(p)] = now
		}
	}
	ok(t, m.s.Queue().FailPending(ctx, rows...))
}

func (m *queueModel) release(t *rapid.T) {
	node := genNode.Draw(t, "node")
	ok(t, m.s.Queue().ReleaseClaims(ctx, node))
	for pl, p := range m.rows {
		if p.ClaimedBy == node {
			p.ClaimedBy, p.ClaimUntil = "", time.Time{}
			m.rows[pl] = p
		}
	}
}

func (m *queueModel) retry(t *rapid.T) {
	f := genFilter.Draw(t, "filter")
	failed := f
	failed.Failed = true
	rows := matching(m.all(), failed)
	for _, p := range rows {
		if p.NextAttempt.After(m.now) {
			p.NextAttempt = m.now
		}
		m.rows[placeOf(p)] = p
	}
	equal(t, "retried", must(m.s.Queue().RetryPending(ctx, f, m.now))(t), len(rows))
}

func (m *queueModel) unhold(t *rapid.T) {
	f := genFilter.Draw(t, "filter")
	count := 0
	for _, p := range matching(m.all(), f) {
		if p.Hold != state.HoldNone {
			count++
			p.Hold, p.NextAttempt = state.HoldNone, m.now
			m.rows[placeOf(p)] = p
		}
	}
	equal(t, "unheld", must(m.s.Queue().Unhold(ctx, f, m.now))(t), count)
}

// all returns the rows in order.
func (m *queueModel) all() []state.Pending {
	all := make([]state.Pending, 0, len(m.rows))
	for _, p := range m.rows {
		all = append(all, p)
	}
	slices.SortFunc(all, comparePending)
	return all
}

// check compares all rows, the rows of a filter, and the backlogs.
func (m *queueModel) check(t *rapid.T) {
	equal(t, "rows", m.settled(allPending(t, m.s)), m.settled(m.all()))
	f := genFilter.Draw(t, "filter")
	equal(t, "rows of a filter", m.settled(byPages(t, m.s, f, 2)), m.settled(matching(m.all(), f)))
	m.checkDue(t)
	got := must(m.s.Queue().Backlogs(ctx, ""))(t)
	errs := map[failing][]string{}
	want := m.backlogs(errs)
	equal(t, "number of backlogs", len(got), len(want))
	for i, b := range got {
		for i, c := range b.Causes { // of several that are as old any may be told
			if ofThem := errs[failing{b.Bucket, b.Cluster, c.Cause, c.Oldest.UnixMilli()}]; !slices.Contains(ofThem, c.Error) {
				t.Fatalf("the error %q of %+v is none of %q", c.Error, b, ofThem)
			}
			b.Causes[i].Error = ""
		}
		equal(t, "backlog", b, want[i])
	}
	equal(t, "total", must(m.s.Queue().BacklogTotal(ctx))(t), totalOf(want))
}

// totalOf sums the sums of copies.
func totalOf(logs []state.Backlog) (sum state.Backlog) {
	for _, l := range logs {
		if sum.Objects == 0 || l.Oldest.Before(sum.Oldest) {
			sum.Oldest = l.Oldest
		}
		sum.Objects, sum.Bytes = sum.Objects+l.Objects, sum.Bytes+l.Bytes
		sum.HeldDeletes, sum.Conflicts, sum.Failing = sum.HeldDeletes+l.HeldDeletes, sum.Conflicts+l.Conflicts, sum.Failing+l.Failing
	}
	return sum
}

// checkDue compares when each cluster has something to claim. What can be claimed now may
// be told as of any moment up to now.
func (m *queueModel) checkDue(t *rapid.T) {
	want := map[string]time.Time{}
	for _, p := range m.all() {
		at := due(p)
		if p.ClaimedBy != "" {
			at = p.ClaimUntil
		}
		if first, there := want[p.Cluster]; p.Hold == state.HoldNone && (!there || at.Before(first)) {
			want[p.Cluster] = at
		}
	}
	got := must(m.s.Queue().NextDue(ctx))(t)
	for _, due := range []map[string]time.Time{got, want} {
		for c, at := range due {
			if !at.After(m.now) {
				due[c] = m.now
			}
		}
	}
	equal(t, "next due", got, want)
}

// settled takes away claims that ran out: a store may free them when it likes.
func (m *queueModel) settled(rows []state.Pending) []state.Pending {
	all := append([]state.Pending{}, rows...)
	for i, p := range all {
		if !p.ClaimUntil.After(m.now) {
			all[i].ClaimedBy, all[i].ClaimUntil = "", time.Time{}
		}
	}
	return all
}

// failing are rows that fail for a cause, and are as old as each other.
type failing struct {
	bucket, cluster string
	cause           state.Cause
	since           int64
}

// backlogs sums the rows, and collects the errors of the failing ones.
func (m *queueModel) backlogs(errs map[failing][]string) (all []state.Backlog) {
	sums := map[[2]string]*state.Backlog{}
	for _, p := range m.all() {
		at := [2]string{p.Bucket, p.Cluster}
		b := sums[at]
		if b == nil {
			b = &state.Backlog{Bucket: p.Bucket, Cluster: p.Cluster, Oldest: p.Since}
			sums[at] = b
		}
		b.Objects++
		b.Bytes += p.Size
		if p.Since.Before(b.Oldest) {
			b.Oldest = p.Since
		}
		switch {
		case p.Hold == state.HoldDeletes:
			if b.HeldDeletes == 0 || p.Since.Before(b.OldestHeld) {
				b.OldestHeld = p.Since
			}
			b.HeldDeletes++
		case p.Hold == state.HoldConflict:
			b.Conflicts++
		case p.Attempts > 0:
			b.Failing++
			noteCause(b, p)
			same := failing{p.Bucket, p.Cluster, p.Cause, p.Since.UnixMilli()}
			errs[same] = append(errs[same], p.Error)
		}
	}
	for _, b := range sums {
		all = append(all, *b)
	}
	slices.SortFunc(all, func(a, b state.Backlog) int {
		return slices.Compare([]string{a.Bucket, a.Cluster}, []string{b.Bucket, b.Cluster})
	})
	return all
}

// noteCause adds the cause of a failing row.
func noteCause(b *state.Backlog, p state.Pending) {
	i, there := slices.BinarySearchFunc(b.Causes, p.Cause, func(c state.FailingCause, of state.Cause) int { return cmp.Compare(c.Cause, of) })
	if !there {
		b.Causes = slices.Insert(b.Causes, i, state.FailingCause{Cause: p.Cause, Oldest: p.Since})
	}
	if p.Since.Before(b.Causes[i].Oldest) {
		b.Causes[i].Oldest = p.Since
	}
}
