package move

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// Mover hands the primary's role over.
type Mover struct {
	o     *Options
	whole whole
	halts *Halts
	// partings are noted for what is carried over after a move.
	partings *partings
}

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
		return object.ErrNotYet // one move at a time
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
	if err := m.o.Buckets.BringLockRule(ctx, old, bucket, target); err != nil {
		return err
	}
	if leaves := m.o.Hooks.Leaves; leaves != nil {
		if err := leaves(ctx, bucket, from, clock); err != nil {
			return err
		}
	}
	err = m.o.Guard.Exclusively(ctx, bucket, target, swapPatience, func() error {
		return m.o.Guard.Quietly(ctx, bucket, from, swapPatience, func() error {
			if err := m.halts.others(ctx, bucket, target); err != nil {
				return err
			}
			if m.o.Control.Shared() && !delay.Sleep(ctx, guard.Grace) {
				return ctx.Err()
			}
			whole, err := rest{m.o, bucket, target}.bring(ctx)
			if err != nil {
				return err
			}
			if err := m.undecided(ctx, bucket, target); err != nil {
				return err
			}
			if whole {
				m.partings.wait(ctx, bucket, old, target)
			}
			if err := m.ruleAgain(ctx, old, bucket, target); err != nil {
				return err
			}
			return m.swapRoles(ctx, bucket, from, target, clock)
		})
	})
	if err != nil {
		m.halts.failed(ctx, bucket)
		return err
	}
	m.o.Log.Info("the primary moved", zap.String("bucket", bucket), zap.String("from", from), zap.String("to", target))
	return nil
}

// ruleAgain brings the rule of object lock to the target that users changed since it was brought there:
// nothing brings it along behind the move. Users' writes wait meanwhile, but not for a storage that hangs.
func (m *Mover) ruleAgain(ctx context.Context, old *site.Site, bucket, target string) error {
	ctx, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	return m.o.Buckets.BringLockRule(ctx, old, bucket, target)
}

// prepare compares the target with the primary and waits until it has everything. As long as
// the target fails to take objects nothing is compared: it would be in vain.
func (m *Mover) prepare(ctx context.Context, old *site.Site, rows []state.Copy, target string) error {
	if err := m.noneLate(ctx, rows[0].Bucket, target); err != nil {
		return err
	}
	switch log, err := m.backlog(ctx, rows[0].Bucket, target); {
	case err != nil:
		return err
	case log.Failing > 0:
		return fmt.Errorf("moving the primary to %s: %d objects can't be copied there, one for: %s: %w", target, log.Failing, log.LastError(), object.ErrNotYet)
	}
	m.awaitFeed(ctx, old)
	began, before := m.o.Now(), old.Feed.Get()
	if err := m.whole.scan(ctx, rows, target); err != nil {
		return err
	}
	if err := m.whole.bringHistories(ctx, rows, target); err != nil {
		return err
	}
	if err := m.awaitSettled(ctx, rows[0].Bucket, target, began); err != nil {
		return err
	}
	if before.Live && !before.HeardAllUntil(old.Feed.Get()) {
		return object.ErrNotYet // something may have changed unheard since the scan
	}
	return nil
}

// awaitFeed gives a storage's listener a moment to begin.
func (m *Mover) awaitFeed(ctx context.Context, s *site.Site) {
	ctx, cancel := context.WithTimeout(ctx, m.o.Timing.FeedPatience)
	defer cancel()
	for !m.o.Hooks.NoEventFeed() {
		f := s.Feed.Get()
		if f.Live || f.Silent == site.SilentNoFeed || !delay.Sleep(ctx, m.o.Timing.Poll) {
			return
		}
	}
}

// awaitSettled waits until nothing is pending at the target, or at least nothing that was
// so when the scan began: what is newer will be carried over.
func (m *Mover) awaitSettled(ctx context.Context, bucket, target string, began time.Time) error {
	patience := m.o.Now().Add(m.o.Timing.Patience)
	for {
		signal := m.o.signal(bucket)
		log, err := m.backlog(ctx, bucket, target)
		late := m.o.Now().After(patience)
		switch {
		case err != nil:
			return err
		case log.Conflicts > 0 || log.HeldDeletes > 0:
			return blocked(target, log)
		case log.Objects == 0, late && log.Failing == 0 && log.Oldest.After(began):
			return nil
		case late:
			return fmt.Errorf("moving the primary to %s: %d objects are still on their way there: %w", target, log.Objects, object.ErrNotYet)
		}
		if !m.o.changed(ctx, signal) {
			return ctx.Err()
		}
	}
}

// noneLate returns an error while people have to decide about deletes that came too late for the last move. None
// come after this: the former primary's changes were brought along.
func (m *Mover) noneLate(ctx context.Context, bucket, target string) error {
	late, err := m.o.Objects.HoldsLate(ctx, ids.CopyIn(bucket, "", ""))
	if err == nil && late {
		err = fmt.Errorf("moving the primary to %s: deletes are held that came too late for its last move; confirm or reject them: %w", target, object.ErrBlocked)
	}
	return err
}

// undecided returns an error while people have to decide about objects at the target.
//
// Invariant: the roles are not swapped then. The breaker may have begun to hold deletes there after all
// was settled; behind the swap nobody could decide about them, and nothing would hold the rest.
func (m *Mover) undecided(ctx context.Context, bucket, target string) error {
	log, err := m.backlog(ctx, bucket, target)
	if err == nil && (log.Conflicts > 0 || log.HeldDeletes > 0) {
		err = blocked(target, log)
	}
	return err
}

func blocked(target string, log state.Backlog) error {
	return fmt.Errorf("moving the primary to %s: %s: %w", target, blockers(log), object.ErrBlocked)
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
			rows[next].HeldDeletes = false // none is, and none comes there any more
			// Where anywhere is written, what comes late at the old one counts as before.
			c.Primary, c.FormerPrimary, c.State = false, !c.Anywhere, catalog.CopySynced
			c.OwnedUntil, c.VerifiedAt, c.ScanCursor = clock, m.o.Now(), ""
		}
		return rows, nil
	})
}

// backlog is what is pending of a bucket in a cluster.
func (m *Mover) backlog(ctx context.Context, bucket, cluster string) (state.Backlog, error) {
	logs, err := m.o.Control.Store().Queue().Backlogs(ctx, bucket)
	for _, l := range logs {
		if l.Cluster == cluster {
			return l, err
		}
	}
	return state.Backlog{}, err
}
