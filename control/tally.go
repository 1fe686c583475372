package control

import (
	"context"

	"github.com/fado-project/fado/control/internal/reason"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Tally says how many buckets are in each state, and which need people.
type Tally struct {
	States map[string]int // buckets by state: ok, syncing, stuck, conflict
	// Trouble are the buckets that are stuck or in conflict.
	Trouble map[string]Trouble
	// Conflicts and HeldDeletes count objects by bucket, where there are any.
	Conflicts, HeldDeletes map[string]int64
}

// Trouble is why a bucket needs people.
type Trouble struct{ State, Reason string }

// Tally sums [Status.Judge] up.
func (s *Status) Tally(ctx context.Context) (Tally, error) {
	t := Tally{
		States:  map[string]int{BucketOK: 0, BucketSyncing: 0, BucketStuck: 0, BucketConflict: 0},
		Trouble: make(map[string]Trouble), Conflicts: make(map[string]int64), HeldDeletes: make(map[string]int64),
	}
	ok, err := s.Judge(ctx, t.count)
	t.States[BucketOK] += ok
	return t, err
}

// count notes a bucket's state.
func (t *Tally) count(j Judged) {
	t.States[j.State]++
	if j.State == BucketStuck || j.State == BucketConflict {
		t.Trouble[j.Bucket] = Trouble{State: j.State, Reason: reason.Texts(j.Reasons())}
	}
	for _, l := range j.Logs {
		addCount(t.Conflicts, l.Bucket, l.Conflicts)
		addCount(t.HeldDeletes, l.Bucket, l.HeldDeletes)
	}
}

func addCount(sums map[string]int64, bucket string, n int64) {
	if n > 0 {
		sums[bucket] += n
	}
}

// Judged is a bucket's state, as [Status.Bucket] tells it, by memory and by what the store sums of pending rows.
type Judged struct {
	Bucket, State string
	// Reasons tells them while the call lasts that it is given to.
	Reasons func() []Reason
	// Logs are the backlogs of its copies.
	Logs []state.Backlog
}

// Judge tells f the state of every bucket that is not ok or has a backlog, in no particular order, and returns how
// many others there are. Those take some nanoseconds each, a bucket of which all that is wrong is a storage that is
// down a fraction of a microsecond, and others a few.
func (s *Status) Judge(ctx context.Context, f func(Judged)) (ok int, err error) {
	logs, err := s.c.store().Queue().Backlogs(ctx, "")
	if err != nil {
		return 0, err
	}
	snap := s.c.router.Snapshot()
	of := make(map[routing.BucketView][]state.Backlog)
	for _, l := range logs {
		view := snap.Of(l.Bucket)
		of[view] = append(of[view], l)
	}
	troubled := make(map[routing.BucketView]bool)
	for b := range s.issues.buckets() {
		troubled[snap.Of(b)] = true
	}
	dated := make(map[string]struct{})
	snap.Views(func(view routing.BucketView) bool {
		is, logs, trouble := view.Condition(), of[view], troubled[view]
		if trouble || len(logs) > 0 {
			is = routing.Unsettled
		}
		switch is {
		case routing.Settled:
			ok++
		case routing.Down: // routing knows since when
			f(Judged{view.Name(), BucketStuck, func() []Reason { _, why := s.judgeFromMemory(snap, view, false, nil); return why }, nil})
		default:
			st, reasons := s.judgeFromMemory(snap, view, trouble, logs)
			if len(reasons) > 0 {
				dated[view.Name()] = struct{}{}
				s.date(view.Name(), reasons)
			}
			f(Judged{view.Name(), st, func() []Reason { return reasons }, logs})
		}
		return ctx.Err() == nil
	})
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.since.Keep(func(bucket string) bool { _, found := dated[bucket]; return found })
	return ok, nil
}

// judgeFromMemory judges a bucket by its copies in the snapshot, which have the state of the
// store's rows.
func (s *Status) judgeFromMemory(snap *routing.Snapshot, view routing.BucketView, trouble bool, logs []state.Backlog) (st string, reasons []Reason) {
	var stuck []Issue
	if trouble {
		stuck = s.issues.of(view.Name())
	}
	status := BucketStatus{Primary: view.Primary()}
	for _, l := range logs {
		status.Conflicts += l.Conflicts
	}
	copies := view.Copies()
	rows := make([]state.Copy, len(copies))
	for i, c := range copies {
		rows[i] = state.Copy{Bucket: view.Name(), Copy: c}
	}
	status.Copies = copyStatuses(snap, rows, logs)
	return judge(snap, status, found(stuck), logs)
}
