package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// movePatience is how long a move waits for the target to have nothing pending before it
// goes on with what came up since its scan; carryOver brings that along.
const movePatience = 5 * time.Second

// movePrimary hands the primary's role over to a cluster that has a synced copy of
// everything: it scans once more, waits until what that found is done, and swaps the
// roles in one transaction, in which no operation on the target is on its way.
func (r *run) movePrimary(ctx context.Context, bucket, target string) error {
	rows, err := r.ledger.of(ctx, bucket)
	if err != nil {
		return err
	}
	from := primaryOf(rows)
	if from == "" || from == target {
		return nil
	}
	if carryingOver(rows) {
		return errNotYet // one move at a time
	}
	old, err := r.sites.usable(from)
	if err != nil {
		return err
	}
	clock, err := r.clockOf(ctx, old)
	if err != nil {
		return err
	}
	r.awaitFeed(ctx, old)
	began := r.now()
	heard, epoch, _ := old.feed.get()
	if err := r.scanTarget(ctx, rows, target); err != nil {
		return err
	}
	if err := r.awaitSettled(ctx, bucket, target, began); err != nil {
		return err
	}
	if live, now, _ := old.feed.get(); heard && (!live || now != epoch) {
		return errNotYet // something may have changed unheard since the scan
	}
	err = r.gate.exclusively(ctx, bucket, target, 2*time.Second, func() error {
		if err := r.haltOthers(ctx, bucket, target); err != nil {
			return err
		}
		return r.swapRoles(ctx, bucket, from, target, clock)
	})
	if err != nil {
		r.moveFailed(ctx, bucket)
		return err
	}
	r.log.Info("the primary moved", zap.String("bucket", bucket), zap.String("from", from), zap.String("to", target))
	return nil
}

// awaitFeed gives a storage's listener a moment to begin.
func (r *run) awaitFeed(ctx context.Context, s *site) {
	for until := time.Now().Add(feedPatience); time.Now().Before(until) && !r.conf().NoEventFeed; {
		if live, _, why := s.feed.get(); live || why == noListener || !sleep(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// clockOf asks a storage for the time, and steps back so that what follows is later than
// it for sure: clocks are told in whole seconds.
func (r *run) clockOf(ctx context.Context, s *site) (time.Time, error) {
	cctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	t, err := s.client.Now(cctx)
	if err != nil {
		return t, fmt.Errorf("asking %s for the time: %w", s.name, err)
	}
	return t.Add(-time.Second), nil
}

// scanTarget scans every copy of a bucket in a cluster.
func (r *run) scanTarget(ctx context.Context, rows []state.Copy, target string) error {
	for _, row := range rows {
		if row.Cluster != target {
			continue
		}
		id := copyID{row.Bucket, row.Prefix, target}
		unlock, err := r.walks.lock(ctx, id)
		if err != nil {
			return err
		}
		err = r.ledger.progress(ctx, id, func(c *state.Copy) bool { // a whole scan, not the rest of one
			was := c.ScanCursor
			c.ScanCursor = ""
			return was != ""
		})
		if err == nil {
			err = r.scanCopy(ctx, id)
		}
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitSettled waits until nothing is pending at the target, or at least nothing that was
// so when the scan began: what is newer will be carried over.
func (r *run) awaitSettled(ctx context.Context, bucket, target string, began time.Time) error {
	patience := r.now().Add(movePatience)
	for {
		var log state.Backlog
		logs, err := r.ctl.Store().Backlogs(ctx, bucket)
		if err != nil {
			return err
		}
		for _, l := range logs {
			if l.Cluster == target {
				log = l
			}
		}
		switch {
		case log.Conflicts > 0 || log.HeldDeletes > 0:
			return fmt.Errorf("moving the primary to %s: %d objects there are in conflict and %d deletes are held: %w",
				target, log.Conflicts, log.HeldDeletes, errBlocked)
		case log.Objects == 0:
			return nil
		case r.now().After(patience) && log.Failing == 0 && log.Oldest.After(began):
			return nil
		case r.now().After(patience):
			return fmt.Errorf("moving the primary to %s: %d objects are still on their way there: %w", target, log.Objects, errNotYet)
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// errBlocked says that people have to do something first.
var errBlocked = errors.New("people have to decide")

// swapRoles makes the target the primary. The old one is marked: what was written there
// since the clock's time was not compared yet.
func (r *run) swapRoles(ctx context.Context, bucket, from, target string, clock time.Time) error {
	return r.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		if primaryOf(rows) != from || carryingOver(rows) {
			return rows, errStateChanged
		}
		// Transactions are one after the other: whoever takes the work over after this lease
		// takes the marks away after this one, or before it.
		if err := r.ctl.MayWrite(); err != nil {
			return rows, err
		}
		for i := range rows {
			c := &rows[i]
			if c.Cluster != from || !c.Primary {
				continue
			}
			next := indexCopy(rows, c.Prefix, target)
			if next < 0 || rows[next].State != catalog.CopySynced || rows[next].Moving != r.ctl.Shared() {
				return rows, errStateChanged // the target is not wanted any more, say
			}
			rows[next].Primary, rows[next].ScanCursor, rows[next].Moving = true, "", false
			// Where anywhere is written, what comes late at the old one counts as before.
			c.Primary, c.FormerPrimary, c.State = false, !c.Anywhere, catalog.CopySynced
			c.OwnedUntil, c.VerifiedAt, c.ScanCursor = clock, r.now(), ""
		}
		r.planner.mark(bucket, true)
		return rows, nil
	})
}

const (
	carryPasses = 10
	carryPause  = time.Second
	carryRows   = 100_000
)

// carryOver brings along what users wrote at a former primary around the move: objects
// without FaDO's mark from after the last comparison, which the new primary lacks or has
// an older version of. It goes on until a pass finds nothing, so that clients that are
// late to follow the move are covered; who writes there later is reported as a conflict.
func (r *run) carryOver(ctx context.Context, bucket, from string) error {
	for pass := range carryPasses {
		rows, err := r.ledger.of(ctx, bucket)
		if err != nil {
			return err
		}
		c, err := r.newCarry(ctx, bucket, from, rows)
		if err != nil {
			return err
		}
		clock, err := r.clockOf(ctx, c.old)
		if err != nil {
			return err
		}
		n, err := c.pass(ctx)
		if err != nil {
			return err
		}
		last := n == 0 && pass > 0 || pass == carryPasses-1
		// What this pass saw is settled: the next one must not bring back what users
		// delete at the new primary meanwhile.
		if err := r.carriedUntil(ctx, bucket, from, clock, last); err != nil {
			return err
		}
		if last {
			break
		}
		if !sleep(ctx, carryPause) {
			return ctx.Err()
		}
	}
	r.ctl.WakeWorkers()
	r.sweeper.soon(bucket)
	return nil
}

// carriedUntil notes that a former primary's objects were compared up to a time of its
// clock, and with last that it is an ordinary copy now.
func (r *run) carriedUntil(ctx context.Context, bucket, from string, clock time.Time, last bool) error {
	return r.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if rows[i].Cluster == from && rows[i].FormerPrimary {
				rows[i].FormerPrimary, rows[i].OwnedUntil = !last, clock
			}
		}
		return rows, nil
	})
}

// carry is one pass of carryOver.
type carry struct {
	*run
	bucket   string
	old, new *site
	since    time.Time // by the old primary's clock: what is older was compared
	known    time.Time // by the new primary's clock: what is older was compared
}

func (r *run) newCarry(ctx context.Context, bucket, from string, rows []state.Copy) (*carry, error) {
	c := &carry{run: r, bucket: bucket}
	found := false
	for _, row := range rows {
		if row.Cluster == from && row.FormerPrimary {
			if !found || row.OwnedUntil.Before(c.since) {
				c.since = row.OwnedUntil
			}
			found = true
		}
		if row.Primary && (c.known.IsZero() || row.OwnedUntil.Before(c.known)) {
			c.known = row.OwnedUntil
		}
	}
	primary := primaryOf(rows)
	if !found || primary == "" || primary == from {
		return nil, errStateChanged
	}
	var err error
	if c.old, err = r.sites.usable(from); err != nil {
		return nil, err
	}
	c.new, err = r.sites.usable(primary)
	return c, err
}

// pass brings along what has to be, and says how many objects that were.
func (c *carry) pass(ctx context.Context) (n int, err error) {
	if n, err = c.noted(ctx); err != nil {
		return n, err
	}
	src, dst := c.old.client.List(ctx, c.bucket, "", ""), c.new.client.List(ctx, c.bucket, "", "")
	for p, err := range merge(ctx, src, dst, c.old.name, c.new.name) {
		if err != nil {
			return n, err
		}
		if p.src == nil || writtenBefore(*p.src, c.since) {
			continue
		}
		if p.dst != nil && storage.Compare(*p.src, *p.dst) == storage.Equal {
			continue
		}
		if err := c.count(ctx, p.key, &n); err != nil {
			return n, err
		}
	}
	return n, nil
}

// count carries one object over and counts it if that did something.
func (c *carry) count(ctx context.Context, key string, n *int) error {
	return c.persist(ctx, func() error {
		carried, err := c.object(ctx, key)
		if carried {
			*n++
		}
		return err
	})
}

// noted looks at the keys that changed at the old primary before the move and were not
// brought to the new one yet: rows about a cluster that is the primary now can only be
// from before. Unlike a listing they tell of deletes. What is deleted at the old primary
// after the move is no user's word on the bucket any more: it may be being cleared away.
func (c *carry) noted(ctx context.Context) (n int, err error) {
	rows, err := c.ctl.Store().ListPending(ctx, state.PendingFilter{Bucket: c.bucket, Cluster: c.new.name}, state.PendingKey{}, carryRows)
	if err != nil {
		return n, err
	}
	for _, r := range rows {
		if r.Hold != state.HoldNone {
			continue
		}
		if err := c.count(ctx, r.Key, &n); err != nil {
			return n, err
		}
	}
	return n, c.finished(ctx, rows)
}

// finished removes rows that were looked at.
func (c *carry) finished(ctx context.Context, rows []state.Pending) error {
	var keys []state.PendingKey
	for _, r := range rows {
		if r.Hold == state.HoldNone {
			keys = append(keys, keyOf(r))
		}
	}
	return c.ctl.FinishPending(ctx, keys...)
}

// object carries one object over, if it is a user's and the new primary has nothing
// newer of its own.
func (c *carry) object(ctx context.Context, key string) (bool, error) {
	if err := c.pause.wait(ctx); err != nil {
		return false, err
	}
	release, err := c.slots.acquire(ctx, classBulk, c.new.name)
	if err != nil {
		return false, err
	}
	defer release()
	unlock, err := c.keys.lock(ctx, objectRef{c.bucket, key, c.new.name})
	if err != nil {
		return false, err
	}
	defer unlock()
	op := &operation{bucket: c.bucket, key: key, from: c.old.name, to: c.new.name, total: -1, carry: true}
	opCtx, leave, err := c.gate.enter(ctx, op)
	if errors.Is(err, errForbidden) {
		return false, c.forbidden(ctx, key)
	}
	if err != nil {
		return false, err
	}
	defer leave()
	src, err := c.stat(opCtx, c.old, c.bucket, key)
	if err != nil {
		return false, err
	}
	dst, err := c.stat(opCtx, c.new, c.bucket, key)
	if err != nil {
		return false, err
	}
	return c.bring(opCtx, op, key, src, dst)
}

// bring decides by what lies on both sides. What the new primary has with FaDO's mark was
// copied from the old one: if the old one lacks it now, a user deleted it there.
func (c *carry) bring(ctx context.Context, op *operation, key string, src, dst *storage.Object) (bool, error) {
	cond := storage.Condition{Absent: true}
	switch {
	case src == nil && (dst == nil || !dst.Replica):
		return false, nil
	case src == nil:
		cctx, cancel := context.WithTimeout(ctx, c.tune.CallTimeout)
		defer cancel()
		err := c.new.client.Delete(cctx, c.bucket, key, dst.ETag)
		return err == nil, ignoreChanged(err)
	case src.Replica, writtenBefore(*src, c.since):
		return false, nil
	case dst != nil && storage.Compare(*src, *dst) == storage.Equal:
		return false, nil
	case c.gave(givenRef(c.bucket, key, c.old, c.new), *src):
		return false, nil // it got over before, and was replaced or deleted there
	case dst != nil && !dst.Replica && !writtenBefore(*dst, c.known):
		return false, c.leave(ctx, key, "it was written at the former primary, and another one at the new")
	case dst != nil:
		cond = storage.Condition{IfETag: dst.ETag}
	}
	_, err := c.transfer(ctx, op, c.old, c.new, c.bucket, *src, cond)
	return true, ignoreChanged(err) // what changed meanwhile is looked at in the next pass
}

func ignoreChanged(err error) error {
	if errors.Is(err, storage.ErrPrecondition) {
		return nil
	}
	return err
}

// forbidden leaves an object that may not be written to the new primary any more, if it
// would have to be.
func (c *carry) forbidden(ctx context.Context, key string) error {
	src, err := c.stat(ctx, c.old, c.bucket, key)
	if err != nil || src == nil || src.Replica || writtenBefore(*src, c.since) {
		return err
	}
	return c.leave(ctx, key, "it was written at the former primary, and the policy does not allow the new one any more")
}

// leave reports an object that can't be carried over: it stays at the former primary as
// somebody else's. The row is durable before the former primary's objects up to now count
// as compared.
func (c *carry) leave(ctx context.Context, key, why string) error {
	return c.ctl.AddPending(ctx, state.Pending{
		Bucket: c.bucket, Key: key, Cluster: c.old.name, Since: c.now(), Background: true,
		Hold: state.HoldConflict, Foreign: true, Error: errConflict.Error() + ": " + why,
	})
}
