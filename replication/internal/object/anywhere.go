package object

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Anywhere settles objects that users write in any of their clusters: the last writer wins. All
// methods are safe for concurrent use.
type Anywhere struct {
	o         *Options
	writes    *Writes
	histories *Histories
	damaged   *Damages
}

// side is one cluster that takes part in a key, with what its storage shows.
type side struct {
	*site.Site
	now storage.Version
	// leaves: the copy is on its way out; it is read and not written.
	leaves bool
	err    error // why it could not be asked
}

// convergence is one key in all clusters that take part in it.
type convergence struct {
	Task
	by      *Anywhere
	primary string
	copy    catalog.Copy // of the task's cluster
	mine    *side
	sides   []*side // those that could be asked, mine among them
	unasked []*side // those that could not
	winner  *side
}

// settle brings one object in one cluster in step with the version that wins among
// all clusters that can be asked. What stands there and beats the others stays, and the
// others are noted. It is settleOnce for what may be written anywhere.
func (a *Anywhere) settle(ctx context.Context, t Task) (Outcome, error) {
	m, err := a.meet(ctx, t)
	if err != nil || m == nil {
		return Moot, err
	}
	v, err := m.decide(ctx)
	if err != nil {
		return 0, err
	}
	if !t.Walked {
		if err := m.bringHistories(ctx); err != nil {
			return 0, err
		}
	}
	return v, m.noteOthers(ctx, v)
}

// bringHistories brings the versions along that lost elsewhere and that this cluster lacks.
func (m *convergence) bringHistories(ctx context.Context) error {
	for _, s := range m.sides {
		if s == m.mine {
			continue
		}
		op := guard.Op{Object: m.Object, From: s.Name(), Total: -1}
		err := m.by.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
			return m.by.histories.Settle(ctx, p, Sides{Src: s.Site, Dst: m.mine.Site}, nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// meet asks every cluster that takes part in the key; nil if there is nothing to settle.
func (a *Anywhere) meet(ctx context.Context, t Task) (*convergence, error) {
	snap := a.o.Router.Snapshot()
	rule, ok := snap.Of(t.Bucket).RuleOf(t.Key)
	if !ok {
		return nil, nil
	}
	cs := snap.Of(t.Bucket).Copies()
	c, ok := copyOf(cs, rule.Prefix, t.Cluster)
	switch {
	case !ok:
		return nil, ErrNoCopy
	case slices.ContainsFunc(cs, func(c catalog.Copy) bool { return c.FormerPrimary }):
		return nil, guard.ErrMoving
	case c.State == catalog.CopyDraining, c.State == catalog.CopyRemoving:
		return nil, ErrLeaving
	}
	m := &convergence{by: a, Task: t, primary: snap.Of(t.Bucket).Primary(), copy: c}
	sides := a.sidesOf(snap, t, rule.Prefix)
	a.ask(ctx, t, sides)
	return m, m.judge(sides)
}

// sidesOf lists the clusters that take part in a key: those with a copy that was begun, and
// those whose copies leave and may hold versions that exist nowhere else.
func (a *Anywhere) sidesOf(snap *routing.Snapshot, t Task, rule string) []*side {
	var sides []*side
	for _, c := range snap.Of(t.Bucket).Copies() {
		leaves := c.State.Leaves()
		covers := c.Prefix == rule || leaves && strings.HasPrefix(t.Key, c.Prefix)
		waits := c.State == catalog.CopyWaiting && !c.Primary
		switch {
		case !covers, waits && c.Cluster != t.Cluster:
			continue
		case t.Against != "" && c.Cluster != t.Against && c.Cluster != t.Cluster:
			continue
		}
		if i := slices.IndexFunc(sides, func(s *side) bool { return s.Name() == c.Cluster }); i >= 0 {
			sides[i].leaves = sides[i].leaves && leaves
			continue
		}
		s := &side{leaves: leaves}
		if s.Site, s.err = a.o.Sites.Usable(c.Cluster); s.Site == nil {
			s.Site = site.Absent(c.Cluster)
		}
		sides = append(sides, s)
	}
	return sides
}

// ask looks at the key in all clusters at once.
func (a *Anywhere) ask(ctx context.Context, t Task, sides []*side) {
	var wg sync.WaitGroup
	for _, s := range sides {
		if s.err != nil {
			continue
		}
		wg.Go(func() { s.err = a.look(ctx, s, t.Bucket, t.Key) })
	}
	wg.Wait()
}

// look reads what a cluster shows under a key.
func (a *Anywhere) look(ctx context.Context, s *side, bucket, key string) error {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	err := s.KnownVersioned(ctx, bucket)
	if err == nil {
		s.now, err = s.Reader().Version(ctx, bucket, key, "")
	}
	s.Observed(err)
	if err != nil {
		return fmt.Errorf("asking %s: %w", s.Name(), err)
	}
	return nil
}

// judge finds the winner among those that could be asked. It needs the Task's own cluster
// and another one; a primary whose bucket is missing stops everything.
func (m *convergence) judge(all []*side) error {
	var alone error
	for _, s := range all {
		switch {
		case s.Name() == m.Cluster && s.err != nil:
			return s.err
		case s.Name() == m.Cluster:
			m.mine = s
		case errors.Is(s.err, storage.ErrNoBucket) && s.Name() == m.primary:
			return fmt.Errorf("%w in %s: %w", ErrNoSource, s.Name(), s.err)
		case errors.Is(s.err, storage.ErrPrecondition):
			return s.err // it changes just now
		case s.err != nil:
			alone = s.err
			m.unasked = append(m.unasked, s)
			continue
		}
		m.sides = append(m.sides, s)
	}
	switch {
	case m.mine == nil:
		return ErrNoCopy
	case len(m.sides) == 1 && alone != nil:
		return fmt.Errorf("no other cluster can be asked: %w", alone)
	}
	m.winner = m.mine
	for _, s := range m.sides {
		c := storage.CompareVersions(s.now, m.winner.now)
		original := s.now.Source.ETag == "" && m.winner.now.Source.ETag != ""
		if c > 0 || c == 0 && original && m.winner != m.mine {
			m.winner = s
		}
	}
	return nil
}

// decide acts on what the storages showed.
func (m *convergence) decide(ctx context.Context) (Outcome, error) {
	rewrite := false
	if storage.SameState(m.mine.now, m.winner.now) && (m.mine.now.Exists() || !m.winner.now.Exists()) {
		if rewrite = m.isDamaged(); !rewrite {
			return InStep, nil
		}
		if m.winner = m.identicalReplica(); m.winner == nil {
			return 0, fmt.Errorf("%w in %s, and no other cluster that can be asked shows this version", ErrDamaged, m.Cluster)
		}
	}
	if !m.mine.now.Exists() && m.winner.now.Deleted {
		if m.winner.now.Written.IsZero() {
			return InStep, nil // it covers nothing
		}
		if keeps, err := m.mine.Reader().KeepsTimes(ctx); err != nil || !keeps {
			return InStep, err // a marker there would tell nothing
		}
	}
	op := guard.Op{Object: m.Object, From: m.winner.Name(), Total: m.winner.now.Size, Rewrite: rewrite}
	var v Outcome
	err := m.by.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) (err error) {
		if !slices.Contains(m.by.o.Router.Snapshot().Of(m.Bucket).WantedIn(nil, m.Key), m.Cluster) && m.copy.State != catalog.CopyFailed {
			return ErrLeaving
		}
		v, err = m.act(ctx, p)
		return err
	})
	return v, err
}

// isDamaged says whether what stands here was found to have other bytes than it should.
func (m *convergence) isDamaged() bool {
	return m.mine.now.ETag != "" && (m.Task.Damaged || m.by.damaged.Is(m.Object, m.mine.now.Object))
}

// identicalReplica returns another cluster that shows the version that stands here, undamaged as far as
// is known.
func (m *convergence) identicalReplica() *side {
	for _, s := range m.sides {
		ref := ids.ObjectIn(m.Bucket, m.Key, s.Name())
		if s != m.mine && storage.CompareVersions(s.now, m.mine.now) == 0 && !m.by.damaged.Is(ref, s.now.Object) {
			return s
		}
	}
	return nil
}

func (m *convergence) act(ctx context.Context, p *guard.Pass) (Outcome, error) {
	if id := m.mine.now.VersionID; m.mine.now.ETag != "" && (id == "" || id == "null") {
		// The null version would be overwritten if versioning was suspended just now.
		if err := m.mine.AskVersioned(ctx, m.Bucket); err != nil {
			return 0, err
		}
	}
	if m.winner.now.Deleted {
		return m.writeDeleteMarker(ctx, p)
	}
	cond := storage.Condition{Absent: m.mine.now.ETag == "", IfETag: m.mine.now.ETag}
	n, err := m.by.writes.Transfer(ctx, p, Sides{Src: m.winner.Site, Dst: m.mine.Site}, m.winner.now.Object,
		storage.CopyOptions{If: cond, Version: &m.winner.now})
	if err != nil {
		return 0, err
	}
	if p.Op().Rewrite {
		m.by.damaged.Drop(m.Object)
	}
	d := copies.Delta{Bytes: n - m.mine.now.Size}
	if cond.Absent {
		d.Objects = 1
	}
	m.by.o.Copies.Tally(m.id(), d)
	m.by.o.Report.Copied(m.Object, m.winner.Name(), n)
	return Copied, nil
}

// writeDeleteMarker puts a copy of the delete marker that won over what stands here.
func (m *convergence) writeDeleteMarker(ctx context.Context, p *guard.Pass) (Outcome, error) {
	hides := m.mine.now.ETag != ""
	if hides {
		row, err := copyRow(ctx, m.by.o.Control.Store(), m.id())
		if err != nil {
			return 0, err
		}
		if !m.by.o.Deletes.Take(ctx, m.id(), row) {
			m.by.o.Deletes.Hold(ctx, m.id())
			return 0, ErrHeld
		}
	}
	w, err := p.Writer(m.mine.Site)
	if err != nil {
		return 0, err
	}
	ctx, cancel := m.mine.Call(ctx)
	defer cancel()
	err = w.Cover(ctx, m.Bucket, m.winner.now, m.mine.now)
	m.mine.Observed(err)
	if err != nil {
		return 0, fmt.Errorf("deleting in %s: %w", m.Cluster, err)
	}
	if !hides {
		return InStep, nil
	}
	m.by.o.Copies.Tally(m.id(), copies.Delta{Objects: -1, Bytes: -m.mine.now.Size})
	m.by.o.Report.Removed(m.Object)
	return Removed, nil
}

func (m *convergence) id() ids.Copy { return ids.CopyIn(m.Bucket, m.copy.Prefix, m.Cluster) }

// noteOthers leaves a row for every other cluster that was found behind and has none, so
// that whatever brought this one up brings all of them in step; and for the objects that
// were pulled from the primary, when that has got another version.
func (m *convergence) noteOthers(ctx context.Context, v Outcome) error {
	snap := m.by.o.Router.Snapshot()
	wanted := snap.Of(m.Bucket).WantedIn(nil, m.Key)
	var rows []state.Pending
	for _, s := range m.sides {
		if s == m.mine || s.leaves || storage.SameState(s.now, m.winner.now) || !slices.Contains(wanted, s.Name()) ||
			m.by.o.Router.Pending.Has(m.Bucket, m.Key, s.Name()) {
			continue
		}
		rows = append(rows, state.Pending{Bucket: m.Bucket, Key: m.Key, Cluster: s.Name(), Size: m.winner.now.Size, Since: m.Since})
	}
	if v != InStep && m.Cluster == snap.Of(m.Bucket).Primary() {
		for _, c := range m.by.o.Router.Pulled.AppendClusters(nil, m.Bucket, m.Key) {
			rows = append(rows, state.Pending{Bucket: m.Bucket, Key: m.Key, Cluster: c, Size: m.winner.now.Size, Since: m.Since})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return m.by.o.Control.AddPending(ctx, rows...)
}

// Covers reports whether settling an object, where anywhere is written, would put a delete
// marker over it.
func (a *Anywhere) Covers(ctx context.Context, ref ids.Object) (bool, error) {
	m, err := a.meet(ctx, Task{Object: ref})
	if err != nil || m == nil {
		return false, err
	}
	return m.winner.now.Deleted && m.mine.now.ETag != "", nil
}

// Restore undoes a delete that the breaker holds in some clusters, where anywhere is written: the newest
// object among all clusters gets a version that is newer than the delete marker, in the cluster that
// shows the marker, and wins. It returns the clusters that are known to be in step by that: the one whose
// object was copied, or all where the key is gone everywhere. The caller holds the key's locks in all
// clusters of the bucket.
func (a *Anywhere) Restore(ctx context.Context, bucket, key string, held []string) (same []string, err error) {
	m, err := a.meet(ctx, Task{Object: ids.ObjectIn(bucket, key, held[0])})
	if err != nil || m == nil {
		return nil, err
	}
	for _, s := range m.unasked {
		if slices.Contains(held, s.Name()) { // its object may be the newest
			return nil, s.err
		}
	}
	if !m.winner.now.Deleted {
		return nil, nil // it is there again
	}
	from := m.newestObject()
	if from == nil {
		for _, s := range m.sides {
			same = append(same, s.Name())
		}
		return same, nil
	}
	if err := Identified(ctx, a.o.Control.Store(), bucket, from.Site, m.winner.Site); err != nil {
		return nil, err // people decided about other buckets
	}
	if err := a.rewrite(ctx, from, m.winner, m.Object); err != nil {
		return nil, err
	}
	return []string{from.Name()}, nil
}

// newestObject returns the cluster that shows the newest version that is no delete marker; nil if there is none.
func (m *convergence) newestObject() (newest *side) {
	for _, s := range m.sides {
		if s.now.ETag != "" && !s.now.Deleted && (newest == nil || storage.CompareVersions(s.now, newest.now) > 0) {
			newest = s
		}
	}
	return newest
}

// rewrite copies what a cluster shows over another's delete marker, as a version that is newer.
func (a *Anywhere) rewrite(ctx context.Context, from, to *side, of ids.Object) error {
	at := ids.ObjectIn(of.Bucket, of.Key, to.Name())
	again := from.now.Rewritten(storage.CoverTime(to.now))
	op := guard.Op{Object: at, From: from.Name(), Total: from.now.Size}
	return a.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		return a.writes.Unheard(ctx, at, from.now.Size, nil, func() error {
			_, err := a.writes.Transfer(ctx, p, Sides{Src: from.Site, Dst: to.Site}, from.now.Object,
				storage.CopyOptions{If: storage.Condition{Absent: true}, Version: &again})
			return err
		})
	})
}
