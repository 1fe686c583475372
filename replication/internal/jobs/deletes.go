package jobs

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

// confirmDeletes has the deletes of a bucket applied that are held.
func confirmDeletes(ctx context.Context, o *Options, bucket string) (int, error) {
	h := &heldDeletes{o: o, bucket: bucket}
	logs, err := h.load(ctx)
	if err != nil {
		return 0, err
	}
	made, err := h.makeLate(ctx)
	if err != nil {
		return 0, err
	}
	late := int64(len(made))
	for _, c := range h.held {
		n := late
		for _, l := range logs {
			if l.Cluster == c.Cluster {
				n += l.Objects // all that is pending may turn out to be a delete
			}
		}
		if c.State == catalog.CopyRemoving {
			n += c.Objects
		}
		if err := o.allow(ctx, ids.CopyIn(bucket, c.Prefix, c.Cluster), n); err != nil {
			return 0, err
		}
	}
	for _, c := range h.others { // they follow
		if late > 0 {
			if err := o.allow(ctx, ids.CopyIn(bucket, c.Prefix, c.Cluster), late); err != nil {
				return 0, err
			}
		}
	}
	for rows := range slices.Chunk(made, rejectBatch) {
		if err := o.Control.AddPending(ctx, rows...); err != nil {
			return 0, err
		}
	}
	n, err := h.release(ctx)
	return n + len(made), err
}

// allow lets so many deletes of a copy through that people confirmed, on any instance.
func (o *Options) allow(ctx context.Context, id ids.Copy, n int64) error {
	o.Deletes.Allow(id, n)
	return o.Hooks.Ask(ctx, peers.Request{Bucket: id.Bucket, Copy: id, Allow: n})
}

// rejectDeletes copies back to the primary what deletes are held of.
func rejectDeletes(ctx context.Context, o *Options, bucket string) (int, error) {
	h := &heldDeletes{o: o, bucket: bucket}
	if _, err := h.load(ctx); err != nil {
		return 0, err
	}
	if err := o.disallow(ctx, h.held); err != nil {
		return 0, err
	}
	settled := 0
	var open []state.Pending // rows of a key that may go on in the next page
	for rows, err := range state.PendingPages(ctx, o.Control.Store().Queue(), state.PendingFilter{Bucket: bucket}, rejectBatch) {
		if err != nil {
			return settled, err
		}
		keys := byKey(append(open, rows...))
		open = nil
		if len(rows) == rejectBatch {
			open, keys = keys[len(keys)-1], keys[:len(keys)-1]
		}
		n, err := h.reject(ctx, keys)
		if settled += n; err != nil {
			return settled, err
		}
	}
	_, err := h.release(ctx) // what workers came to hold meanwhile, and what is to be compared
	return settled, err
}

// disallow voids what is left, on any instance, of deletes confirmed earlier: those that people
// reject now are others.
func (o *Options) disallow(ctx context.Context, held []state.Copy) error {
	for _, c := range held {
		id := ids.CopyIn(c.Bucket, c.Prefix, c.Cluster)
		o.Deletes.Disallow(id)
		if err := o.Hooks.Ask(ctx, peers.Request{Bucket: c.Bucket, Copy: id, Allow: -1}); err != nil {
			return err
		}
	}
	return nil
}

// HeldIn returns the cluster that still has the object of a held delete: the copy, or, where it was deleted at
// a former primary around its move, the primary by the rows of the bucket's copies.
func HeldIn(row state.Pending, copies []state.Copy) string {
	if object.IsLate(row) {
		return copyrows.PrimaryOf(copies)
	}
	return row.Cluster
}

// heldDeletes are the deletes of one bucket that the breaker holds.
type heldDeletes struct {
	o      *Options
	bucket string
	held   []state.Copy // copies whose deletes are held
	others []state.Copy // that are no primary's
}

// load finds the copies concerned: those that are marked, and all in a cluster where rows are
// held and none is marked, because that could not be stored. It returns what is pending.
func (h *heldDeletes) load(ctx context.Context) ([]state.Backlog, error) {
	if h.o.Router.Snapshot().Bucket(h.bucket) == nil {
		return nil, fmt.Errorf("bucket %s: %w", h.bucket, control.ErrNotFound)
	}
	logs, err := h.o.Control.Store().Queue().Backlogs(ctx, h.bucket)
	if err != nil {
		return nil, err
	}
	rows, err := h.o.Control.Store().Catalogue().CopiesOf(ctx, h.bucket)
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
	for _, c := range rows {
		switch {
		case c.HeldDeletes || unmarked[c.Cluster]:
			h.held = append(h.held, c)
		case !c.Primary:
			h.others = append(h.others, c)
		}
	}
	return logs, nil
}

// release ends the breaker's hold on the bucket's copies, has the workers look at what was
// held, and returns how much that is.
func (h *heldDeletes) release(ctx context.Context) (int, error) {
	err := h.o.Copies.Update(ctx, h.bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			rows[i].HeldDeletes = false
		}
		return rows, nil
	})
	if err != nil {
		return 0, err
	}
	hold := state.HoldDeletes
	n, err := h.o.Control.Store().Queue().Unhold(ctx, state.PendingFilter{Bucket: h.bucket, Hold: &hold}, h.o.Now())
	h.o.Control.WakeWorkers()
	return n, err
}

// reject gives the objects of some keys back, several at a time. One that fails does not
// keep the others from it; the first failure is returned.
func (h *heldDeletes) reject(ctx context.Context, keys [][]state.Pending) (int, error) {
	var settled atomic.Int64
	var g errgroup.Group
	g.SetLimit(rejectAtATime)
	for _, rows := range keys {
		g.Go(func() error {
			n, err := h.rejectKey(ctx, rows)
			if err != nil {
				return fmt.Errorf("copying %q back to the primary: %w", rows[0].Key, err)
			}
			settled.Add(int64(n))
			return nil
		})
	}
	err := g.Wait()
	return int(settled.Load()), err
}

// rejectKey settles the rows of one key, and returns how many of them were deletes. Rows no worker has
// reached are unmarked; it checks whether they are deletes.
func (h *heldDeletes) rejectKey(ctx context.Context, rows []state.Pending) (int, error) {
	var deletes []state.Pending
	for _, row := range rows {
		is := row.Hold == state.HoldDeletes || object.IsLate(row)
		if !is {
			var err error
			if is, err = h.wouldBeHeld(ctx, row); err != nil {
				return 0, err
			}
		}
		if is {
			deletes = append(deletes, row)
		}
	}
	if len(deletes) == 0 {
		return 0, nil
	}
	same, err := h.giveBackPersistently(ctx, deletes)
	if err != nil {
		return 0, err
	}
	var done []state.PendingKey
	var late []state.Pending
	for _, row := range deletes {
		switch {
		case object.IsLate(row): // it is copied back
			late = append(late, object.LetGo(row))
		case row.Hold == state.HoldDeletes && slices.Contains(same, row.Cluster):
			done = append(done, row.RowKey())
		}
	}
	if len(late) > 0 {
		if err := h.o.Control.AddPending(ctx, late...); err != nil {
			return 0, err
		}
	}
	return len(deletes), h.o.Control.FinishPending(ctx, done...)
}

// giveBackPersistently is giveBack, tried again where a storage hiccups, or where the key changed between the
// look at it and the write.
func (h *heldDeletes) giveBackPersistently(ctx context.Context, rows []state.Pending) (same []string, err error) {
	for attempt := range rejectAttempts {
		if attempt > 0 && !delay.Sleep(ctx, h.o.Objects.RetryAfter(attempt, err)) {
			return nil, ctx.Err()
		}
		same, err = h.giveBack(ctx, rows)
		again := errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrPrecondition)
		if !again || errors.Is(err, site.ErrDown) {
			break
		}
	}
	return same, err
}

// wouldBeHeld reports whether a row in a copy whose deletes are held is one of them. It
// settles the object to find out, if the primary has none.
func (h *heldDeletes) wouldBeHeld(ctx context.Context, row state.Pending) (bool, error) {
	snap := h.o.Router.Snapshot()
	rule, ok := snap.Of(row.Bucket).RuleOf(row.Key)
	if !ok || row.Hold != state.HoldNone || copyrows.Index(h.held, rule.Prefix, row.Cluster) < 0 {
		return false, nil
	}
	if is, err := h.isDelete(ctx, row); !is || err != nil {
		return false, err
	}
	release, err := h.o.Slots.Acquire(ctx, limit.Want{Class: limit.Live, To: row.Cluster})
	if err != nil {
		return false, err
	}
	defer release()
	_, err = h.o.Objects.Settle(ctx, object.Task{
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
	snap := h.o.Router.Snapshot()
	if snap.Of(row.Bucket).Anywhere(row.Key) {
		covers, err := h.o.Objects.Anywhere.Covers(ctx, ids.ObjectIn(row.Bucket, row.Key, row.Cluster))
		if nothingToDelete(err) {
			return false, nil
		}
		return covers, err
	}
	src, err := h.o.Sites.Usable(snap.Of(row.Bucket).Primary())
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

// giveBack gives one key's newest object back from the clusters of some rows, if it is still gone. It returns
// the clusters that are known to be in step by that: the one whose object was copied, or all of them
// where the key is gone on every side. What the others have was compared with nothing, so they stay
// pending.
func (h *heldDeletes) giveBack(ctx context.Context, rows []state.Pending) (same []string, err error) {
	bucket, key := rows[0].Bucket, rows[0].Key
	at := h.o.Router.Snapshot().Of(bucket)
	var from []string
	for _, row := range rows {
		from = append(from, row.Cluster)
	}
	concerned := append(slices.Clone(from), at.Primary())
	if at.Anywhere(key) { // it is given back wherever it was deleted
		for _, c := range at.Copies() {
			concerned = append(concerned, c.Cluster)
		}
	}
	unlock, err := h.o.lockKey(ctx, bucket, key, concerned)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if at.Anywhere(key) {
		return h.o.Objects.Anywhere.Restore(ctx, bucket, key, from)
	}
	return h.toPrimary(ctx, at.Primary(), rows)
}

// toPrimary is giveBack where users write at the primary.
func (h *heldDeletes) toPrimary(ctx context.Context, primary string, rows []state.Pending) (same []string, err error) {
	bucket, key := rows[0].Bucket, rows[0].Key
	if err := h.o.staysPut(ctx, bucket, primary); err != nil {
		return nil, err
	}
	dst, err := h.o.Sites.Usable(primary)
	if err != nil {
		return nil, err
	}
	if there, err := dst.Stat(ctx, bucket, key); there != nil || err != nil {
		return nil, err // an earlier call brought it back, or a user did
	}
	var copies []*candidate
	for _, row := range rows { // each has to answer: any of them may have the newest object
		c, err := h.o.candidate(ctx, bucket, row.Cluster, key)
		if err != nil {
			return nil, err
		}
		c.row = row
		copies, same = append(copies, c), append(same, row.Cluster)
	}
	newest := newestOf(ctx, copies)
	if newest == nil {
		return same, dst.Absent(ctx, bucket, key)
	}
	if err := h.write(ctx, dst, newest, copies); err != nil {
		return nil, err
	}
	return []string{newest.row.Cluster}, nil
}

// newestOf returns the candidate whose object users wrote last; nil if none has any.
func newestOf(ctx context.Context, cs []*candidate) (best *candidate) {
	for _, c := range cs {
		if c.obj != nil && (best == nil || c.newer(ctx, best)) {
			best = c
		}
	}
	return best
}

// newer reports whether users wrote a candidate's object after another's. What was copied by a HEAD knows that
// time in whole seconds only. Within a second the object that FaDO copied later is the newer one.
func (c *candidate) newer(ctx context.Context, than *candidate) bool {
	a, b := object.Modified(*c.obj), object.Modified(*than.obj)
	inSeconds := a.Nanosecond() == 0 || b.Nanosecond() == 0
	if a.Unix() != b.Unix() || !inSeconds {
		return a.After(b)
	}
	c.exactly(ctx, c.row.Bucket)
	than.exactly(ctx, c.row.Bucket)
	return c.obj.LastModified.After(than.obj.LastModified)
}

// write copies the newest of some copies' objects to the primary, which has none.
func (h *heldDeletes) write(ctx context.Context, dst *site.Site, newest *candidate, copies []*candidate) error {
	row := newest.row
	ref := ids.ObjectIn(row.Bucket, row.Key, dst.Name())
	settled := []string{row.Cluster}
	for _, c := range copies {
		if c.row.Hold == state.HoldDeletes { // it stays held, and is no hit, until the decision is complete
			settled = append(settled, c.row.Cluster)
		}
	}
	op := guard.Op{Object: ref, From: row.Cluster, Total: row.Size, ToPrimary: true}
	return h.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		if err := h.o.staysPut(ctx, row.Bucket, dst.Name()); err != nil {
			return err
		}
		if err := object.Identified(ctx, h.o.Control.Store(), row.Bucket, dst, newest.site); err != nil {
			return err // people decided about other buckets
		}
		return h.o.Objects.Writes.Unheard(ctx, ref, newest.obj.Size, settled, func() error {
			_, err := h.o.Objects.Writes.Transfer(ctx, p, object.Sides{Src: newest.site, Dst: dst}, *newest.obj,
				storage.CopyOptions{If: storage.Condition{Absent: true}})
			return errors.Join(err, h.o.staysPut(ctx, row.Bucket, dst.Name()))
		})
	})
}

// makeLate makes the late deletes, see [object.LateOf], and returns their rows, let go.
func (h *heldDeletes) makeLate(ctx context.Context) (made []state.Pending, err error) {
	for rows, err := range state.PendingPages(ctx, h.o.Control.Store().Queue(), state.PendingFilter{Bucket: h.bucket}, rejectBatch) {
		if err != nil {
			return nil, err
		}
		var g errgroup.Group
		g.SetLimit(rejectAtATime)
		for _, row := range rows {
			if !object.IsLate(row) {
				continue
			}
			made = append(made, object.LetGo(row))
			g.Go(func() error {
				if err := h.deleteLate(ctx, row); err != nil {
					return fmt.Errorf("deleting %q at the primary: %w", row.Key, err)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// deleteLate deletes at the primary what a late delete is of, if that is there.
func (h *heldDeletes) deleteLate(ctx context.Context, row state.Pending) error {
	primary, err := h.o.Sites.Usable(h.o.Router.Snapshot().Of(row.Bucket).Primary())
	if err != nil {
		return err
	}
	ref := ids.ObjectIn(row.Bucket, row.Key, primary.Name())
	unlock, err := h.o.Guard.Lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	return h.o.Guard.Do(ctx, guard.Op{Object: ref, Total: -1, ToPrimary: true}, func(ctx context.Context, p *guard.Pass) error {
		if err := h.o.staysPut(ctx, row.Bucket, primary.Name()); err != nil {
			return err
		}
		o, err := primary.Stat(ctx, row.Bucket, row.Key)
		if err != nil || !object.StillLate(row.Foreign, o) {
			return err // users have changed it since
		}
		if safe, err := site.DeletesSafely(ctx, primary, row.Bucket); err != nil || !safe {
			return errors.Join(err, fmt.Errorf("%w: %s keeps no versions any more and deletes by no condition", storage.ErrUnsupported, primary.Name()))
		}
		if err := object.Identified(ctx, h.o.Control.Store(), row.Bucket, primary); err != nil {
			return err
		}
		err = h.o.Objects.Writes.Unheard(ctx, ref, 0, []string{row.Cluster}, func() error { return h.o.Objects.Writes.Delete(ctx, p, primary, *o) })
		if errors.Is(err, storage.ErrPrecondition) {
			return nil // users changed it in this moment
		}
		return err
	})
}
