package queue

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// Workers work pending rows off.
type Workers struct {
	o        Options
	attempts *Attempts
	wg       sync.WaitGroup
	// freed delivers when rows were worked off.
	freed chan struct{}
	ctx   context.Context // of Run, for early starts
	// turn is, per cluster, the last bucket of a claim that named some.
	turn map[string]string

	mu          sync.Mutex
	open        bool                           // Run is under way
	outstanding map[state.PendingKey]time.Time // claimed until
	atWork      map[ids.Object][]state.Pending // objects of these, and the row that follows, if any
	early       map[ids.Object]*earlyStart     // worked on without a claim
	gone        goneRows
	by          map[string]int // outstanding and early ones, per cluster
}

// claimEvery is the time between looks for rows that became due with time.
const claimEvery = time.Second

// leaveLine counts one less in a cluster's line and returns how many are left. The caller
// holds mu.
func (w *Workers) leaveLine(cluster string) int {
	w.by[cluster]--
	has := w.by[cluster]
	if has == 0 {
		delete(w.by, cluster)
	}
	return has
}

// free tells Run that there is room.
func (w *Workers) free() {
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// failedToStore reports a failure to write the store; what was not written is done again.
func (w *Workers) failedToStore(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		w.o.Log.Warn(what, zap.Error(err))
	}
}

// An earlyStart is work on a live row that is still on its way into the store, by no claim:
// no other instance uses the store. The row is an exception before work on it begins, and
// its outcome is noted by the generation under which it was stored, so that the store sees
// what it would see of a row that was claimed.
type earlyStart struct {
	gen  int64         // that was settled or noted as failed; 0: the row was not stored
	done chan struct{} // closed when the work is over
}

// storing is a batch of rows being stored.
type storing struct {
	over chan struct{} // closed when it is known how that ended
	gens []int64       // nil: they were not stored
}
