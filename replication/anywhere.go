package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// errUnversioned says that a storage does not keep versions of a bucket whose policy says
// writes anywhere: FaDO neither reads nor writes it there.
var errUnversioned = errors.New("writes anywhere needs versioning")

// versionStore is what a storage offers on which a bucket may be written as on any other.
type versionStore interface {
	Current(ctx context.Context, bucket, key string) (storage.Version, error)
	Versions(ctx context.Context, bucket, key string) ([]storage.Version, error)
	Cover(ctx context.Context, bucket string, m, over storage.Version) error
	DeleteVersion(ctx context.Context, bucket, key, id string) error
	KeepsTimes(ctx context.Context) (bool, error)
	Versioning(ctx context.Context, bucket string) (storage.Versioning, error)
	KnownVersioning(ctx context.Context, bucket string) (storage.Versioning, error)
}

// versions returns a site's versionStore.
func (s *site) versions() (versionStore, error) {
	for c := s.client; c != nil; {
		if v, ok := c.(versionStore); ok {
			return v, nil
		}
		u, ok := c.(interface{ Unwrap() storage.Storage })
		if !ok {
			break
		}
		c = u.Unwrap()
	}
	return nil, fmt.Errorf("%w: %s has none", errUnversioned, s.name)
}

// anywhere says whether a key may be written at every copy: its policy says so, or said so
// and what was written has not been brought together yet. The snapshot knows, so that an
// event becomes an exception whether or not the store answers.
func (e *Engine) anywhere(bucket, key string) bool {
	return e.ctl.Router().Snapshot().Anywhere(bucket, key)
}

// side is one cluster that takes part in a key, with what its storage shows.
type side struct {
	*site
	versions versionStore
	now      storage.Version
	// leaves: the copy is on its way out; it is read and not written.
	leaves bool
	err    error // why it could not be asked
}

// meeting is one key in all clusters that take part in it.
type meeting struct {
	*Engine
	task
	rows   []state.Copy
	row    state.Copy // of the task's cluster
	mine   *side
	sides  []*side // those that could be asked, mine among them
	winner *side
}

// settleAnywhere brings one object in one cluster in step with the version that wins among
// all clusters that can be asked. What stands there and beats the others stays, and the
// others are noted. It is settleOnce for what may be written anywhere.
func (e *Engine) settleAnywhere(ctx context.Context, t task) (verdict, error) {
	m, err := e.meet(ctx, t)
	if err != nil || m == nil {
		return moot, err
	}
	v, err := m.decide(ctx)
	if err != nil {
		return 0, err
	}
	return v, m.noteOthers(ctx, v)
}

// meet asks every cluster that takes part in the key; nil if there is nothing to settle.
func (e *Engine) meet(ctx context.Context, t task) (*meeting, error) {
	snap := e.ctl.Router().Snapshot()
	rule, ok := snap.RuleOf(t.bucket, t.key)
	if !ok {
		return nil, nil
	}
	rows, err := e.ledger.of(ctx, t.bucket)
	if err != nil {
		return nil, err
	}
	i := indexCopy(rows, rule.Prefix, t.cluster)
	switch {
	case i < 0:
		return nil, errNoCopy
	case carryingOver(rows):
		return nil, errMoving
	case rows[i].State == catalog.CopyDraining, rows[i].State == catalog.CopyRemoving:
		return nil, errLeaving
	}
	m := &meeting{Engine: e, task: t, rows: rows, row: rows[i]}
	sides := e.sidesOf(snap, t, rule.Prefix)
	e.ask(ctx, t, sides)
	return m, m.judge(sides)
}

// sidesOf lists the clusters that take part in a key: those with a copy that was begun, and
// those whose copies leave and may hold what nobody else does.
func (e *Engine) sidesOf(snap *routing.Snapshot, t task, rule string) []*side {
	var sides []*side
	for _, c := range snap.Copies(t.bucket) {
		leaves := c.State == catalog.CopyDraining || c.State == catalog.CopyRemoving
		covers := c.Prefix == rule || leaves && strings.HasPrefix(t.key, c.Prefix)
		waits := c.State == catalog.CopyWaiting && !c.Primary
		switch {
		case !covers, waits && c.Cluster != t.cluster:
			continue
		case t.against != "" && c.Cluster != t.against && c.Cluster != t.cluster:
			continue
		}
		if i := slices.IndexFunc(sides, func(s *side) bool { return s.name == c.Cluster }); i >= 0 {
			sides[i].leaves = sides[i].leaves && leaves
			continue
		}
		s := &side{leaves: leaves}
		if s.site, s.err = e.sites.usable(c.Cluster); s.site == nil {
			s.site = &site{name: c.Cluster}
		}
		sides = append(sides, s)
	}
	return sides
}

// ask looks at the key in all clusters at once.
func (e *Engine) ask(ctx context.Context, t task, sides []*side) {
	var wg sync.WaitGroup
	for _, s := range sides {
		if s.err != nil {
			continue
		}
		wg.Go(func() { s.err = e.look(ctx, s, t.bucket, t.key) })
	}
	wg.Wait()
}

// look reads what a cluster shows under a key.
func (e *Engine) look(ctx context.Context, s *side, bucket, key string) error {
	ctx, cancel := context.WithTimeout(ctx, e.tune.CallTimeout)
	defer cancel()
	err := e.versioned(ctx, s.site, bucket, false)
	if err == nil {
		s.versions, _ = s.site.versions()
		s.now, err = s.versions.Current(ctx, bucket, key)
	}
	e.observed(s.site, err)
	if err != nil {
		return fmt.Errorf("asking %s: %w", s.name, err)
	}
	return nil
}

// versioned says whether a bucket keeps versions at a site; anew asks the storage rather
// than memory.
func (e *Engine) versioned(ctx context.Context, s *site, bucket string, anew bool) error {
	vs, err := s.versions()
	if err != nil {
		return err
	}
	asked := vs.KnownVersioning
	if anew {
		asked = vs.Versioning
	}
	switch v, err := asked(ctx, bucket); {
	case err != nil:
		return err
	case v != storage.VersioningOn:
		return fmt.Errorf("%w, and it is %s for bucket %s in %s", errUnversioned, v, s.client.Physical(bucket), s.name)
	}
	return nil
}

// judge finds the winner among those that could be asked. It needs the task's own cluster
// and another one; a primary whose bucket is missing stops everything.
func (m *meeting) judge(all []*side) error {
	var alone error
	for _, s := range all {
		switch {
		case s.name == m.cluster && s.err != nil:
			return s.err
		case s.name == m.cluster:
			m.mine = s
		case errors.Is(s.err, storage.ErrNoBucket) && s.name == primaryOf(m.rows):
			return fmt.Errorf("%w in %s: %w", errNoSource, s.name, s.err)
		case errors.Is(s.err, storage.ErrPrecondition):
			return s.err // it changes just now
		case s.err != nil:
			alone = s.err
			continue
		}
		m.sides = append(m.sides, s)
	}
	switch {
	case m.mine == nil:
		return errNoCopy
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
func (m *meeting) decide(ctx context.Context) (verdict, error) {
	anew := false
	if storage.SameState(m.mine.now, m.winner.now) && (m.mine.now.Exists() || !m.winner.now.Exists()) {
		if anew = m.isDamaged(); !anew {
			return inStep, nil
		}
		if m.winner = m.twin(); m.winner == nil {
			return 0, fmt.Errorf("%w in %s, and no other cluster that can be asked shows this version", errDamaged, m.cluster)
		}
	}
	if !m.mine.now.Exists() && m.winner.now.Deleted {
		if m.winner.now.Written.IsZero() {
			return inStep, nil // it covers nothing
		}
		if keeps, err := m.mine.versions.KeepsTimes(ctx); err != nil || !keeps {
			return inStep, err // a marker there would tell nothing
		}
	}
	op := &operation{bucket: m.bucket, key: m.key, to: m.cluster, from: m.winner.name, total: m.winner.now.Size, anew: anew}
	opCtx, leave, err := m.gate.enter(ctx, op)
	if err != nil {
		return 0, err
	}
	defer leave()
	if !slices.Contains(m.ctl.Router().Snapshot().WantedIn(nil, m.bucket, m.key), m.cluster) && m.row.State != catalog.CopyFailed {
		return 0, errLeaving
	}
	v, err := m.act(opCtx, op)
	if cause := context.Cause(opCtx); err != nil && cause != nil && ctx.Err() == nil {
		err = fmt.Errorf("aborted: %w", cause)
	}
	return v, err
}

// isDamaged says whether what stands here was found to have other bytes than it should.
func (m *meeting) isDamaged() bool {
	return m.mine.now.ETag != "" && (m.damaged || m.rotten.is(m.objectRef, m.mine.now.Object))
}

// twin returns another cluster that shows the version that stands here, undamaged as far as
// is known.
func (m *meeting) twin() *side {
	for _, s := range m.sides {
		ref := objectRef{m.bucket, m.key, s.name}
		if s != m.mine && storage.CompareVersions(s.now, m.mine.now) == 0 && !m.rotten.is(ref, s.now.Object) {
			return s
		}
	}
	return nil
}

func (m *meeting) act(ctx context.Context, op *operation) (verdict, error) {
	if id := m.mine.now.VersionID; m.mine.now.ETag != "" && (id == "" || id == "null") {
		// The null version would be overwritten, had somebody suspended versioning just now.
		if err := m.versioned(ctx, m.mine.site, m.bucket, true); err != nil {
			return 0, err
		}
	}
	if m.winner.now.Deleted {
		return m.cover(ctx)
	}
	cond := storage.Condition{Absent: m.mine.now.ETag == "", IfETag: m.mine.now.ETag}
	n, err := m.transferAs(ctx, op, m.winner.site, m.mine.site, m.bucket, m.winner.now.Object,
		storage.CopyOptions{If: cond, Version: &m.winner.now})
	if err != nil {
		return 0, err
	}
	if op.anew {
		m.rotten.drop(m.objectRef)
	}
	d := delta{0, n - m.mine.now.Size}
	if cond.Absent {
		d.objects = 1
	}
	m.ledger.tally(m.id(), d)
	m.figures.copied(n)
	m.metrics.Replicated(m.cluster, n)
	m.emitTo(m.ctl.Events(), "copied", m.winner.name, n, "")
	return copied, nil
}

// cover puts a copy of the delete marker that won over what stands here.
func (m *meeting) cover(ctx context.Context) (verdict, error) {
	hides := m.mine.now.ETag != ""
	if hides && !m.takeDelete(ctx, m.id(), m.row) {
		m.tripBreaker(ctx, m.id())
		return 0, errHeld
	}
	cctx, cancel := context.WithTimeout(ctx, m.tune.CallTimeout)
	defer cancel()
	err := m.mine.versions.Cover(cctx, m.bucket, m.winner.now, m.mine.now)
	m.observed(m.mine.site, err)
	if err != nil {
		return 0, fmt.Errorf("deleting in %s: %w", m.cluster, err)
	}
	if !hides {
		return inStep, nil
	}
	m.ledger.tally(m.id(), delta{-1, -m.mine.now.Size})
	m.emitTo(m.ctl.Events(), "removed", "", 0, "")
	return removed, nil
}

func (m *meeting) id() copyID { return copyID{m.bucket, m.row.Prefix, m.cluster} }

// noteOthers leaves a row for every other cluster that was found behind and has none, so
// that whatever brought this one up brings all of them in step; and for the objects that
// were pulled from the primary, when that has got another version.
func (m *meeting) noteOthers(ctx context.Context, v verdict) error {
	snap := m.ctl.Router().Snapshot()
	wanted := snap.WantedIn(nil, m.bucket, m.key)
	var rows []state.Pending
	for _, s := range m.sides {
		if s == m.mine || s.leaves || storage.SameState(s.now, m.winner.now) || !slices.Contains(wanted, s.name) ||
			m.ctl.Router().Pending.Has(m.bucket, m.key, s.name) {
			continue
		}
		rows = append(rows, state.Pending{Bucket: m.bucket, Key: m.key, Cluster: s.name, Size: m.winner.now.Size, Since: m.since})
	}
	if v != inStep && m.cluster == snap.Primary(m.bucket) {
		for _, c := range m.ctl.Router().Pulled.AppendClusters(nil, m.bucket, m.key) {
			rows = append(rows, state.Pending{Bucket: m.bucket, Key: m.key, Cluster: c, Size: m.winner.now.Size, Since: m.since})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return m.ctl.AddPending(ctx, rows...)
}
