package walk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// swapPatience is how long operations on a bucket's next primary may take to end before they
// are aborted.
const swapPatience = 2 * time.Second

// MovePrimary hands the primary's role over to a cluster that has a synced copy of
// everything: it scans once more, waits until what that found is done, and swaps the
// roles in one transaction, in which no operation on the target is on its way. Users' writes
// through FaDO wait meanwhile, until what the last of them changed is at the target, too: what a
// user was told is there is there behind the move, and is not carried over.
func (m *Mover) MovePrimary(ctx context.Context, bucket, target string) error {
	rows, err := m.o.Copies.Of(ctx, bucket)
	if err != nil {
		return err
	}
	from := copyrows.PrimaryOf(rows)
	if from == "" || from == target {
		return nil
	}
	if copyrows.CarryingOver(rows) {
		return ErrNotYet // one move at a time
	}
	old, err := m.o.Sites.Usable(from)
	if err != nil {
		return err
	}
	clock, err := old.Clock(ctx)
	if err != nil {
		return err
	}
	if err := m.prepare(ctx, old, rows, target); err != nil {
		return err
	}
	if err := m.buckets.bringLockRule(ctx, old, bucket, target); err != nil {
		return err
	}
	if leaves := m.o.Hooks.Leaves; leaves != nil {
		if err := leaves(ctx, bucket, from, clock); err != nil {
			return err
		}
	}
	err = m.o.Guard.Exclusively(ctx, bucket, target, swapPatience, func() error {
		return m.o.Guard.Quietly(ctx, bucket, from, swapPatience, func() error {
			if err := m.haltOthers(ctx, bucket, target); err != nil {
				return err
			}
			if m.o.Control.Shared() && !delay.Sleep(ctx, guard.Grace) {
				return ctx.Err()
			}
			whole, err := m.bringRest(ctx, bucket, target)
			if err != nil {
				return err
			}
			if whole {
				m.part(ctx, bucket, old, target)
			}
			return m.swapRoles(ctx, bucket, from, target, clock)
		})
	})
	if err != nil {
		m.moveFailed(ctx, bucket)
		return err
	}
	m.o.Log.Info("the primary moved", zap.String("bucket", bucket), zap.String("from", from), zap.String("to", target))
	return nil
}

// prepare compares the target with the primary and waits until it has everything. As long as
// the target fails to take objects nothing is compared: it would be in vain.
func (m *Mover) prepare(ctx context.Context, old *site.Site, rows []state.Copy, target string) error {
	switch log, err := m.backlog(ctx, rows[0].Bucket, target); {
	case err != nil:
		return err
	case log.Failing > 0:
		return fmt.Errorf("moving the primary to %s: %d objects can't be copied there, one for: %s: %w", target, log.Failing, log.LastError, ErrNotYet)
	}
	m.awaitFeed(ctx, old)
	began, before := m.o.Now(), old.Feed.Get()
	if err := m.scanAll(ctx, rows, target); err != nil {
		return err
	}
	if err := m.bringHistories(ctx, rows, target); err != nil {
		return err
	}
	if err := m.awaitSettled(ctx, rows[0].Bucket, target, began); err != nil {
		return err
	}
	if before.Live && !heardAll(before, old.Feed.Get()) {
		return ErrNotYet // something may have changed unheard since the scan
	}
	return nil
}

// Bounds of what is brought to the target while users' writes wait. What is left is carried over.
const (
	restPatience = 2 * time.Second
	restRows     = 1000
	restAtOnce   = 8
)

// bringRest brings what changed at the primary since all was settled, until nothing is left (whole)
// and no user's write that was begun before is on its way: such have rows, too.
func (m *Mover) bringRest(ctx context.Context, bucket, target string) (whole bool, err error) {
	soon, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	for {
		rows, err := m.o.Control.Store().ListPending(ctx, state.PendingFilter{Bucket: bucket, Cluster: target}, state.PendingKey{}, restRows)
		if err != nil {
			return false, err
		}
		rows = slices.DeleteFunc(rows, func(r state.Pending) bool {
			return r.Hold != state.HoldNone || m.o.Router.Snapshot().Anywhere(bucket, r.Key)
		})
		if len(rows) == 0 {
			return true, nil
		}
		ready := slices.DeleteFunc(slices.Clone(rows), func(r state.Pending) bool { return m.intended(r) })
		if err := m.bringEach(soon, ready); err != nil && soon.Err() == nil {
			return false, fmt.Errorf("moving the primary to %s: bringing the last objects there: %w: %w", target, err, ErrNotYet)
		}
		if !delay.Sleep(soon, m.o.Timing.Poll) {
			return false, ctx.Err() // what is left is carried over
		}
	}
}

// part has the second turn by the old primary's clock, so that what users write behind the move is
// told by its time from what they wrote before. On a store of its own the instance knows what it
// copied, and nobody has to wait.
func (m *Mover) part(ctx context.Context, bucket string, old *site.Site, target string) {
	m.handed.Drop(bucket)
	next, err := m.o.Sites.Usable(target)
	if !m.o.Control.Shared() || err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, restPatience+time.Second)
	defer cancel()
	behind, err := old.Reader().Now(ctx) // at most a second behind its clock, and the way of an answer
	if err != nil {
		return
	}
	h := parting{from: old.Name(), to: target, left: behind.Add(3 * time.Second / 2).Truncate(time.Second).Add(time.Second)}
	for behind.Before(h.left) {
		if !delay.Sleep(ctx, h.left.Sub(behind)) {
			return
		}
		if behind, err = old.Reader().Now(ctx); err != nil {
			return
		}
	}
	if h.came, err = next.Reader().Now(ctx); err == nil {
		m.handed.Note(bucket, h)
	}
}

// intended reports whether a row is of a write that is on its way.
func (m *Mover) intended(r state.Pending) bool {
	return r.Attempts == 0 && r.Error == "" && r.NextAttempt.After(m.o.Now())
}

// bringEach brings rows' objects to the target. The move has the target to itself, and the locks of
// objects there: who holds one waits for the move's end.
func (m *Mover) bringEach(ctx context.Context, rows []state.Pending) error {
	done := make([]state.PendingKey, len(rows))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(restAtOnce)
	for i, r := range rows {
		group.Go(func() error {
			t := object.TaskOf(r)
			t.Handover = true
			_, err := m.o.Objects.SettleLocked(groupCtx, t)
			if err == nil {
				done[i] = keyOf(r)
			}
			return err
		})
	}
	err := group.Wait()
	done = slices.DeleteFunc(done, func(k state.PendingKey) bool { return k == state.PendingKey{} })
	return errors.Join(err, m.o.Control.FinishPending(context.WithoutCancel(ctx), done...))
}

// awaitFeed gives a storage's listener a moment to begin.
func (m *Mover) awaitFeed(ctx context.Context, s *site.Site) {
	ctx, cancel := context.WithTimeout(ctx, m.o.Timing.FeedPatience)
	defer cancel()
	for !m.o.Settings.NoEventFeed() {
		f := s.Feed.Get()
		if f.Live || f.Silent == site.SilentNoFeed || !delay.Sleep(ctx, m.o.Timing.Poll) {
			return
		}
	}
}

// awaitSettled waits until nothing is pending at the target, or at least nothing that was
// so when the scan began: what is newer will be carried over.
func (m *Mover) awaitSettled(ctx context.Context, bucket, target string, began time.Time) error {
	patience := m.o.Now().Add(m.o.Timing.MovePatience)
	for {
		signal := m.o.signal(bucket)
		log, err := m.backlog(ctx, bucket, target)
		late := m.o.Now().After(patience)
		switch {
		case err != nil:
			return err
		case log.Conflicts > 0 || log.HeldDeletes > 0:
			return fmt.Errorf("moving the primary to %s: %s: %w", target, blockers(log), ErrBlocked)
		case log.Objects == 0, late && log.Failing == 0 && log.Oldest.After(began):
			return nil
		case late:
			return fmt.Errorf("moving the primary to %s: %d objects are still on their way there: %w", target, log.Objects, ErrNotYet)
		}
		if !m.o.changed(ctx, signal) {
			return ctx.Err()
		}
	}
}

// blockers says what of a copy's backlog people have to decide.
func blockers(log state.Backlog) string {
	var all []string
	if log.Conflicts > 0 {
		all = append(all, control.Count(log.Conflicts, "conflict")+" there")
	}
	if log.HeldDeletes > 0 {
		all = append(all, control.Count(log.HeldDeletes, "held delete")+" there")
	}
	return strings.Join(all, " and ")
}

// swapRoles makes the target the primary. The old one is marked: what was written there
// since the clock's time was not compared yet.
func (m *Mover) swapRoles(ctx context.Context, bucket, from, target string, clock time.Time) error {
	return m.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		if copyrows.PrimaryOf(rows) != from || copyrows.CarryingOver(rows) {
			return rows, object.ErrChanged
		}
		// Transactions are serialized: an instance that takes over after this lease removes
		// the marks either before this transaction or after it.
		if err := m.o.Control.MayWrite(); err != nil {
			return rows, err
		}
		for i := range rows {
			c := &rows[i]
			if c.Cluster != from || !c.Primary {
				continue
			}
			next := copyrows.Index(rows, c.Prefix, target)
			if next < 0 || rows[next].State != catalog.CopySynced || rows[next].Moving != m.o.Control.Shared() {
				return rows, object.ErrChanged // the target is no longer wanted, for example
			}
			rows[next].Primary, rows[next].ScanCursor, rows[next].Moving = true, "", false
			// Where anywhere is written, what comes late at the old one counts as before.
			c.Primary, c.FormerPrimary, c.State = false, !c.Anywhere, catalog.CopySynced
			c.OwnedUntil, c.VerifiedAt, c.ScanCursor = clock, m.o.Now(), ""
		}
		m.o.Hooks.Attention(bucket)
		return rows, nil
	})
}
