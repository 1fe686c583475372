package object

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// situation is a task with what decides it, read after it entered the guard.
type situation struct {
	Task
	e    *Settler
	pass *guard.Pass
	copy catalog.Copy
	made bool // FaDO made the physical bucket of the copy
	at   Sides
}

func (e *Settler) settleOnce(ctx context.Context, t Task) (v Outcome, err error) {
	snap := e.o.Router.Snapshot()
	if _, known := snap.Of(t.Bucket).RuleOf(t.Key); !known {
		return Moot, nil // the guard would forbid it
	}
	op := guard.Op{Object: t.Object, Total: t.Size, From: snap.Of(t.Bucket).Primary(), Handover: t.Handover}
	err = e.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		s, err := e.situate(t, p)
		if err != nil {
			return err
		}
		if s == nil {
			v = Moot
			return nil
		}
		v, err = s.settle(ctx)
		return s.notYetMade(err)
	})
	return v, err
}

// settle brings what is shown in step, and the history: versions that went at the primary go before,
// where that has the copy show what the primary shows, or does not show, else after.
func (s *situation) settle(ctx context.Context) (v Outcome, err error) {
	gone := &goneVersions{
		Task: s.Task, o: &s.e.o, hist: s.e.Histories, pass: s.pass, at: s.at, id: s.copyID(), identified: s.identified,
		row: func(ctx context.Context) (state.Copy, error) { return copyRow(ctx, s.e.o.Control.Store(), s.copyID()) },
	}
	dropped, held := gone.drop(ctx)
	if held != nil && !errors.Is(held, ErrHeld) { // what is held keeps no change from the copy
		return 0, held
	}
	if v, err = s.decide(ctx); err != nil || s.Walked {
		return v, err
	}
	if !dropped && held == nil {
		if _, err := gone.drop(ctx); err != nil {
			return v, err
		}
	}
	if err := s.e.Histories.Settle(ctx, s.pass, s.at, nil); err != nil {
		return v, err
	}
	return v, held
}

// notYetMade tells that a copy has no bucket from a failure: its first sync makes one.
func (s *situation) notYetMade(err error) error {
	if s.copy.State <= catalog.CopySyncing && errors.Is(err, storage.ErrNoBucket) && !errors.Is(err, ErrNoSource) {
		return fmt.Errorf("%w: %w", ErrNotMade, err)
	}
	return err
}

// situate finds what a task is decided by; nil if there is nothing to decide: the bucket
// is gone, has no copy of the object there, or is written there.
func (e *Settler) situate(t Task, p *guard.Pass) (*situation, error) {
	snap := e.o.Router.Snapshot()
	rule, ok := snap.Of(t.Bucket).RuleOf(t.Key)
	if !ok {
		return nil, nil
	}
	primary := snap.Of(t.Bucket).Primary()
	if primary == "" || primary != p.Op().From {
		return nil, guard.ErrMoving
	}
	cs := snap.Of(t.Bucket).Copies()
	c, ok := copyOf(cs, rule.Prefix, t.Cluster)
	switch {
	case primary == t.Cluster && slices.ContainsFunc(cs, func(c catalog.Copy) bool { return c.FormerPrimary }):
		return nil, guard.ErrMoving
	case primary == t.Cluster:
		return nil, nil
	case !ok:
		return nil, ErrNoCopy
	case c.FormerPrimary:
		return nil, guard.ErrMoving
	case c.State.Leaves() && namesLate(t.Foreign):
		return nil, ErrLate // held, it is shown to those who decide
	case c.State.Leaves():
		return nil, ErrLeaving
	}
	s := &situation{Task: t, e: e, pass: p, copy: c, made: madeBucket(cs, t.Cluster)}
	var err error
	if s.at.Src, err = e.o.Sites.Usable(primary); err != nil {
		return nil, err
	}
	s.at.Dst, err = e.o.Sites.Usable(t.Cluster)
	return s, err
}

// copyOf returns the copy of a rule in a cluster.
func copyOf(cs []catalog.Copy, prefix, cluster string) (catalog.Copy, bool) {
	i := slices.IndexFunc(cs, func(c catalog.Copy) bool { return c.Prefix == prefix && c.Cluster == cluster })
	if i < 0 {
		return catalog.Copy{}, false
	}
	return cs[i], true
}

// madeBucket reports whether FaDO made a bucket's physical bucket in a cluster.
func madeBucket(cs []catalog.Copy, cluster string) bool {
	return slices.ContainsFunc(cs, func(c catalog.Copy) bool { return c.Cluster == cluster && c.MadeBucket })
}

// decide compares both sides and acts.
func (s *situation) decide(ctx context.Context) (Outcome, error) {
	if s.Fresh && s.Task.Src != nil && !namesLate(s.Foreign) {
		err := s.write(ctx, *s.Task.Src, storage.Condition{Absent: true}, nil)
		if err == nil {
			return Copied, nil
		}
		if !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrPrecondition) {
			return 0, err
		}
	}
	src, dst, err := Look(ctx, s.at, s.Bucket, s.Key)
	switch {
	case err != nil:
		return 0, err
	case src == nil:
		return s.absent(ctx, dst)
	case dst == nil:
		if err := s.undecided(ctx, *src); err != nil {
			return 0, err
		}
		return Copied, s.write(ctx, *src, storage.Condition{Absent: true}, nil)
	}
	return s.replace(ctx, *src, *dst)
}

// absent settles an object that the primary has not.
func (s *situation) absent(ctx context.Context, dst *storage.Object) (Outcome, error) {
	if dst == nil {
		return InStep, nil
	}
	return s.remove(ctx, *dst)
}

// Look asks the primary's storage, which is Src, and a copy's for an object; nil means it is
// not there. That Src has it not is confirmed by its listing, and that Dst has it not where Src
// has it not either: from that follows that nothing is to be done. [ErrNoSource]: the primary
// has no such bucket.
func Look(ctx context.Context, at Sides, bucket, key string) (src, dst *storage.Object, err error) {
	var srcErr, dstErr error
	var wg sync.WaitGroup
	wg.Go(func() { dst, dstErr = at.Dst.Stat(ctx, bucket, key) })
	src, srcErr = at.Src.Stat(ctx, bucket, key)
	wg.Wait()
	if srcErr == nil && src == nil {
		srcErr = at.Src.Absent(ctx, bucket, key)
		if dstErr == nil && dst == nil {
			dstErr = at.Dst.Absent(ctx, bucket, key)
		}
	}
	if errors.Is(srcErr, storage.ErrNoBucket) {
		return nil, nil, fmt.Errorf("%w in %s: %w", ErrNoSource, at.Src.Name(), srcErr)
	}
	if srcErr != nil {
		return nil, nil, fmt.Errorf("asking the primary %s: %w", at.Src.Name(), srcErr)
	}
	if dstErr != nil {
		return nil, nil, fmt.Errorf("asking %s: %w", at.Dst.Name(), dstErr)
	}
	return src, dst, nil
}

// replace brings an object that is on both sides in step, its lock included.
func (s *situation) replace(ctx context.Context, src, dst storage.Object) (Outcome, error) {
	if storage.Compare(src, dst) == storage.Equal {
		if s.Damaged || s.e.Damaged.Is(s.Object, dst) {
			return Copied, s.rewrite(ctx, src, dst)
		}
		follows, err := storage.FollowsLock(ctx, s.at.Src.Reader(), s.at.Dst.Reader(), s.Bucket, src, dst)
		if err != nil || follows {
			return InStep, err
		}
	}
	c, err := s.claim(ctx)
	if err != nil {
		return 0, err
	}
	owns, err := c.Owns(ctx, s.Key, dst)
	if err != nil {
		return 0, err
	}
	if !owns && supersedes(src, dst, c.Foreign != "") {
		// One that users made of it on the server side carries the mark, and is theirs.
		if owns, err = s.e.Provenance.Marked(ctx, s.Bucket, s.at.Dst, dst); err != nil {
			return 0, err
		}
	}
	if !owns {
		return 0, Conflict(dst, "%s has another object of this key (%d bytes, ETag %s, modified %s)",
			s.Cluster, dst.Size, dst.ETag, dst.LastModified.UTC().Format(time.RFC3339))
	}
	if s.Doubts && IsOlder(src, dst) {
		return 0, ErrOlder
	}
	if err := s.identified(ctx); err != nil {
		return 0, err
	}
	return Copied, s.write(ctx, src, storage.Condition{IfETag: dst.ETag}, &dst)
}

// rewrite writes the primary's object over a damaged copy of it. That destroys nothing:
// by all that the storage says of it the copy is the same.
func (s *situation) rewrite(ctx context.Context, src, dst storage.Object) error {
	s.pass.Op().Rewrite = true
	if err := s.write(ctx, src, storage.Condition{IfETag: dst.ETag}, &dst); err != nil {
		return err
	}
	s.e.Damaged.Drop(s.Object)
	return nil
}

// remove takes an object away that the primary positively has not.
func (s *situation) remove(ctx context.Context, dst storage.Object) (Outcome, error) {
	c, err := s.claim(ctx)
	if err != nil {
		return 0, err
	}
	owns, err := c.Owns(ctx, s.Key, dst)
	if err != nil {
		return 0, err
	}
	if !owns {
		return 0, Conflict(dst, "an object %s has and the primary has not (%d bytes, ETag %s, modified %s)",
			s.Cluster, dst.Size, dst.ETag, dst.LastModified.UTC().Format(time.RFC3339))
	}
	if err := s.identified(ctx); err != nil {
		return 0, err
	}
	id := s.copyID()
	row, err := copyRow(ctx, s.e.o.Control.Store(), id)
	if err == nil && (row.State >= catalog.CopyDraining && s.copy.State < catalog.CopyDraining || row.Primary) {
		err = ErrChanged
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", guard.ErrMoving, err)
	}
	if !s.e.o.Deletes.Take(ctx, id, row) {
		s.e.o.Deletes.Hold(ctx, id)
		return 0, ErrHeld
	}
	if err := s.delete(ctx, dst); err != nil {
		return 0, err
	}
	if !s.Counted {
		s.e.o.Copies.Tally(id, copies.Delta{Objects: -1, Bytes: -dst.Size})
	}
	s.e.o.Report.Removed(s.Object)
	return Removed, nil
}

// delete takes the object at the copy away, as the primary did where the copy has its history.
func (s *situation) delete(ctx context.Context, dst storage.Object) error {
	if done, err := s.e.Histories.coverAs(ctx, s.pass, s.at, dst); done || err != nil {
		return err
	}
	return s.e.Writes.Delete(ctx, s.pass, s.at.Dst, dst)
}

// copyRow reads a copy's row: what the snapshot does not tell of a copy, and what another
// instance may have changed a moment ago. [ErrChanged]: it no longer exists.
func copyRow(ctx context.Context, store state.Store, id ids.Copy) (state.Copy, error) {
	rows, err := store.Catalogue().CopiesOf(ctx, id.Bucket)
	if err != nil {
		return state.Copy{}, err
	}
	i := copyrows.Index(rows, id.Prefix, id.Cluster)
	if i < 0 {
		return state.Copy{}, ErrChanged
	}
	return rows[i], nil
}

// HoldsDeletes reports whether the breaker holds the deletes of a row's copy, so that the row
// may be held, too. It is asked once the row is: people's decision ends the copy's hold before
// it frees the rows, so one that was stored as held after that finds no hold on the copy. A late delete
// needs none: their decision is in its row.
func (e *Settler) HoldsDeletes(ctx context.Context, row state.Pending) bool {
	if IsLate(row) {
		return true
	}
	rule, ok := e.o.Router.Snapshot().Of(row.Bucket).RuleOf(row.Key)
	if !ok {
		return false
	}
	c, err := copyRow(ctx, e.o.Control.Store(), ids.CopyIn(row.Bucket, rule.Prefix, row.Cluster))
	return err == nil && c.HeldDeletes
}

// write copies the primary's object to the destination on a condition; over is what it
// replaces there.
func (s *situation) write(ctx context.Context, src storage.Object, cond storage.Condition, over *storage.Object) error {
	if s.e.Damaged.Is(ids.ObjectIn(s.Bucket, s.Key, s.at.Src.Name()), src) {
		return fmt.Errorf("the primary's object is no source: %w", ErrDamaged)
	}
	n, err := s.e.Writes.Transfer(ctx, s.pass, s.at, src, storage.CopyOptions{If: cond})
	if err != nil {
		return err
	}
	d := copies.Delta{Objects: 1, Bytes: n}
	if over != nil {
		d = copies.Delta{Bytes: n - over.Size}
	}
	if !s.Counted {
		s.e.o.Copies.Tally(s.copyID(), d)
	}
	s.e.o.Report.Copied(s.Object, s.at.Src.Name(), n)
	return nil
}

func (s *situation) copyID() ids.Copy { return ids.CopyIn(s.Bucket, s.copy.Prefix, s.Cluster) }

// claim is what FaDO's claim on the copy's objects rests on, with a fresh look at what is on
// record: a walk may have found the object to be foreign since the task's row was
// claimed.
func (s *situation) claim(ctx context.Context) (Claim, error) {
	foreign, err := s.foreign(ctx)
	if err != nil {
		return Claim{}, err
	}
	return Claim{
		By: s.e.Provenance, Bucket: s.Bucket, Copy: s.copy, MadeBucket: s.made, At: s.at,
		Foreign: foreign,
		OwnedUntil: func(ctx context.Context) (time.Time, error) {
			row, err := copyRow(ctx, s.e.o.Control.Store(), s.copyID())
			return row.OwnedUntil, err
		},
	}, nil
}

// foreign is what is on record under the task's key now.
func (s *situation) foreign(ctx context.Context) (state.Foreign, error) {
	now, err := s.e.Foreign(ctx, s.Object)
	if err != nil {
		return "", fmt.Errorf("reading whose an object is: %w", err)
	}
	return cmp.Or(now, s.Foreign), nil
}

// undecided returns [ErrLate] while people have to decide about the delete of an object that the copy lacks.
func (s *situation) undecided(ctx context.Context, src storage.Object) error {
	f, err := s.foreign(ctx)
	if err == nil && StillLate(f, &src) {
		err = ErrLate
	}
	return err
}
