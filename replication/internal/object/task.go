package object

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// CopyFunc copies one object; see [storage.Copy].
type CopyFunc func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, o storage.Object, opts storage.CopyOptions) (storage.Object, error)

// Control is what this package needs of package control.
type Control interface {
	Store() state.Store
	// AddPending stores rows; they are exceptions to freshness when it returns.
	AddPending(ctx context.Context, rows ...state.Pending) error
	// Shared reports whether other instances may use the store.
	Shared() bool
}

// Timing holds the bounds of transfers and the time between attempts.
type Timing struct {
	StallTimeout time.Duration // of a transfer that moves no byte
	RetryBase    time.Duration // first delay after a failed attempt
	RetryMax     time.Duration // longest delay between attempts
}

// Options of a Settler. All are required but OnDemand.
type Options struct {
	Router  *routing.Router
	Control Control
	Copies  *copies.Store
	Guard   *guard.Guard
	Sites   *site.Sites
	Deletes *Deletes
	Report  *report.Report
	Copy    CopyFunc
	Log     *zap.Logger
	Now     func() time.Time
	Timing  Timing
}

// Task is one object in one cluster to be brought in step with the primary.
type Task struct {
	ids.Object
	// Size as far as known, for figures; unknown is -1.
	Size int64
	// Src is the object as the primary's listing or event showed it, nil if unknown.
	Src *storage.Object
	// Fresh: nothing is thought to be at the destination, so that writing there on the
	// condition that this is so saves asking.
	Fresh bool
	// Counted: the walk or scan that found it counted it in.
	Counted bool
	// Foreign is the object there that was found to be foreign before.
	Foreign state.Foreign
	// Against, where anywhere is written, is the only other cluster to be asked; "": all.
	Against string
	Since   time.Time
	// Walked: a walk over all histories follows, so that this key's need not be looked at.
	Walked bool
	// Gone are versions that the primary's storage told it has removed for good.
	Gone state.VersionIDs
	// Damaged: the object there is in step by its ETag, but its bytes are damaged.
	Damaged bool
	// Doubts: a walk counts what it finds to be older at the primary, before that replaces anything: it
	// is [ErrOlder].
	Doubts bool
	// Handover: it is part of the move of the primary to that cluster.
	Handover bool
}

// TaskOf returns what a row of a pending object says is to be done.
func TaskOf(row state.Pending) Task {
	return Task{
		Object: ids.ObjectIn(row.Bucket, row.Key, row.Cluster), Size: row.Size,
		Foreign: row.Foreign, Since: row.Since, Damaged: row.Damaged, Counted: row.Counted, Gone: row.Gone,
	}
}

// Outcome says how a task was settled.
type Outcome uint8

// The outcomes.
const (
	InStep  Outcome = iota // both sides were equal already
	Copied                 // the destination has the primary's content now
	Removed                // the destination has nothing now, as the primary
	Moot                   // there is nothing to bring in step any more
)

// Damages remembers the objects that were found to be damaged.
type Damages struct {
	by *memory.Memory[ids.Object, storage.Object]
}

const maxDamages = 100_000

// NewDamages returns a memory of none.
func NewDamages(now func() time.Time) *Damages {
	return &Damages{by: memory.New[ids.Object, storage.Object](maxDamages, 0, now)}
}

// Note remembers that this very object is damaged.
func (d *Damages) Note(ref ids.Object, o storage.Object) { d.by.Note(ref, o) }

// Drop forgets it, because it was written again.
func (d *Damages) Drop(ref ids.Object) { d.by.Drop(ref) }

// Is reports whether this very object was found to be damaged.
func (d *Damages) Is(ref ids.Object, o storage.Object) bool {
	was, ok := d.by.Get(ref)
	return ok && was.ETag == o.ETag && was.VersionID == o.VersionID &&
		was.LastModified.Truncate(time.Second).Equal(o.LastModified.Truncate(time.Second))
}

// Persist tries an object of a walk again when its storage was unavailable for a moment:
// one failed request in thousands must not start the walk over.
func (e *Settler) Persist(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == persistAttempts || !errors.Is(err, storage.ErrUnavailable) || errors.Is(err, site.ErrDown) {
			return err
		}
		if !delay.Sleep(ctx, e.RetryAfter(attempt, err)) {
			return err
		}
	}
}

// persistAttempts are the attempts at one object of a walk.
const persistAttempts = 3

// RetryAfter is the time before the next attempt at what failed so often, the last time
// with err: what will hardly change by itself is tried less often, a lost race more often.
func (e *Settler) RetryAfter(attempts int, err error) time.Duration {
	b := delay.Backoff{Base: e.o.Timing.RetryBase, Max: e.o.Timing.RetryMax}
	switch {
	case errors.Is(err, storage.ErrPrecondition):
		b.Base /= 5
	case errors.Is(err, storage.ErrRefused), errors.Is(err, storage.ErrFull), errors.Is(err, storage.ErrLocked):
		b.Base = max(b.Base, b.Max/10)
	}
	return b.After(attempts)
}

// Foreign returns what is on record as foreign under a key. A store that can't tell is an
// error: what FaDO may touch is not known then, and no conflict, which people would have to
// resolve.
func (e *Settler) Foreign(ctx context.Context, ref ids.Object) (state.Foreign, error) {
	row, err := e.PendingRow(ctx, ref)
	if err != nil || row == nil {
		return "", err
	}
	return row.Foreign, nil
}

// PendingRow returns an object's pending row, nil if it has none.
func (e *Settler) PendingRow(ctx context.Context, ref ids.Object) (*state.Pending, error) {
	if !e.o.Router.Pending.Has(ref.Bucket, ref.Key, ref.Cluster) {
		return nil, nil
	}
	rows, err := e.o.Control.Store().Queue().ListPending(ctx, state.PendingFilter{Bucket: ref.Bucket, Cluster: ref.Cluster},
		state.PendingKey{Bucket: ref.Bucket, Key: ref.Key}, 1)
	if err != nil || len(rows) == 0 || rows[0].Key != ref.Key {
		return nil, err
	}
	return &rows[0], nil
}
