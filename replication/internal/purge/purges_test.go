package purge

import (
	"context"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// A purge that can't go on is told of with the cluster and the reason, rests longer each time, and
// is told of no more once it could be carried out.
func TestStuck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	in := w.order(state.PurgeAll)
	w.Fakes["c2"].SetFault(walktest.Refusing(storage.ErrDenied, "delete"))
	waits := []time.Duration{w.attempt(t.Context(), in), w.attempt(t.Context(), in)}
	if waits[0] <= 0 || waits[1] > purgeRest {
		t.Errorf("it waits %v", waits)
	}
	all := w.Stuck()
	if len(all) != 1 || all[0].Bucket != bkt || all[0].Cluster != "c2" || all[0].Attempts != 2 || !all[0].Since.Equal(in.Since) {
		t.Fatalf("told of are %+v", all)
	}
	if d := w.stuck.due(in); d <= 0 {
		t.Error("it is due at once")
	}
	w.ahead = 2 * purgeRest
	if d := w.stuck.due(in); d != 0 {
		t.Errorf("it is due in %v", d)
	}
	w.Fakes["c2"].SetFault(nil)
	if w.attempt(t.Context(), in) != purgeRest || len(w.Stuck()) != 0 {
		t.Errorf("told of are %+v", w.Stuck())
	}
	w.wantKeys("c1")
}

// What others ended is told of no more, nor what was forgotten.
func TestStuckIsForgotten(t *testing.T) {
	t.Parallel()
	s := stuckPurges{now: time.Now}
	for id, bucket := range map[int64]string{1: "b", 2: "a", 3: "c"} {
		s.ended(state.Purge{ID: id, Bucket: bucket}, "c1", storage.ErrDenied)
	}
	s.forgetOthers([]state.Purge{{ID: 1}, {ID: 2}})
	if all := s.all(); len(all) != 2 || all[0].Bucket != "a" || all[1].Bucket != "b" {
		t.Errorf("told of are %+v", all)
	}
	s.forgetOthers(nil)
	if all := s.all(); len(all) != 0 {
		t.Errorf("told of are %+v", all)
	}
}

// Run carries out what is noted when it begins, and what is ordered then.
func TestRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	looked := make(chan struct{}, 100)
	w.o.Control = watched{w.Ctl, looked}
	go func() { defer close(over); w.Run(ctx) }()
	<-looked // nothing is noted yet
	w.Must(w.Order(t.Context(), bkt, state.PurgeAll, control.Precondition{}))
	for len(w.underWay()) > 0 {
		<-looked
	}
	cancel()
	<-over
	w.wantKeys("c1")
}

// watched tells when the store is asked for.
type watched struct {
	*control.Control
	asked chan struct{}
}

func (c watched) Store() state.Store {
	select {
	case c.asked <- struct{}{}:
	default:
	}
	return c.Control.Store()
}
