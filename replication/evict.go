package replication

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// evictWindow bounds the objects removed at a time from one copy.
const evictWindow = 8

// versionKeeper is what a storage offers that can tell whether every version of an
// object was put there by FaDO. Without it, versions are never removed for good.
type versionKeeper interface {
	OnlyCopies(ctx context.Context, bucket, key string) (bool, error)
	VersionedKeys(ctx context.Context, bucket, prefix string) iter.Seq2[string, error]
}

// eviction removes the objects of a copy that has left routing.
type eviction struct {
	*walk
	keep      func(key string) bool // keys that another copy in the cluster holds
	versioned bool                  // the copy's bucket keeps versions

	removed, kept atomic.Int64
	foreign       atomic.Pointer[string] // one that stayed, for the report
	notYet        atomic.Pointer[error]
}

// evictCopy sees a copy that left routing off: it waits for the requests in flight, then
// removes the objects, then the copy's row. It can be interrupted anywhere and begun anew.
func (r *run) evictCopy(ctx context.Context, id copyID) error {
	row, ok, err := r.ledger.get(ctx, id)
	if err != nil || !ok {
		return err
	}
	if row.State == catalog.CopyDraining {
		if err := r.awaitDrained(ctx, row); err != nil {
			return err
		}
		done, err := r.ledger.amend(ctx, id, func(c *state.Copy) bool {
			if c.State != catalog.CopyDraining || c.Primary {
				return false
			}
			c.State = catalog.CopyRemoving
			return true
		})
		if err != nil || !done {
			return errors.Join(err, errStateChanged)
		}
	}
	w, err := r.newWalk(ctx, id, catalog.CopyRemoving)
	if err != nil {
		return err
	}
	return (&eviction{walk: w}).run(ctx)
}

// awaitDrained waits until no request that was routed to the copy is in flight any more,
// or their time is up.
func (r *run) awaitDrained(ctx context.Context, row state.Copy) error {
	// Every instance has stopped routing there; what they still serve is not known here.
	if err := r.ctl.Confirm(ctx); err != nil {
		return err
	}
	deadline := row.DrainSince.Add(r.conf().DrainTimeout)
	if r.others(ctx) && !sleep(ctx, time.Until(deadline)) {
		return ctx.Err()
	}
	if !sleep(ctx, r.tune.DrainGrace) { // decisions taken on the snapshot before
		return ctx.Err()
	}
	for r.ctl.Router().Flights.InFlight(row.Bucket, row.Cluster) > 0 && r.now().Before(deadline) {
		if !sleep(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

func (v *eviction) run(ctx context.Context) error {
	v.keep = v.keeper()
	if err := v.settled(); err != nil {
		return err
	}
	// Copying into this copy ended when its state changed, but for what was on its way.
	err := v.gate.exclusively(ctx, v.id.bucket, v.id.cluster, v.tune.CallTimeout, func() error { return nil })
	if err != nil {
		return err
	}
	if v.versioned, err = v.keepsVersions(ctx, v.dst, v.id.bucket); err != nil {
		return err
	}
	if keeper, ok := v.dst.client.(versionKeeper); ok && v.anywhere && v.versioned {
		if err := v.runAnywhere(ctx, keeper); err != nil {
			return err
		}
		return v.finish(ctx)
	}
	if err := v.removeAll(ctx); err != nil {
		return err
	}
	if p := v.notYet.Load(); p != nil {
		return *p
	}
	if err := v.removeHidden(ctx); err != nil {
		return err
	}
	return v.finish(ctx)
}

// removeHidden removes what a listing does not show: versions of FaDO's below a delete
// marker. They are what the primary deleted or replaced.
func (v *eviction) removeHidden(ctx context.Context) error {
	keeper, ok := v.dst.client.(versionKeeper)
	if !ok || !v.versioned {
		return nil
	}
	for key, err := range keeper.VersionedKeys(ctx, v.id.bucket, v.id.prefix) {
		if err != nil {
			return err
		}
		if v.keep(key) {
			continue
		}
		if err := v.pause.wait(ctx); err != nil {
			return err
		}
		if err := v.persist(ctx, func() error { return v.hidden(ctx, keeper, key) }); err != nil {
			return err
		}
	}
	return nil
}

// hidden removes one key's versions for good, if it has no current one and all are FaDO's.
func (v *eviction) hidden(ctx context.Context, keeper versionKeeper, key string) error {
	ref := objectRef{v.id.bucket, key, v.id.cluster}
	return v.removing(ctx, ref, func(ctx context.Context) error {
		now, err := v.stat(ctx, v.dst, ref.bucket, key)
		if err != nil || now != nil {
			return err // it stayed for a reason, or came since
		}
		cctx, cancel := context.WithTimeout(ctx, v.tune.CallTimeout)
		defer cancel()
		forGood, err := keeper.OnlyCopies(cctx, ref.bucket, key)
		if err != nil || !forGood {
			return err
		}
		return v.dst.client.DeleteAllVersions(cctx, ref.bucket, key)
	})
}

// removing runs f as an operation on an object of the copy.
func (v *eviction) removing(ctx context.Context, ref objectRef, f func(context.Context) error) error {
	unlock, err := v.keys.lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := &operation{bucket: ref.bucket, key: ref.key, to: ref.cluster, total: -1, allowed: v.mayRemove(ref.key)}
	opCtx, leave, err := v.gate.enter(ctx, op)
	if errors.Is(err, errForbidden) {
		return errStateChanged
	}
	if err != nil {
		return err
	}
	defer leave()
	return f(opCtx)
}

// keepsVersions says whether a physical bucket keeps versions; one that is not there
// keeps none.
func (r *run) keepsVersions(ctx context.Context, s *site, bucket string) (bool, error) {
	cctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	versioned, err := s.client.Versioned(cctx, bucket)
	if errors.Is(err, storage.ErrUnsupported) || errors.Is(err, storage.ErrNoBucket) {
		return false, nil
	}
	return versioned, err
}

// settled says whether every other copy that is wanted of the rule is synced: until then
// this one may be needed.
func (v *eviction) settled() error {
	for _, c := range v.ctl.Router().Snapshot().Copies(v.id.bucket) {
		wanted := c.State == catalog.CopyWaiting || c.State == catalog.CopySyncing
		if wanted && (strings.HasPrefix(c.Prefix, v.id.prefix) || strings.HasPrefix(v.id.prefix, c.Prefix)) {
			return fmt.Errorf("the copy in %s is yet to be synced: %w", c.Cluster, errNotYet)
		}
	}
	return nil
}

// keeper tells which keys below the copy's prefix are not this copy's to remove: those of
// a longer rule, and those that another copy in the cluster holds.
func (v *eviction) keeper() func(string) bool {
	var own []string
	for _, c := range v.rows {
		if c.Cluster == v.id.cluster {
			own = append(own, c.Prefix)
		}
	}
	return func(key string) bool {
		snap := v.ctl.Router().Snapshot()
		rule, ok := snap.RuleOf(v.id.bucket, key)
		if !ok || len(rule.Prefix) > len(v.id.prefix) {
			return true
		}
		if rule.Prefix != v.id.prefix && slices.Contains(own, rule.Prefix) {
			return true
		}
		if _, pulled := v.ctl.Router().Pulled.Get(v.id.bucket, key, v.id.cluster); pulled {
			return true
		}
		return slices.Contains(snap.WantedIn(nil, v.id.bucket, key), v.id.cluster)
	}
}

// removeAll walks both listings and removes what may be removed.
func (v *eviction) removeAll(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	window := make(chan struct{}, evictWindow)
	var wg sync.WaitGroup
	defer wg.Wait()
	for p, err := range v.pairs(ctx, "") {
		if errors.Is(err, storage.ErrNoBucket) {
			return v.missing(ctx, err)
		}
		if err != nil {
			return errors.Join(err, ignoreCancel(context.Cause(ctx)))
		}
		if p.dst == nil || v.keep(p.key) {
			continue
		}
		if err := v.pause.wait(ctx); err != nil {
			return err
		}
		select {
		case window <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		p := pair{key: p.key}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-window }()
			err := v.persist(ctx, func() error { return v.object(ctx, p) })
			if err != nil && ctx.Err() == nil {
				v.failed(err, cancel)
			}
		}()
	}
	wg.Wait()
	return ignoreCancel(context.Cause(ctx))
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// missing ends an eviction whose bucket is gone; that the primary's is gone is no reason
// to remove anything.
func (v *eviction) missing(ctx context.Context, err error) error {
	cctx, cancel := context.WithTimeout(ctx, v.tune.CallTimeout)
	defer cancel()
	there, existsErr := v.dst.client.BucketExists(cctx, v.id.bucket)
	if existsErr != nil {
		return existsErr
	}
	if !there {
		return nil
	}
	err = fmt.Errorf("%w in %s: %w", errNoSource, v.src.name, err)
	v.sourceMissing(v.id.bucket, err)
	return err
}

// failed sorts what an object's removal met: some wait, some end the walk.
func (v *eviction) failed(err error, cancel context.CancelCauseFunc) {
	switch {
	case errors.Is(err, errNotYet), errors.Is(err, storage.ErrPrecondition):
		err = fmt.Errorf("%w: %w", errNotYet, err)
		v.notYet.Store(&err)
	default:
		cancel(err)
	}
}

// object removes one object if the primary has what it holds, or has moved on from it.
func (v *eviction) object(ctx context.Context, p pair) error {
	ref := objectRef{v.id.bucket, p.key, v.id.cluster}
	return v.removing(ctx, ref, func(ctx context.Context) error { return v.judge(ctx, ref) })
}

// mayRemove judges a removal by a snapshot: the copy is still leaving, the bucket is
// written elsewhere, and nothing there wants the key.
func (v *eviction) mayRemove(key string) func(*routing.Snapshot) bool {
	return func(s *routing.Snapshot) bool {
		if p := s.Primary(v.id.bucket); p == "" || p == v.id.cluster || p != v.src.name {
			return false
		}
		if slices.Contains(s.WantedIn(nil, v.id.bucket, key), v.id.cluster) {
			return false
		}
		for _, c := range s.Copies(v.id.bucket) {
			if c.Prefix == v.id.prefix && c.Cluster == v.id.cluster {
				return c.State == catalog.CopyRemoving
			}
		}
		return false
	}
}

// judge decides by fresh answers of both storages.
func (v *eviction) judge(ctx context.Context, ref objectRef) error {
	t := task{objectRef: ref, foreign: v.isForeign(ctx, ref)}
	s := &situation{Engine: v.Engine, task: t, rows: v.rows, row: v.row, src: v.src, dst: v.dst}
	src, dst, err := s.look(ctx)
	if err != nil {
		return err
	}
	switch {
	case dst == nil:
		return nil
	case src == nil && !s.owns(*dst):
		v.stays(ref, "the primary has not got it")
		return nil
	case src == nil:
		if !v.takeDelete(ctx, v.id, v.row) {
			v.tripBreaker(ctx, v.id)
			return errHeld
		}
	case storage.Compare(*src, *dst) != storage.Equal && !s.owns(*dst):
		v.stays(ref, "the primary has another one")
		return nil
	default:
		if err := v.elsewhere(ctx, ref); err != nil {
			return err
		}
	}
	n, err := v.removeForGood(ctx, v.dst, ref, *dst, v.versioned)
	if n {
		v.stays(ref, "older versions of it are not FaDO's; they stay below a delete marker")
	}
	if err == nil {
		v.removed.Add(1)
	}
	return err
}

// isForeign asks whether the object was found to be somebody else's before.
func (e *Engine) isForeign(ctx context.Context, ref objectRef) bool {
	row, err := e.pendingRow(ctx, ref)
	return err != nil || row != nil && row.Foreign // not known: nothing is touched
}

// pendingRow returns an object's pending row, nil if it has none.
func (e *Engine) pendingRow(ctx context.Context, ref objectRef) (*state.Pending, error) {
	if !e.ctl.Router().Pending.Has(ref.bucket, ref.key, ref.cluster) {
		return nil, nil
	}
	rows, err := e.ctl.Store().ListPending(ctx, state.PendingFilter{Bucket: ref.bucket, Cluster: ref.cluster},
		state.PendingKey{Bucket: ref.bucket, Key: ref.key}, 1)
	if err != nil || len(rows) == 0 || rows[0].Key != ref.key {
		return nil, err
	}
	return &rows[0], nil
}

// elsewhere says whether the object is where policy wants it now. A conflict at another
// copy is for people to resolve and does not keep this one.
func (v *eviction) elsewhere(ctx context.Context, ref objectRef) error {
	for _, c := range v.ctl.Router().Snapshot().WantedIn(nil, ref.bucket, ref.key) {
		row, err := v.pendingRow(ctx, objectRef{ref.bucket, ref.key, c})
		if err != nil {
			return err
		}
		if row != nil && row.Hold != state.HoldConflict {
			return fmt.Errorf("%s is on its way to %s: %w", ref.key, c, errNotYet)
		}
	}
	return v.settled()
}

// removeForGood takes an object away with all its versions, unless some of those were not
// put there by FaDO: then it is covered by a delete marker, and covered is true.
func (e *Engine) removeForGood(ctx context.Context, st *site, ref objectRef, o storage.Object, versioned bool) (covered bool, err error) {
	cctx, cancel := context.WithTimeout(ctx, e.tune.CallTimeout)
	defer cancel()
	forGood := false
	if keeper, ok := st.client.(versionKeeper); ok && versioned {
		if forGood, err = keeper.OnlyCopies(cctx, ref.bucket, ref.key); err != nil {
			return false, err
		}
	}
	if forGood {
		err = st.client.DeleteAllVersions(cctx, ref.bucket, ref.key)
	} else {
		err = st.client.Delete(cctx, ref.bucket, ref.key, o.ETag)
	}
	e.observed(st, err)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return false, fmt.Errorf("removing from %s: %w", ref.cluster, err)
	}
	task{objectRef: ref}.emitTo(e.ctl.Events(), "removed", "", 0, "")
	return versioned && !forGood, nil
}

// stays notes an object that is left where it is.
func (v *eviction) stays(ref objectRef, why string) {
	v.kept.Add(1)
	text := fmt.Sprintf("%q: %s", ref.key, why)
	v.foreign.Store(&text)
	v.log.Warn("an object stays at a copy that leaves: it is not FaDO's to remove",
		zap.String("bucket", ref.bucket), zap.String("key", ref.key), zap.String("cluster", ref.cluster), zap.String("reason", why))
}

// finish removes the copy's row, and the physical bucket if FaDO made it and nothing is
// left in it.
func (v *eviction) finish(ctx context.Context) error {
	rows, err := v.ledger.of(ctx, v.id.bucket)
	if err != nil {
		return err
	}
	last := !slices.ContainsFunc(rows, func(c state.Copy) bool {
		return c.Cluster == v.id.cluster && c.Prefix != v.id.prefix
	})
	if last && madeBucket(rows, v.id.cluster) && v.kept.Load() == 0 {
		if err := v.leaveToPulled(ctx, v.id.bucket, v.id.cluster); err != nil {
			return err
		}
		if err := v.dropBucket(ctx, v.dst, v.id.bucket); err != nil {
			return err
		}
	}
	err = v.ledger.update(ctx, v.id.bucket, func(rows []state.Copy) ([]state.Copy, error) {
		i := indexCopy(rows, v.id.prefix, v.id.cluster)
		if i < 0 || rows[i].State != catalog.CopyRemoving {
			return rows, errStateChanged
		}
		made := rows[i].MadeBucket
		rows = slices.Delete(rows, i, i+1)
		for j := range rows {
			if rows[j].Cluster == v.id.cluster {
				rows[j].MadeBucket = rows[j].MadeBucket || made
			}
		}
		return rows, nil
	})
	if err != nil {
		return err
	}
	v.breakers.forget(v.id)
	v.report()
	return nil
}

// dropBucket removes an empty bucket.
func (r *run) dropBucket(ctx context.Context, s *site, bucket string) error {
	cctx, cancel := context.WithTimeout(ctx, r.tune.CallTimeout)
	defer cancel()
	err := s.client.RemoveBucket(cctx, bucket)
	if errors.Is(err, storage.ErrPrecondition) || errors.Is(err, storage.ErrNoBucket) {
		return nil
	}
	return err
}

func (v *eviction) report() {
	v.log.Info("copy is removed", zap.String("bucket", v.id.bucket), zap.String("prefix", v.id.prefix),
		zap.String("cluster", v.id.cluster), zap.Int64("objects", v.removed.Load()), zap.Int64("left", v.kept.Load()))
	if p := v.foreign.Load(); p != nil {
		v.ctl.Events().Emit(control.Event{
			Type: control.EventCopy, Bucket: v.id.bucket, Prefix: v.id.prefix, Cluster: v.id.cluster, State: "gone",
			Reason: fmt.Sprintf("%d objects stayed there, being not FaDO's to remove; one is %s", v.kept.Load(), *p),
		})
	}
}
