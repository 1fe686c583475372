package replication

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/delay"
)

// Times of looks at the lease, and before a new one is looked for.
const (
	leaseUnknown = 250 * time.Millisecond
	leaseMost    = time.Second
	leaseRest    = 50 * time.Millisecond
)

// lease is this instance's on a shared store.
type lease struct{ core }

// watch aborts what is on its way when this instance's lease on a shared store ends:
// from then on others may do the same work. The guard and the storages' clients ask for the
// lease themselves before every write; this ends waits and reads.
func (l lease) watch(ctx context.Context) {
	for ctx.Err() == nil {
		wait := leaseUnknown
		if until := l.ctl.Members.LeaseUntil(); !until.IsZero() {
			wait = min(max(time.Until(until), time.Millisecond), leaseMost)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.ctl.Members.LeaseLost():
			delay.Sleep(ctx, leaseRest) // a new one is looked for
		case <-t.C:
		}
		t.Stop()
		if err := l.ctl.Members.MayWrite(); err != nil && ctx.Err() == nil {
			l.guard.Fence(err)
			l.log.Debug("writes are fenced until there is a lease", zap.Error(err))
		}
	}
}
