package jobs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/state"
)

func all(string) bool { return true }

// placed has so many buckets lie in c1 and c2, whose policy would have them in c1 and c3 now.
func placed(t *testing.T, buckets int) (*world, []string) {
	t.Helper()
	w := newWorld(t)
	w.Must(w.Ctl.Resources.Delete(t.Context(), catalog.KindBucket, bkt, noCondition))
	var names []string
	for i := range buckets {
		name := fmt.Sprintf("bkt%d", i)
		w.Apply(&catalog.Bucket{Name: name, Policy: "p"})
		w.place(name, "c1", "c2")
		names = append(names, name)
	}
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Prefer: []string{"c1", "c3"}})
	return w, names
}

// place gives a bucket synced copies, the first one its primary.
func (w *world) place(bucket string, in ...string) {
	w.Helper()
	w.Must(w.Copies.Update(w.Context(), bucket, func([]state.Copy) (rows []state.Copy, err error) {
		for i, c := range in {
			rows = append(rows, state.Copy{
				Bucket: bucket, Copy: catalog.Copy{Cluster: c, Primary: i == 0, State: catalog.CopySynced}, Objects: 5, Bytes: 70,
			})
		}
		return rows, nil
	}))
}

// What a rebalance would do can be looked at before; looking starts nothing.
func TestRebalanceStatus(t *testing.T) {
	t.Parallel()
	w, names := placed(t, 3)
	w.place(names[1], "c1", "c3") // where it would be
	st, err := w.Rebalances.Status(t.Context())
	w.Must(err)
	if st.Running || !st.Since.IsZero() || st.Buckets != 2 || st.Copies != 2 || st.Objects != 10 || st.Bytes != 140 || st.Primaries != 0 {
		t.Errorf("it would do %+v", st)
	}
	if len(st.Moves) != 2 || st.Moves[0].Bucket != "bkt0" || st.Moves[1].Bucket != "bkt2" ||
		!slices.Equal(st.Moves[0].Add, []string{"c3"}) || !slices.Equal(st.Moves[0].Remove, []string{"c2"}) || st.Moves[0].From != "" {
		t.Errorf("its moves are %+v", st.Moves)
	}
	w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Prefer: []string{"c3"}})
	st, err = w.Rebalances.Status(t.Context())
	w.Must(err)
	if st.Primaries != 3 || st.Moves[0].From != "c1" || st.Moves[0].To != "c3" {
		t.Errorf("with another primary it would do %+v", st)
	}
	if w.Rebalances.Moves("bkt0") {
		t.Error("a bucket moves though nobody asked")
	}
}

// The moves that are told of are bounded; all are counted. One that only changes the role counts.
func TestRebalanceStatusIsBounded(t *testing.T) {
	t.Parallel()
	st := RebalanceStatus{}
	for i := range maxMoves + 5 {
		st.add(fmt.Sprint(i), "c1", plan.Ideal{Target: "c1", Moves: []plan.Move{{Add: []string{"c3"}}}}, nil)
	}
	if len(st.Moves) != maxMoves || st.Buckets != maxMoves+5 || st.Copies != maxMoves+5 {
		t.Errorf("%d moves of %d buckets, %d copies", len(st.Moves), st.Buckets, st.Copies)
	}
	st = RebalanceStatus{}
	st.add("b", "c1", plan.Ideal{Target: "c2"}, nil)
	st.add("placed", "c1", plan.Ideal{Target: "c1"}, nil)
	if st.Buckets != 1 || st.Primaries != 1 || st.Copies != 0 || len(st.Moves) != 1 || st.Moves[0].To != "c2" {
		t.Errorf("where only the role moves: %+v", st)
	}
}

// A rebalance is stored, so that it goes on after a restart and on other instances, until it is
// stopped, wherever that is done.
func TestRebalanceIsStored(t *testing.T) {
	t.Parallel()
	w, _ := placed(t, 1)
	st, err := w.Rebalances.Start(t.Context())
	w.Must(err)
	if !st.Running || st.Since.IsZero() {
		t.Errorf("after the start: %+v", st)
	}
	again, err := w.Rebalances.Start(t.Context())
	if err != nil || !again.Since.Equal(st.Since) {
		t.Errorf("started again: %+v, %v", again, err)
	}
	other := New(w.o).Rebalances
	if since, _ := other.UnderWay(); !since.IsZero() {
		t.Error("another instance knows before it looked")
	}
	w.Must(other.Look(t.Context()))
	if since, _ := other.UnderWay(); !since.Equal(st.Since) {
		t.Errorf("another instance has it since %v, not %v", since, st.Since)
	}
	other.round(t.Context(), all)
	if !other.Moves("bkt0") {
		t.Error("another instance moves nothing")
	}
	w.wantCalls()
	if st, err = w.Rebalances.Stop(t.Context()); err != nil || st.Running {
		t.Errorf("after the stop: %+v, %v", st, err)
	}
	w.wantCalls("replan")
	w.Must(other.Look(t.Context()))
	if since, active := other.UnderWay(); !since.IsZero() || active != 0 || other.Moves("bkt0") {
		t.Errorf("another instance goes on: %v, %d", since, active)
	}
	w.off = true
	_, err = w.Rebalances.Start(t.Context())
	w.WantErr(err, errOff)
}

// Few buckets move at a time; others follow those that have arrived, or take too long.
func TestRebalanceMovesFew(t *testing.T) {
	t.Parallel()
	w, _ := placed(t, 6)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w.o.Now = func() time.Time { return now }
	b := New(w.o).Rebalances
	_, err := b.Start(t.Context())
	w.Must(err)
	left, started := b.round(t.Context(), all)
	if left != 6 || len(started) != rebalanceAtOnce {
		t.Errorf("%d are left, started are %q", left, started)
	}
	if _, more := b.round(t.Context(), all); len(more) != 0 {
		t.Errorf("started beside them are %q", more)
	}
	w.place(started[0], "c1", "c3")
	left, more := b.round(t.Context(), all)
	if left != 5 || len(more) != 1 || b.Moves(started[0]) || !b.Moves(started[1]) {
		t.Errorf("%d are left, started are %q", left, more)
	}
	now = now.Add(rebalancePatience)
	if _, more = b.round(t.Context(), all); len(more) != rebalanceAtOnce || !b.Moves(started[1]) {
		t.Errorf("behind slow ones started are %q", more)
	}
}

// An instance moves the buckets that it looks after, and no others.
func TestRebalanceMovesItsOwn(t *testing.T) {
	t.Parallel()
	w, _ := placed(t, 4)
	_, err := w.Rebalances.Start(t.Context())
	w.Must(err)
	left, started := w.Rebalances.round(t.Context(), func(bucket string) bool { return bucket == "bkt2" })
	if left != 4 || !slices.Equal(started, []string{"bkt2"}) {
		t.Errorf("%d are left, started are %q", left, started)
	}
	w.Rebalances.round(t.Context(), func(string) bool { return false }) // it looks after them no more
	if w.Rebalances.Moves("bkt2") {
		t.Error("a bucket of another instance moves here")
	}
}

// A rebalance that was stopped while buckets were looked for starts none.
func TestRebalanceStopsInARound(t *testing.T) {
	t.Parallel()
	w, _ := placed(t, 2)
	_, err := w.Rebalances.Start(t.Context())
	w.Must(err)
	_, started := w.Rebalances.round(t.Context(), func(string) bool {
		w.Rebalances.turn(time.Time{})
		return true
	})
	if len(started) != 0 || w.Rebalances.Moves("bkt0") || w.Rebalances.Moves("bkt1") {
		t.Errorf("started are %q", started)
	}
}

// Run has buckets planned that begin to move, and ends a rebalance that has nothing left to do.
func TestRebalanceEnds(t *testing.T) {
	t.Parallel()
	w, _ := placed(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	touched, over := make(chan string), make(chan struct{})
	go func() {
		defer close(over)
		w.Rebalances.Run(ctx, all, func(bucket string) { touched <- bucket })
	}()
	_, err := w.Rebalances.Start(t.Context())
	w.Must(err)
	if b := <-touched; b != "bkt0" {
		t.Errorf("%s is planned", b)
	}
	w.place("bkt0", "c1", "c3")
	for {
		text, err := w.Store.Facts().GetMeta(t.Context(), metaRebalance)
		w.Must(err)
		if since, _ := w.Rebalances.UnderWay(); since.IsZero() && text == "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-over
}

// Buckets that have no primary yet, or whose primary may not be what it was, are left alone.
func TestIdealOfWhatIsNotPlaced(t *testing.T) {
	t.Parallel()
	w, names := placed(t, 1)
	snap := w.Ctl.Router().Snapshot()
	if to := idealOf(w.o.Inputs(), snap, names[0]); to.Reached || len(to.Moves) != 1 {
		t.Errorf("a bucket that is placed goes to %+v", to)
	}
	if to := idealOf(w.o.Inputs(), snap, "nobody"); !to.Reached || len(to.Moves) != 0 {
		t.Errorf("a bucket that is not there goes to %+v", to)
	}
}
