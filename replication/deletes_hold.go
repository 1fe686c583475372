package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// What people decide about the deletes that the breaker holds.

const (
	rejectBatch    = 256 // rows per read of the store
	rejectAtATime  = 8
	rejectAttempts = 3
)

// MaxDeletes are the bounds of the breaker that are in force.
func (e *Engine) MaxDeletes() MaxDeletes { return e.core.conf().MaxDeletes }

// DecideDeletes applies the deletes the breaker holds for a bucket, and returns how many. Or, if they are not
// to be applied, it copies the objects back to the primary, each from a copy that has it, and returns how
// many deletes that settled. Nothing that is at the primary is overwritten. The hold ends when all are back;
// after an error it stays, and the same call resumes.
func (e *Engine) DecideDeletes(ctx context.Context, bucket string, apply bool) (int, error) {
	if apply {
		return confirmDeletes(ctx, e, bucket)
	}
	return rejectDeletes(ctx, e, bucket)
}

func confirmDeletes(ctx context.Context, e *Engine, bucket string) (int, error) {
	h := &heldDeletes{core: e.core, bucket: bucket}
	logs, err := h.load(ctx)
	if err != nil {
		return 0, err
	}
	for _, c := range h.held {
		n := int64(0)
		for _, l := range logs {
			if l.Cluster == c.Cluster {
				n = l.Objects // all that is pending may turn out to be a delete
			}
		}
		if c.State == catalog.CopyRemoving {
			n += c.Objects
		}
		id := ids.CopyIn(bucket, c.Prefix, c.Cluster)
		e.core.deletes.Allow(id, n)
		if r := e.run.Load(); r != nil {
			if err := r.peers.Ask(ctx, peers.Request{Bucket: bucket, Copy: id, Allow: n}); err != nil {
				return 0, err
			}
		}
	}
	return h.release(ctx)
}

func rejectDeletes(ctx context.Context, e *Engine, bucket string) (int, error) {
	h := &heldDeletes{core: e.core, bucket: bucket}
	if _, err := h.load(ctx); err != nil {
		return 0, err
	}
	if err := e.disallow(ctx, h.held); err != nil {
		return 0, err
	}
	var after state.PendingKey
	settled := 0
	for {
		rows, err := e.core.ctl.Store().ListPending(ctx, state.PendingFilter{Bucket: bucket}, after, rejectBatch)
		if err != nil {
			return settled, err
		}
		n, err := h.reject(ctx, rows)
		settled += n
		if err != nil {
			return settled, err
		}
		if len(rows) < rejectBatch {
			break
		}
		after = rows[len(rows)-1].RowKey()
	}
	_, err := h.release(ctx) // what workers came to hold meanwhile is in step
	return settled, err
}

// disallow voids what is left, on any instance, of deletes confirmed earlier: those that people
// reject now are others.
func (e *Engine) disallow(ctx context.Context, held []state.Copy) error {
	for _, c := range held {
		id := ids.CopyIn(c.Bucket, c.Prefix, c.Cluster)
		e.core.deletes.Disallow(id)
		if r := e.run.Load(); r != nil {
			if err := r.peers.Ask(ctx, peers.Request{Bucket: c.Bucket, Copy: id, Allow: -1}); err != nil {
				return err
			}
		}
	}
	return nil
}

// heldDeletes are the deletes of one bucket that the breaker holds.
type heldDeletes struct {
	core
	bucket string
	held   []state.Copy // copies whose deletes are held
}

// load finds the copies concerned: those that are marked, and all in a cluster where rows are
// held and none is marked, because that could not be stored. It returns what is pending.
func (h *heldDeletes) load(ctx context.Context) ([]state.Backlog, error) {
	if h.snap().Bucket(h.bucket) == nil {
		return nil, fmt.Errorf("bucket %s: %w", h.bucket, control.ErrNotFound)
	}
	logs, err := h.ctl.Store().Backlogs(ctx, h.bucket)
	if err != nil {
		return nil, err
	}
	rows, err := h.ctl.Store().CopiesOf(ctx, h.bucket)
	if err != nil {
		return nil, err
	}
	unmarked := make(map[string]bool)
	for _, l := range logs {
		unmarked[l.Cluster] = l.HeldDeletes > 0
	}
	for _, c := range rows {
		if c.HeldDeletes {
			unmarked[c.Cluster] = false
		}
	}
	h.held = slices.DeleteFunc(rows, func(c state.Copy) bool { return !c.HeldDeletes && !unmarked[c.Cluster] })
	return logs, nil
}

// release ends the breaker's hold on the bucket's copies, has the workers look at what was
// held, and returns how much that is.
func (h *heldDeletes) release(ctx context.Context) (int, error) {
	err := h.copies.Update(ctx, h.bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			rows[i].HeldDeletes = false
		}
		return rows, nil
	})
	if err != nil {
		return 0, err
	}
	hold := state.HoldDeletes
	n, err := h.ctl.Store().Unhold(ctx, state.PendingFilter{Bucket: h.bucket, Hold: &hold}, h.now())
	h.ctl.Pending.Wake()
	return n, err
}

// reject gives the objects of some rows back, several at a time. One that fails does not
// keep the others from it; the first failure is returned.
func (h *heldDeletes) reject(ctx context.Context, rows []state.Pending) (int, error) {
	var settled atomic.Int64
	var g errgroup.Group
	g.SetLimit(rejectAtATime)
	for _, row := range rows {
		g.Go(func() error {
			done, err := h.rejectOne(ctx, row)
			if err != nil {
				return fmt.Errorf("copying %q back to the primary: %w", row.Key, err)
			}
			if done {
				settled.Add(1)
			}
			return nil
		})
	}
	err := g.Wait()
	return int(settled.Load()), err
}

// rejectOne settles one row and reports whether it was a delete. Rows no worker has reached
// are unmarked; it checks whether they are deletes.
func (h *heldDeletes) rejectOne(ctx context.Context, row state.Pending) (bool, error) {
	if row.Hold != state.HoldDeletes {
		if would, err := h.wouldBeHeld(ctx, row); !would || err != nil {
			return false, err
		}
	}
	var err error
	for attempt := range rejectAttempts {
		if attempt > 0 && !delay.Sleep(ctx, h.objects.RetryAfter(attempt, err)) {
			return false, ctx.Err()
		}
		if err = h.giveBack(ctx, row); !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, site.ErrDown) {
			break
		}
	}
	if err != nil || row.Hold != state.HoldDeletes {
		return err == nil, err
	}
	return true, h.ctl.Pending.Finish(ctx, row.RowKey())
}

// wouldBeHeld reports whether a row in a copy whose deletes are held is one of them. It
// settles the object to find out, if the primary has none.
func (h *heldDeletes) wouldBeHeld(ctx context.Context, row state.Pending) (bool, error) {
	snap := h.snap()
	rule, ok := snap.Of(row.Bucket).RuleOf(row.Key)
	if !ok || row.Hold != state.HoldNone || copyrows.Index(h.held, rule.Prefix, row.Cluster) < 0 {
		return false, nil
	}
	if is, err := h.isDelete(ctx, row); !is || err != nil {
		return false, err
	}
	release, err := h.slots.Acquire(ctx, limit.Want{Class: limit.Live, To: row.Cluster})
	if err != nil {
		return false, err
	}
	defer release()
	_, err = h.objects.Settle(ctx, object.Task{
		Object: ids.ObjectIn(row.Bucket, row.Key, row.Cluster), Size: row.Size, Foreign: row.Foreign, Since: row.Since,
	})
	switch {
	case errors.Is(err, object.ErrHeld):
		return true, nil
	case nothingToDelete(err):
		return false, nil
	}
	return false, err
}

// isDelete reports whether settling a row would take an object away, by what its storages
// show now.
func (h *heldDeletes) isDelete(ctx context.Context, row state.Pending) (bool, error) {
	snap := h.snap()
	if snap.Of(row.Bucket).Anywhere(row.Key) {
		covers, err := h.objects.Covers(ctx, ids.ObjectIn(row.Bucket, row.Key, row.Cluster))
		if nothingToDelete(err) {
			return false, nil
		}
		return covers, err
	}
	src, err := h.sites.Usable(snap.Of(row.Bucket).Primary())
	if err != nil {
		return false, err
	}
	o, err := src.Stat(ctx, row.Bucket, row.Key)
	return o == nil && err == nil, err
}

// nothingToDelete reports whether an error says that no delete would come of a row now.
func nothingToDelete(err error) bool {
	return errors.Is(err, object.ErrConflict) || errors.Is(err, object.ErrNoCopy) || errors.Is(err, object.ErrLeaving)
}

// giveBack copies one object from a copy to the primary, if the primary has none.
func (h *heldDeletes) giveBack(ctx context.Context, row state.Pending) error {
	snap := h.snap()
	if snap.Of(row.Bucket).Anywhere(row.Key) {
		return h.objects.Restore(ctx, ids.ObjectIn(row.Bucket, row.Key, row.Cluster), row.Size)
	}
	var at object.Sides
	var err error
	if at.Dst, err = h.sites.Usable(snap.Of(row.Bucket).Primary()); err != nil {
		return err
	}
	if at.Src, err = h.sites.Usable(row.Cluster); err != nil {
		return err
	}
	ref := ids.ObjectIn(row.Bucket, row.Key, at.Dst.Name())
	unlock, err := h.guard.Lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := guard.Op{Object: ref, From: row.Cluster, Total: row.Size, ToPrimary: true}
	err = h.guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		if there, err := at.Dst.Stat(ctx, row.Bucket, row.Key); there != nil || err != nil {
			return err // another copy's row brought it back, or a user did
		}
		o, err := at.Src.Stat(ctx, row.Bucket, row.Key)
		if err == nil && o == nil {
			err = at.Src.Absent(ctx, row.Bucket, row.Key) // else it would be deleted, though people rejected that
		}
		if err != nil || o == nil {
			return err
		}
		if err := object.Identified(ctx, h.ctl.Store(), row.Bucket, at.Dst, at.Src); err != nil {
			return err // people decided about other buckets
		}
		return object.Unheard(ctx, h.objects, ref, o.Size, []string{row.Cluster}, func() error {
			_, err := h.objects.Transfer(ctx, p, at, *o, storage.CopyOptions{If: storage.Condition{Absent: true}})
			return err
		})
	})
	if errors.Is(err, storage.ErrPrecondition) {
		return nil // it is there again
	}
	return err
}
