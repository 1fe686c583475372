package control_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Every bucket is judged as its status tells, with the same reasons, and the tally is their sum.
func TestTallyIsTheSumOfTheStatuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	w := newWorld(t)
	states := []catalog.CopyState{catalog.CopySynced, catalog.CopySynced, catalog.CopySynced, catalog.CopySyncing, catalog.CopyFailed, catalog.CopyDraining}
	var buckets []string
	for n := range 60 {
		b := fmt.Sprintf("bkt-%d", n)
		buckets = append(buckets, b)
		w.create(t, &catalog.Bucket{Name: b, Policy: "eu-two", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "eu-two"}}})
		if rng.IntN(10) > 0 {
			var rows []state.Copy
			for _, prefix := range []string{"", "p/"} {
				rows = append(rows,
					state.Copy{Copy: catalog.Copy{Prefix: prefix, Cluster: "c1", Primary: true, State: catalog.CopySynced}},
					state.Copy{Copy: catalog.Copy{Prefix: prefix, Cluster: "c2", State: states[rng.IntN(len(states))]}})
			}
			w.setCopies(t, b, rows...)
		}
		for k := range rng.IntN(3) {
			row := state.Pending{Bucket: b, Key: fmt.Sprint(k), Cluster: "c2", Size: 7}
			row.Hold = []state.Hold{state.HoldNone, state.HoldConflict, state.HoldDeletes}[rng.IntN(3)]
			if err := w.Pending.Add(t.Context(), row); err != nil {
				t.Fatal(err)
			}
		}
		if rng.IntN(8) == 0 {
			w.Issues.Set(b, planner, control.Issue{Reason: "the disk is on fire"})
		}
	}
	for _, down := range []bool{false, true} {
		if down {
			w.Router().Snapshot().ClusterState("c2").SetStorage(routing.StorageDown)
		}
		got := make(map[string]control.Judged)
		ok, err := w.Status.Judge(t.Context(), func(j control.Judged) {
			reasons := j.Reasons()
			j.Reasons = func() []control.Reason { return reasons }
			got[j.Bucket] = j
		})
		if err != nil {
			t.Fatal(err)
		}
		tally, err := w.Status.Tally(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found, conflicts, held := make(map[string]int), 0, 0
		for _, b := range buckets {
			st, err := w.Status.Bucket(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			found[st.State]++
			now, told := got[b]
			if !told {
				now = control.Judged{State: control.BucketOK, Reasons: func() []control.Reason { return nil }}
			}
			if now.State != st.State || fmt.Sprint(now.Reasons()) != fmt.Sprint(st.Reasons) {
				t.Errorf("%s: %s, %v, want %s, %v", b, now.State, now.Reasons(), st.State, st.Reasons)
			}
			if tally.Conflicts[b] != st.Conflicts {
				t.Errorf("%s: %d conflicts, want %d", b, tally.Conflicts[b], st.Conflicts)
			}
			trouble := st.State == control.BucketStuck || st.State == control.BucketConflict
			if now := tally.Trouble[b]; trouble && (now.State != st.State || now.Reason != st.Reason) || !trouble && now.State != "" {
				t.Errorf("%s: %+v, want %s: %s", b, now, st.State, st.Reason)
			}
			for _, l := range got[b].Logs {
				conflicts, held = conflicts+int(l.Conflicts), held+int(l.HeldDeletes)
			}
		}
		for _, s := range []string{control.BucketOK, control.BucketSyncing, control.BucketStuck, control.BucketConflict} {
			if tally.States[s] != found[s] {
				t.Errorf("%d buckets are %s, want %d", tally.States[s], s, found[s])
			}
			if !down && found[s] == 0 {
				t.Errorf("no bucket of the test is %s", s)
			}
		}
		if len(got)+ok != len(buckets) || conflicts == 0 || held == 0 || len(tally.HeldDeletes) == 0 {
			t.Errorf("%d buckets and %d others; the test has %d conflicts and %d deletes held", len(got), ok, conflicts, held)
		}
	}
}
