package control_test

import (
	"errors"
	"testing"

	"github.com/fado-project/fado/state"
)

// Rows that are noted are exceptions and not yet stored when begun is called, and nobody is
// woken for them when they are attended to.
func TestNotePending(t *testing.T) {
	w := newWorld(t)
	rows := []state.Pending{{Bucket: "reports", Key: "a", Cluster: "c2"}, {Bucket: "reports", Key: "b", Cluster: "c2"}}
	stored := func() []state.Pending {
		t.Helper()
		all, err := w.store.Queue().ListPending(t.Context(), state.PendingFilter{}, state.PendingKey{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	note := func(attended bool) []int64 {
		t.Helper()
		called := 0
		gens, err := w.Pending.Note(t.Context(), rows, func() bool {
			called++
			for _, r := range rows {
				if !w.Router().Pending.Has(r.Bucket, r.Key, r.Cluster) {
					t.Errorf("%s is no exception", r.Key)
				}
			}
			return attended
		})
		if err != nil || len(gens) != 2 || called != 1 {
			t.Fatalf("generations %v, %v; called %d times", gens, err, called)
		}
		for i, r := range stored() {
			if r.Key != rows[i].Key || r.Gen != gens[i] {
				t.Errorf("stored is %+v, told %d", r, gens[i])
			}
		}
		return gens
	}
	woken := func() bool {
		// The queue wakes after it has answered; whatever it does next comes after that.
		if err := w.Pending.Finish(t.Context(), state.PendingKey{Bucket: "reports", Key: "none", Cluster: "c2", Gen: 1}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-w.Pending.Added():
			return true
		default:
			return false
		}
	}
	woken() // by what was before
	first := note(true)
	if woken() {
		t.Error("workers are woken for rows that are attended to")
	}
	second := note(false)
	if !woken() {
		t.Error("nobody is woken for rows that nobody attends to")
	}
	if err := w.Pending.Finish(t.Context(), state.PendingKey{Bucket: "reports", Key: "a", Cluster: "c2", Gen: second[0]}); err != nil {
		t.Fatal(err)
	}
	if err := w.Pending.Finish(t.Context(), state.PendingKey{Bucket: "reports", Key: "b", Cluster: "c2", Gen: first[1]}); err != nil {
		t.Fatal(err)
	}
	if len(stored()) != 1 || !w.Router().Pending.Has("reports", "b", "c2") || w.Router().Pending.Has("reports", "a", "c2") {
		t.Error("a row that was noted again goes by its newest generation alone")
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	gens, err := w.Pending.Note(t.Context(), rows[:1], func() bool { return true })
	if gens != nil || !errors.Is(err, state.ErrUnavailable) || !w.Router().Pending.Has("reports", "a", "c2") {
		t.Errorf("without a store: generations %v, %v", gens, err)
	}
}
