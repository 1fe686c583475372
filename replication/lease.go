package replication

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// watchLease aborts what is on its way when this instance's lease on a shared store ends:
// from then on others may do the same work. The gate and the storages' clients ask for the
// lease by themselves before every write; this ends what waits or reads.
func (r *run) watchLease(ctx context.Context) {
	for ctx.Err() == nil {
		wait := 250 * time.Millisecond
		if until := r.ctl.LeaseUntil(); !until.IsZero() {
			wait = min(max(time.Until(until), time.Millisecond), time.Second)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.ctl.LeaseLost():
			sleep(ctx, 50*time.Millisecond) // a new one is looked for
		case <-t.C:
		}
		t.Stop()
		if err := r.ctl.MayWrite(); err != nil && ctx.Err() == nil {
			r.gate.fence(err)
			r.log.Debug("writes are fenced", zap.Error(err))
		}
	}
}
