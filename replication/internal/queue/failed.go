package queue

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// outcome notes how an attempt ended.
func (w *Workers) outcome(ctx context.Context, row state.Pending, err error) {
	if err == nil || errors.Is(err, object.ErrNoCopy) {
		w.failedToStore(ctx, "could not store that an object is in step; it is looked at again", w.o.Pending.Finish(ctx, row.RowKey()))
		w.gone.settled(row, w.o.Router.Pending.Has)
		if err == nil && row.Attempts == 0 && !row.Background {
			w.o.Report.Took(w.o.Now().Sub(row.Since))
		}
		return
	}
	w.failed(ctx, row, err)
}

// setback is what follows from why a row could not be settled.
type setback struct {
	hold    state.Hold
	wait    func(w *Workers, attempts int, err error) time.Duration // nil: held, until people decide
	counts  bool                                                    // as a failed attempt
	atLeast int                                                     // attempts shown, so that it is among the failing objects
}

func fixed(d time.Duration) func(*Workers, int, error) time.Duration {
	return func(*Workers, int, error) time.Duration { return delay.Jitter(d) }
}

func longest(w *Workers, _ int, _ error) time.Duration { return delay.Jitter(w.o.Timing.RetryMax) }

// setbacks are tried in order. What is not in the list counts as a failed attempt and is
// tried again after a time that grows.
var setbacks = []struct {
	why error
	setback
}{
	{object.ErrConflict, setback{hold: state.HoldConflict}},
	{object.ErrHeld, setback{hold: state.HoldDeletes}},
	// No failures: these wait for something else.
	{guard.ErrPath, setback{wait: fixed(time.Second)}}, // another instance may do it
	{guard.ErrMoving, setback{wait: fixed(time.Second)}},
	{object.ErrLeaving, setback{wait: fixed(time.Second)}},
	{object.ErrNotMade, setback{wait: fixed(time.Second)}},
	{control.ErrCutOff, setback{wait: fixed(time.Second)}}, // no lease: another instance may own the row
	{errNotHere, setback{wait: func(w *Workers, _ int, _ error) time.Duration { return delay.Jitter(w.o.Timing.RetryMax / 10) }}},
	{guard.ErrElsewhere, setback{wait: fixed(10 * time.Second)}}, // a scan finds out, or people say
	{guard.ErrForbidden, setback{wait: fixed(2 * time.Second)}},
	// These become due when the storage is back, or has space. One attempt shows them among
	// the failing objects; counting more would only delay them.
	{site.ErrFullWait, setback{wait: longest, atLeast: 1}},
	{storage.ErrFull, setback{wait: func(w *Workers, _ int, _ error) time.Duration { return delay.Jitter(w.o.Timing.FullProbe) }, counts: true}},
	{site.ErrDown, setback{wait: longest, atLeast: 1}},
}

var failure = setback{wait: func(w *Workers, attempts int, err error) time.Duration { return w.o.Settler.RetryAfter(attempts, err) }, counts: true}

// Lasts reports whether an object that could not be settled stays so until something else than
// a storage changes: what people decide, a policy, a pause.
func Lasts(err error) bool {
	for _, why := range []error{guard.ErrForbidden, object.ErrNoCopy, storage.ErrRefused, storage.ErrInconsistent, errPaused} {
		if errors.Is(err, why) {
			return true
		}
	}
	return setbackOf(err).wait == nil
}

func setbackOf(err error) setback {
	for _, s := range setbacks {
		if errors.Is(err, s.why) {
			return s.setback
		}
	}
	return failure
}

// failed stores why a row could not be settled and when it is tried again. A row is
// never dropped.
func (w *Workers) failed(ctx context.Context, row state.Pending, err error) {
	row = w.after(row, err)
	if (row.Attempts > 0 || row.Hold != state.HoldNone) && !errors.Is(err, site.ErrFullWait) {
		w.o.Report.Failed(ids.ObjectIn(row.Bucket, row.Key, row.Cluster), string(object.KindOf(err)), row.Error)
		w.o.Log.Debug("an object is not in step yet", zap.String("bucket", row.Bucket), zap.String("key", row.Key),
			zap.String("cluster", row.Cluster), zap.Int("attempts", row.Attempts), zap.Error(err))
	}
	const notStored = "could not store why an object is not in step; it is tried again when its claim runs out"
	w.failedToStore(ctx, notStored, w.o.Pending.Fail(ctx, row))
	if errors.Is(err, site.ErrDown) && w.isBack(row) || errors.Is(err, object.ErrHeld) && !w.o.Settler.HoldsDeletes(ctx, row) {
		row.Hold, row.NextAttempt = state.HoldNone, w.o.Now().Add(delay.Jitter(time.Second))
		w.failedToStore(ctx, notStored, w.o.Pending.Fail(ctx, row))
	}
	if errors.Is(err, storage.ErrNoBucket) && !errors.Is(err, object.ErrNoSource) || errors.Is(err, guard.ErrElsewhere) {
		w.o.Scan(row.Bucket) // a scan makes a copy's missing bucket, and finds out what became of the storage
	}
}

// after is a row after an attempt that ended with err.
func (w *Workers) after(row state.Pending, err error) state.Pending {
	s := setbackOf(err)
	row.Error, row.Cause, row.Hold = err.Error(), object.KindOf(err), s.hold
	if row.Damaged && !errors.Is(err, object.ErrDamaged) {
		row.Error = object.ErrDamaged.Error() + ", and could not be written again: " + row.Error
		if row.Cause != state.CauseDown && row.Cause != state.CauseFull { // where people can help with these first
			row.Cause = state.CauseCorrupt
		}
	}
	if s.wait == nil {
		if row.Attempts = 0; s.hold == state.HoldConflict {
			row.Foreign = object.ForeignIn(err)
		}
		return row
	}
	if s.counts {
		row.Attempts++
	}
	row.Attempts = max(row.Attempts, s.atLeast)
	row.NextAttempt = w.o.Now().Add(s.wait(w, row.Attempts, err))
	return row
}

// isBack reports whether the storages a row is about are up. A storage that came back while
// a row for it failed has made its rows due before this one was among them.
func (w *Workers) isBack(row state.Pending) bool {
	return w.o.Sites.Up(w.o.Router.Snapshot().Of(row.Bucket).Primary(), row.Cluster)
}
