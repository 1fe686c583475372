package move

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/state"
)

// Bounds of what is brought to the target while users' writes wait. What is left is carried over.
const (
	restPatience = 2 * time.Second
	restRows     = 1000
	restAtOnce   = 8
)

// rest is what changed at a bucket's primary since all was settled at the target of its move.
type rest struct {
	o              *Options
	bucket, target string
}

// bring brings what changed at the primary since all was settled, until nothing is left (whole)
// and no user's write that was begun before is on its way: such have rows, too.
func (r rest) bring(ctx context.Context) (whole bool, err error) {
	soon, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	for {
		rows, err := r.o.Control.Store().Queue().ListPending(ctx, state.PendingFilter{Bucket: r.bucket, Cluster: r.target}, state.PendingKey{}, restRows)
		if err != nil {
			return false, err
		}
		rows = slices.DeleteFunc(rows, func(row state.Pending) bool {
			return row.Hold != state.HoldNone || r.o.Router.Snapshot().Of(r.bucket).Anywhere(row.Key)
		})
		if len(rows) == 0 {
			return true, nil
		}
		ready := slices.DeleteFunc(slices.Clone(rows), r.intended)
		if err := r.bringEach(soon, ready); err != nil && soon.Err() == nil {
			return false, fmt.Errorf("moving the primary to %s: bringing the last objects there: %w: %w", r.target, err, object.ErrNotYet)
		}
		if !delay.Sleep(soon, r.o.Timing.Poll) {
			return false, ctx.Err() // what is left is carried over
		}
	}
}

// intended reports whether a row is of a write that is on its way.
func (r rest) intended(row state.Pending) bool {
	return row.Attempts == 0 && row.Error == "" && row.NextAttempt.After(r.o.Now())
}

// bringEach brings rows' objects to the target. The move has the target to itself, and the locks of
// objects there: who holds one waits for the move's end.
func (r rest) bringEach(ctx context.Context, rows []state.Pending) error {
	done := make([]state.PendingKey, len(rows))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(restAtOnce)
	for i, row := range rows {
		group.Go(func() error {
			t := object.TaskOf(row)
			t.Handover = true
			_, err := r.o.Objects.SettleLocked(groupCtx, t)
			if err == nil {
				done[i] = row.RowKey()
			}
			return err
		})
	}
	err := group.Wait()
	done = slices.DeleteFunc(done, func(k state.PendingKey) bool { return k == state.PendingKey{} })
	return errors.Join(err, r.o.Control.FinishPending(context.WithoutCancel(ctx), done...))
}
