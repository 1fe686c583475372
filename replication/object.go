package replication

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Errors that say why an object is not settled now.
var (
	errConflict = errors.New("not FaDO's to replace or remove")
	errHeld     = errors.New("held: more deletes than max_deletes allows")
	errNoSource = errors.New("the primary's bucket is missing")
	errLeaving  = errors.New("the copy is leaving")
	errNoCopy   = errors.New("no copy of this object is wanted there")
	errStalled  = errors.New("the transfer stalled")
)

// CopyFunc copies one object; see storage.Copy.
type CopyFunc func(ctx context.Context, src, dst storage.Storage, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error)

// copyObject is the CopyFunc of storages that are there.
func copyObject(ctx context.Context, src, dst storage.Storage, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error) {
	return storage.Copy(ctx, src, dst, bucket, o, opts)
}

// task is one object in one cluster to be brought in step with the primary.
type task struct {
	objectRef
	// size as far as known, for figures; unknown is -1.
	size int64
	// src is the object as the primary's listing or event showed it, nil if unknown.
	src *storage.Object
	// fresh: nothing is thought to be at the destination, so that writing there on the
	// condition that this is so saves asking.
	fresh bool
	// counted: the walk or scan that found it counted it in.
	counted bool
	// foreign: what lies there was found to be somebody else's before.
	foreign bool
	// against, where anywhere is written, is the only other cluster to be asked; "": all.
	against string
	since   time.Time
	// damaged: what lies there is in step by its ETag, and its bytes are not.
	damaged bool
}

// verdict says how a task was settled.
type verdict uint8

const (
	inStep  verdict = iota // both sides were equal already
	copied                 // the destination has the primary's content now
	removed                // the destination has nothing now, as the primary
	moot                   // there is nothing to bring in step any more
)

// situation is a task with what decides it, read after it entered the gate.
type situation struct {
	*Engine
	task
	op       *operation
	rows     []state.Copy
	row      state.Copy
	src, dst *site
}

// settle brings one object in one cluster in step with the primary: it looks at both
// and copies, removes, or leaves alone. It may be called for any object at any time. The
// caller holds a slot.
func (e *Engine) settle(ctx context.Context, t task) (verdict, error) {
	unlock, err := e.keys.lock(ctx, t.objectRef)
	if err != nil {
		return 0, err
	}
	defer unlock()
	var v verdict
	once := e.settleOnce
	if e.anywhere(t.bucket, t.key) {
		once = e.settleAnywhere
	}
	for range 3 { // a lost race is decided anew, by what is there then
		v, err = once(ctx, t)
		if errors.Is(err, errNoCopy) {
			v, err = e.refreshPulled(ctx, t)
		}
		if !errors.Is(err, storage.ErrPrecondition) {
			break
		}
		t.src, t.fresh = nil, false
	}
	return v, err
}

func (e *Engine) settleOnce(ctx context.Context, t task) (verdict, error) {
	op := &operation{
		bucket: t.bucket, key: t.key, to: t.cluster, total: t.size,
		from: e.ctl.Router().Snapshot().Primary(t.bucket),
	}
	opCtx, leave, err := e.gate.enter(ctx, op)
	if err != nil {
		return 0, err
	}
	defer leave()
	s, err := e.situate(opCtx, t, op)
	if err != nil {
		return 0, err
	}
	if s == nil {
		return moot, nil
	}
	v, err := s.decide(opCtx)
	if cause := context.Cause(opCtx); err != nil && cause != nil && ctx.Err() == nil {
		err = fmt.Errorf("aborted: %w", cause)
	}
	return v, err
}

// situate finds what a task is decided by; nil if there is nothing to decide: the bucket
// is gone, has no copy of the object there, or is written there.
func (e *Engine) situate(ctx context.Context, t task, op *operation) (*situation, error) {
	snap := e.ctl.Router().Snapshot()
	rule, ok := snap.RuleOf(t.bucket, t.key)
	if !ok {
		return nil, nil
	}
	primary := snap.Primary(t.bucket)
	if primary == "" || primary != op.from {
		return nil, errMoving
	}
	rows, err := e.ledger.of(ctx, t.bucket)
	if err != nil {
		return nil, err
	}
	i := indexCopy(rows, rule.Prefix, t.cluster)
	switch {
	case primary == t.cluster && carryingOver(rows):
		return nil, errMoving
	case primary == t.cluster:
		return nil, nil
	case i < 0:
		return nil, errNoCopy
	case rows[i].FormerPrimary:
		return nil, errMoving
	case rows[i].State == catalog.CopyDraining, rows[i].State == catalog.CopyRemoving:
		return nil, errLeaving
	}
	s := &situation{Engine: e, task: t, op: op, rows: rows, row: rows[i]}
	if s.src, err = e.sites.usable(primary); err != nil {
		return nil, err
	}
	s.dst, err = e.sites.usable(t.cluster)
	return s, err
}

// carryingOver says whether a former primary's last writes are yet to be compared.
func carryingOver(rows []state.Copy) bool {
	for _, r := range rows {
		if r.FormerPrimary {
			return true
		}
	}
	return false
}

// decide compares both sides and acts.
func (s *situation) decide(ctx context.Context) (verdict, error) {
	if s.fresh && s.task.src != nil {
		err := s.copy(ctx, *s.task.src, storage.Condition{Absent: true}, nil)
		if err == nil {
			return copied, nil
		}
		if !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrPrecondition) {
			return 0, err
		}
	}
	src, dst, err := s.look(ctx)
	switch {
	case err != nil:
		return 0, err
	case src == nil && dst == nil:
		return inStep, nil
	case src == nil:
		return s.remove(ctx, *dst)
	case dst == nil:
		return copied, s.copy(ctx, *src, storage.Condition{Absent: true}, nil)
	}
	return s.replace(ctx, *src, *dst)
}

// look asks both storages for the object; nil means it is positively not there.
func (s *situation) look(ctx context.Context) (src, dst *storage.Object, err error) {
	var srcErr, dstErr error
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		dst, dstErr = s.stat(ctx, s.dst, s.bucket, s.key)
	}()
	src, srcErr = s.stat(ctx, s.src, s.bucket, s.key)
	wg.Wait()
	if errors.Is(srcErr, storage.ErrNoBucket) {
		return nil, nil, fmt.Errorf("%w in %s: %w", errNoSource, s.src.name, srcErr)
	}
	if srcErr != nil {
		return nil, nil, fmt.Errorf("asking the primary %s: %w", s.src.name, srcErr)
	}
	if dstErr != nil {
		return nil, nil, fmt.Errorf("asking %s: %w", s.dst.name, dstErr)
	}
	return src, dst, nil
}

// stat is Stat with its time bound; nil, nil means the storage said that the bucket is
// there and the key is not.
func (e *Engine) stat(ctx context.Context, st *site, bucket, key string) (*storage.Object, error) {
	cctx, cancel := context.WithTimeout(ctx, e.tune.CallTimeout)
	defer cancel()
	o, err := st.client.Stat(cctx, bucket, key)
	e.observed(st, err)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &o, nil
}

// replace brings an object that is on both sides in step.
func (s *situation) replace(ctx context.Context, src, dst storage.Object) (verdict, error) {
	if storage.Compare(src, dst) == storage.Equal {
		if !s.damaged && !s.rotten.is(s.objectRef, dst) {
			return inStep, nil
		}
		return copied, s.rewrite(ctx, src, dst)
	}
	if !s.mayTouch(ctx, dst) && !s.supersedes(src, dst) {
		return 0, fmt.Errorf("%w: %s has another object of this key (%d bytes, ETag %s, modified %s)", errConflict,
			s.cluster, dst.Size, dst.ETag, dst.LastModified.UTC().Format(time.RFC3339))
	}
	return copied, s.copy(ctx, src, storage.Condition{IfETag: dst.ETag}, &dst)
}

// rewrite writes the primary's object over a damaged copy of it. That destroys nothing:
// by all that the storage says of it the copy is the same.
func (s *situation) rewrite(ctx context.Context, src, dst storage.Object) error {
	s.op.anew = true
	if err := s.copy(ctx, src, storage.Condition{IfETag: dst.ETag}, &dst); err != nil {
		return err
	}
	s.rotten.drop(s.objectRef)
	return nil
}

// remove takes an object away that the primary positively has not.
func (s *situation) remove(ctx context.Context, dst storage.Object) (verdict, error) {
	if !s.mayTouch(ctx, dst) {
		return 0, fmt.Errorf("%w: an object %s has and the primary has not (%d bytes, ETag %s, modified %s)", errConflict,
			s.cluster, dst.Size, dst.ETag, dst.LastModified.UTC().Format(time.RFC3339))
	}
	id := copyID{s.bucket, s.row.Prefix, s.cluster}
	row, err := s.freshRow(ctx, id, s.row)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errMoving, err)
	}
	if !s.takeDelete(ctx, id, row) {
		s.tripBreaker(ctx, id)
		return 0, errHeld
	}
	cctx, cancel := context.WithTimeout(ctx, s.tune.CallTimeout)
	defer cancel()
	err = s.dst.client.Delete(cctx, s.bucket, s.key, dst.ETag)
	s.observed(s.dst, err)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return 0, fmt.Errorf("removing from %s: %w", s.cluster, err)
	}
	if !s.counted {
		s.ledger.tally(id, delta{-1, -dst.Size})
	}
	s.emitTransfer("removed", "", 0, "")
	return removed, nil
}

// copy writes the primary's object to the destination on a condition; over is what it
// replaces there.
func (s *situation) copy(ctx context.Context, src storage.Object, cond storage.Condition, over *storage.Object) error {
	if s.rotten.is(objectRef{s.bucket, s.key, s.src.name}, src) {
		return fmt.Errorf("the primary's object is no source: %w", errDamaged)
	}
	n, err := s.transfer(ctx, s.op, s.src, s.dst, s.bucket, src, cond)
	if err != nil {
		return err
	}
	d := delta{1, n}
	if over != nil {
		d = delta{0, n - over.Size}
	}
	if !s.counted {
		s.ledger.tally(copyID{s.bucket, s.row.Prefix, s.cluster}, d)
	}
	s.figures.copied(n)
	s.metrics.Replicated(s.cluster, n)
	s.emitTransfer("copied", s.src.name, n, "")
	return nil
}

// transfer moves one object between storages, with its bandwidth and stall bounds, and
// returns its size.
func (e *Engine) transfer(ctx context.Context, op *operation, src, dst *site, bucket string, obj storage.Object, cond storage.Condition) (int64, error) {
	return e.transferAs(ctx, op, src, dst, bucket, obj, storage.CopyOptions{If: cond})
}

// transferAs is transfer with options of the copy; the bounds are set here.
func (e *Engine) transferAs(ctx context.Context, op *operation, src, dst *site, bucket string, obj storage.Object, opts storage.CopyOptions) (int64, error) {
	if src.client == nil || dst.client == nil {
		return 0, storage.ErrUnavailable
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(e.tune.StallTimeout, func() { cancel(errStalled) })
	defer stall.Stop()
	note := uploadNote{e, objectRef{bucket, obj.Key, dst.name}}
	e.own.note(note.objectRef, obj)
	began := time.Now()
	var waited atomic.Int64 // for bandwidth
	if err := dst.space.admit(e.now(), e.tune.FullProbe); err != nil {
		return 0, fullError(dst, err)
	}
	opts.Rewrite = op.anew
	opts.Progress = func(n int64) {
		op.done.Add(n)
		stall.Reset(e.tune.StallTimeout)
	}
	opts.Limit = func(ctx context.Context, n int) error {
		defer stall.Reset(e.tune.StallTimeout)
		asked := time.Now()
		defer func() { waited.Add(int64(time.Since(asked))) }()
		return e.limit(ctx, src, dst, n)
	}
	opts.Upload = note
	got, err := e.copyOne(ctx, src.client, dst.client, bucket, obj, opts)
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		err = fmt.Errorf("no byte moved in %s: %w: %w", e.tune.StallTimeout, errStalled, storage.ErrUnavailable)
	}
	e.wrote(dst, err)
	if errors.Is(err, storage.ErrFull) && storage.At(err) == dst.name {
		err = fullError(dst, err)
	}
	if storage.At(err) == src.name {
		e.observed(src, err)
	} else {
		e.observed(dst, err)
	}
	if err != nil {
		e.afterTransfer(ctx, op, dst, note)
		return 0, fmt.Errorf("copying from %s to %s: %w", src.name, dst.name, err)
	}
	e.slots.flowing(src.name, time.Now())
	if obj.Size <= smallObject && time.Since(began)-time.Duration(waited.Load()) > slowAnswer {
		e.slots.congested(dst.name, time.Now())
	}
	e.given.note(givenRef(bucket, obj.Key, src, dst), obj)
	return got.Size, nil
}

// mayTouch is owns with a fresh look at what is on record: a walk may have found the object
// to be somebody else's since the task's row was claimed.
func (s *situation) mayTouch(ctx context.Context, o storage.Object) bool {
	s.foreign = s.foreign || s.isForeign(ctx, s.objectRef)
	return s.owns(o)
}

// owns says whether FaDO may replace or remove what lies at the copy. An object with
// FaDO's mark is FaDO's if it was compared with the primary in this copy's life, or lies in
// a bucket that FaDO made; one without is if it was compared, which it was when it is
// older than the comparison and not on record as somebody else's, or when FaDO copied this
// very version from here a moment ago, while the bucket was written here.
func (s *situation) owns(o storage.Object) bool {
	switch {
	case s.foreign:
		return false
	case o.Replica:
		return s.compared() || madeBucket(s.rows, s.cluster)
	default:
		return s.compared() && (writtenBefore(o, s.row.OwnedUntil) || s.gave(s.key, s.dst, s.src, o))
	}
}

// compared says whether the key was compared with the primary since the copy began.
func (s *situation) compared() bool {
	return !s.row.VerifiedAt.IsZero() ||
		(s.row.State == catalog.CopySyncing && s.row.Cursor != "" && s.key <= s.row.Cursor)
}

// gave says whether FaDO copied this version of an object from one storage to another
// lately.
func (s *situation) gave(key string, from, to *site, o storage.Object) bool {
	return s.Engine.gave(givenRef(s.bucket, key, from, to), o)
}

func (e *Engine) gave(ref objectRef, o storage.Object) bool {
	was, ok := e.given.get(ref)
	return ok && was.ETag == o.ETag && was.Size == o.Size
}

func givenRef(bucket, key string, from, to *site) objectRef {
	return objectRef{bucket, key, from.name + ">" + to.name}
}

// writtenBefore says whether an object was written before a moment, both by the clock
// of its storage. HEAD and Date headers tell whole seconds, so that the second of the
// moment itself does not count.
func writtenBefore(o storage.Object, moment time.Time) bool {
	return !moment.IsZero() && o.LastModified.Before(moment.Truncate(time.Second))
}

// supersedes says whether the primary's object is a newer version of a marked copy that
// an earlier life of the bucket left: replacing that loses nothing.
func (s *situation) supersedes(src, dst storage.Object) bool {
	was := dst.Source.ModTime
	if was.IsZero() {
		was = dst.LastModified
	}
	return dst.Replica && !s.foreign && src.LastModified.Truncate(time.Second).After(was)
}

// persist tries an object of a walk again when its storage was unavailable for a moment:
// one failed request in thousands must not start the walk over.
func (e *Engine) persist(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == walkAttempts || !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, errDown) {
			return err
		}
		if !sleep(ctx, e.backoff(attempt, err)) {
			return err
		}
	}
}

// walkAttempts are the attempts at one object of a walk.
const walkAttempts = 3

// tripBreaker holds a copy's deletes until people decide.
func (e *Engine) tripBreaker(ctx context.Context, id copyID) {
	_, err := e.ledger.amend(ctx, id, func(c *state.Copy) bool {
		was := c.HeldDeletes
		c.HeldDeletes = true
		return !was
	})
	if err != nil {
		e.log.Warn("noting that a copy's deletes are held", zap.String("bucket", id.bucket), zap.String("cluster", id.cluster), zap.Error(err))
	}
}

func (t task) emitTo(bus *control.Bus, op, from string, n int64, reason string) {
	bus.Emit(control.Event{
		Type: control.EventTransfer, Op: op, Bucket: t.bucket, Key: t.key, Cluster: t.cluster,
		From: from, Bytes: n, Reason: reason,
	})
}

func (s *situation) emitTransfer(op, from string, n int64, reason string) {
	s.emitTo(s.ctl.Events(), op, from, n, reason)
}

// kindOf names an error for the failures' counter.
func kindOf(err error) string {
	for _, k := range []struct {
		err  error
		name string
	}{
		{errConflict, "conflict"},
		{errHeld, "held"},
		{errUnversioned, "unversioned"},
		{errForbidden, "forbidden"},
		{errNoSource, "no_source"},
		{control.ErrCutOff, "cut_off"},
		{errDown, "down"},
		{errStalled, "stalled"},
		{storage.ErrDenied, "denied"},
		{storage.ErrFull, "full"},
		{storage.ErrRefused, "refused"},
		{errDamaged, "corrupt"},
		{storage.ErrCorrupt, "corrupt"},
		{storage.ErrPrecondition, "changed"},
		{storage.ErrNoBucket, "no_bucket"},
		{storage.ErrUnavailable, "unavailable"},
		{context.DeadlineExceeded, "timeout"},
	} {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "other"
}
