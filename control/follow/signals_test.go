package follow

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fired(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestSignals(t *testing.T) {
	var s Signals
	s.Fire("a") // nobody waits
	a, also, b := s.Changed("a"), s.Changed("a"), s.Changed("b")
	s.Fire("a")
	if !fired(a) || !fired(also) {
		t.Error("those who wait for a bucket are not woken")
	}
	if fired(b) {
		t.Error("those who wait for another bucket are woken")
	}
	if again := s.Changed("a"); fired(again) {
		t.Error("a change that was before is told again")
	}
	s.Fire("b")
	s.Fire("a")
	if n := len(s.waiting); n != 0 {
		t.Errorf("%d buckets are remembered for nothing", n)
	}
}

// Every change of an exception is signalled, and counted per cluster; what changes nothing
// is neither.
func TestExceptionsAreSignalledAndCounted(t *testing.T) {
	var s Signals
	index := routing.NewPendingIndex()
	e := NewExceptions(index, &s)
	rows := []state.Pending{{Bucket: "b", Key: "x", Cluster: "c1"}, {Bucket: "b", Key: "y", Cluster: "c1"}, {Bucket: "b", Key: "x", Cluster: "c2"}}
	step := func(what string, wants bool, clusters int, f func()) {
		t.Helper()
		changed, other := s.Changed("b"), s.Changed("other")
		f()
		if fired(changed) != wants || fired(other) {
			t.Errorf("%s: signalled %v, want %v", what, !wants, wants)
		}
		if got := e.Clusters(); len(got) != clusters {
			t.Errorf("%s: rows are in %v, want %d clusters", what, got, clusters)
		}
	}
	finish := func(rows ...state.Pending) {
		var keys []state.PendingKey
		removed := make([]bool, len(rows))
		for i, r := range rows {
			keys, removed[i] = append(keys, state.PendingKey{Bucket: r.Bucket, Key: r.Key, Cluster: r.Cluster}), true
		}
		e.Finish(keys)
		e.Finished(keys, removed)
	}
	step("added", true, 2, func() { e.Adding(rows); e.Added(rows, nil) })
	step("added again", false, 2, func() { e.Adding(rows[:1]); e.Added(rows[:1], nil) })
	step("finished", true, 2, func() { finish(rows[0]) })
	step("finished again", false, 2, func() { finish(rows[0]) })
	if !e.Has("c1") || !e.Has("c2") || e.Has("c3") {
		t.Errorf("rows in c1: %v, c2: %v, c3: %v", e.Has("c1"), e.Has("c2"), e.Has("c3"))
	}
	step("the last in a cluster", true, 1, func() { finish(rows[1]) })
	if e.Has("c1") {
		t.Error("a cluster without rows has some")
	}
	step("a reload that finds no row", true, 0, func() { e.EndReload(e.BeginReload("b", ""), nil) })
	step("a reload that fails", false, 0, func() {
		r := e.BeginReload("b", "")
		r.Row(rows[0])
		e.EndReload(r, state.ErrUnavailable)
	})
	step("a reload that finds a row", true, 1, func() {
		r := e.BeginReload("b", "c2")
		r.Row(rows[2])
		e.EndReload(r, nil)
	})
	e.Follow(true)
	step("told of a row", true, 2, func() {
		e.Observe([]state.ObjectChange{{Kind: state.ObjectPending, Bucket: "b", Key: "z", Cluster: "c1"}})
	})
	step("told of its end, before the rest is routed by", false, 2, func() {
		e.Observe([]state.ObjectChange{{Kind: state.ObjectPending, Bucket: "b", Key: "z", Cluster: "c1", Gone: true}})
	})
	step("after the rest is routed by", true, 1, func() { e.DropGone(e.BeginRead()) })
}

// A row that the store did not take stays an exception, and is offered to be stored again.
func TestLostRows(t *testing.T) {
	index := routing.NewPendingIndex()
	e := NewExceptions(index, new(Signals))
	rows := []state.Pending{{Bucket: "b", Key: "x", Cluster: "c1"}, {Bucket: "b", Key: "y", Cluster: "c1"}}
	e.Adding(rows)
	e.Added(rows, state.ErrUnavailable)
	if lost := e.Lost(1); len(lost) != 1 || !lost[0].Background || lost[0].Size != -1 {
		t.Errorf("lost: %+v", lost)
	}
	again := e.Lost(10)
	if len(again) != 2 || index.Len() != 2 {
		t.Errorf("lost: %+v; exceptions: %d", again, index.Len())
	}
	e.Adding(again)
	e.Added(again, nil)
	if lost := e.Lost(10); lost != nil {
		t.Errorf("stored, and still lost: %+v", lost)
	}
}
