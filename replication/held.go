package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What people decide about the deletes that the breaker holds.

const (
	rejectBatch    = 256 // rows looked at between two reads of the store
	rejectAtATime  = 8
	rejectAttempts = 3
)

// ConfirmDeletes applies the deletes the breaker holds for a bucket, and says how many.
func (e *Engine) ConfirmDeletes(ctx context.Context, bucket string) (int, error) {
	held, err := e.heldCopies(ctx, bucket)
	if err != nil {
		return 0, err
	}
	logs, err := e.ctl.Store().Backlogs(ctx, bucket)
	if err != nil {
		return 0, err
	}
	for _, c := range held {
		n := int64(0)
		for _, l := range logs {
			if l.Cluster == c.Cluster {
				n = l.Objects // all that is pending may turn out to be a delete
			}
		}
		if c.State == catalog.CopyRemoving {
			n += c.Objects
		}
		e.breakers.allow(copyID{bucket, c.Prefix, c.Cluster}, n)
		if err := e.askOthers(ctx, ask{Bucket: bucket, Prefix: c.Prefix, Cluster: c.Cluster, Allow: n}); err != nil {
			return 0, err
		}
	}
	return e.release(ctx, bucket)
}

// heldCopies returns the copies of a bucket whose deletes are held.
func (e *Engine) heldCopies(ctx context.Context, bucket string) ([]state.Copy, error) {
	if e.ctl.Router().Snapshot().Bucket(bucket) == nil {
		return nil, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	rows, err := e.ctl.Store().CopiesOf(ctx, bucket)
	return slices.DeleteFunc(rows, func(c state.Copy) bool { return !c.HeldDeletes }), err
}

// release ends the breaker's hold on a bucket's copies, has the workers look at what was
// held, and says how much that is.
func (e *Engine) release(ctx context.Context, bucket string) (int, error) {
	err := e.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			rows[i].HeldDeletes = false
		}
		return rows, nil
	})
	if err != nil {
		return 0, err
	}
	hold := state.HoldDeletes
	n, err := e.ctl.Store().Unhold(ctx, state.PendingFilter{Bucket: bucket, Hold: &hold}, e.now())
	e.ctl.WakeWorkers()
	return n, err
}

// RejectDeletes copies the objects whose deletes the breaker holds back to the primary,
// each from a copy that has it, and says how many deletes that settled. Nothing that is at
// the primary is overwritten. The hold ends when all are back; after an error it stays,
// and the same call goes on.
func (e *Engine) RejectDeletes(ctx context.Context, bucket string) (int, error) {
	held, err := e.heldCopies(ctx, bucket)
	if err != nil {
		return 0, err
	}
	var after state.PendingKey
	settled := 0
	for {
		rows, err := e.ctl.Store().ListPending(ctx, state.PendingFilter{Bucket: bucket}, after, rejectBatch)
		if err != nil {
			return settled, err
		}
		n, err := e.reject(ctx, rows, held)
		settled += n
		if err != nil {
			return settled, err
		}
		if len(rows) < rejectBatch {
			break
		}
		after = keyOf(rows[len(rows)-1])
	}
	_, err = e.release(ctx, bucket) // what workers came to hold meanwhile is in step
	return settled, err
}

// reject gives the objects of some rows back, several at a time. One that fails does not
// keep the others from it.
func (e *Engine) reject(ctx context.Context, rows []state.Pending, held []state.Copy) (int, error) {
	var (
		wg      sync.WaitGroup
		settled atomic.Int64
		failure error
		once    sync.Once
		free    = make(chan struct{}, rejectAtATime)
	)
	for _, row := range rows {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			done, err := e.rejectOne(ctx, row, held)
			if err != nil {
				once.Do(func() { failure = fmt.Errorf("copying %q back to the primary: %w", row.Key, err) })
			} else if done {
				settled.Add(1)
			}
		})
	}
	wg.Wait()
	return int(settled.Load()), failure
}

// rejectOne settles one row and says whether it was a delete. Rows that workers have not
// come to yet are not marked as held, and are deletes all the same.
func (e *Engine) rejectOne(ctx context.Context, row state.Pending, held []state.Copy) (bool, error) {
	if row.Hold != state.HoldDeletes {
		if would, err := e.wouldBeHeld(ctx, row, held); !would || err != nil {
			return false, err
		}
	}
	var err error
	for attempt := range rejectAttempts {
		if attempt > 0 && !sleep(ctx, e.backoff(attempt, err)) {
			return false, ctx.Err()
		}
		if err = e.giveBack(ctx, row); !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, errDown) {
			break
		}
	}
	if err != nil || row.Hold != state.HoldDeletes {
		return err == nil, err
	}
	return true, e.ctl.FinishPending(ctx, keyOf(row))
}

// wouldBeHeld says whether a row in a copy whose deletes are held is one of them. It
// settles the object to find out, if the primary has none.
func (e *Engine) wouldBeHeld(ctx context.Context, row state.Pending, held []state.Copy) (bool, error) {
	snap := e.ctl.Router().Snapshot()
	rule, ok := snap.RuleOf(row.Bucket, row.Key)
	if !ok || row.Hold != state.HoldNone || indexCopy(held, rule.Prefix, row.Cluster) < 0 {
		return false, nil
	}
	src, err := e.sites.usable(snap.Primary(row.Bucket))
	if err != nil {
		return false, err
	}
	if o, err := e.stat(ctx, src, row.Bucket, row.Key); o != nil || err != nil {
		return false, err
	}
	release, err := e.slots.acquire(ctx, classLive, row.Cluster)
	if err != nil {
		return false, err
	}
	defer release()
	_, err = e.settle(ctx, task{objectRef: objectRef{row.Bucket, row.Key, row.Cluster}, size: row.Size, foreign: row.Foreign, since: row.Since})
	switch {
	case errors.Is(err, errHeld):
		return true, nil
	case errors.Is(err, errConflict), errors.Is(err, errNoCopy), errors.Is(err, errLeaving):
		return false, nil // nothing that a delete would come of now
	}
	return false, err
}

// giveBack copies one object from a copy to the primary, if the primary has none.
func (e *Engine) giveBack(ctx context.Context, row state.Pending) error {
	if e.anywhere(row.Bucket, row.Key) {
		return e.giveBackAnywhere(ctx, row)
	}
	primary := e.ctl.Router().Snapshot().Primary(row.Bucket)
	dst, err := e.sites.usable(primary)
	if err != nil {
		return err
	}
	src, err := e.sites.usable(row.Cluster)
	if err != nil {
		return err
	}
	ref := objectRef{row.Bucket, row.Key, primary}
	unlock, err := e.keys.lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := &operation{bucket: ref.bucket, key: ref.key, from: row.Cluster, to: primary, total: row.Size, carry: true}
	opCtx, leave, err := e.gate.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	if there, err := e.stat(opCtx, dst, row.Bucket, row.Key); there != nil || err != nil {
		return err // another copy's row brought it back, or a user did
	}
	o, err := e.stat(opCtx, src, row.Bucket, row.Key)
	if err != nil || o == nil {
		return err
	}
	_, err = e.transfer(opCtx, op, src, dst, row.Bucket, *o, storage.Condition{Absent: true})
	if errors.Is(err, storage.ErrPrecondition) {
		return nil // it is there again
	}
	return err
}
