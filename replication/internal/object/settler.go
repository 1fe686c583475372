package object

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Settler brings objects in step. All methods are safe for concurrent use.
type Settler struct {
	o Options

	// OnDemand settles an object where no copy is wanted: it may have been copied there on
	// demand. Nil: there is nothing to settle. It is set before work begins.
	OnDemand func(ctx context.Context, t Task) (Outcome, error)

	// Damaged is what verification found to be damaged. Forgetting costs no more than
	// finding it again: what is copied is checked on its way.
	Damaged *Damages

	// What it settles objects with, each for itself too.
	Provenance *Provenance
	Writes     *Writes
	Histories  *Histories
	Removals   *Removals
	Anywhere   *Anywhere
}

// New returns a settler.
func New(o Options) *Settler {
	e := &Settler{o: o, Damaged: NewDamages(o.Now), Provenance: newProvenance(o.Now)}
	e.Writes = &Writes{o: &e.o, provenance: e.Provenance}
	e.Histories = &Histories{o: &e.o, writes: e.Writes}
	e.Removals = &Removals{report: o.Report, writes: e.Writes}
	e.Anywhere = &Anywhere{o: &e.o, writes: e.Writes, histories: e.Histories, damaged: e.Damaged}
	return e
}

// Settle brings one object in one cluster in step with the primary: it looks at both
// and copies, removes, or leaves alone. It may be called for any object at any time. The
// caller holds a slot.
func (e *Settler) Settle(ctx context.Context, t Task) (Outcome, error) {
	unlock, err := e.o.Guard.Lock(ctx, t.Object)
	if err != nil {
		return 0, err
	}
	defer unlock()
	return e.SettleLocked(ctx, t)
}

// SettleLocked is Settle for who holds the object's lock.
func (e *Settler) SettleLocked(ctx context.Context, t Task) (Outcome, error) {
	once := e.settleOnce
	if e.o.Router.Snapshot().Of(t.Bucket).Anywhere(t.Key) {
		once = e.Anywhere.settle
	}
	var v Outcome
	var err error
	for range 3 { // a lost race is decided again, by what is there then
		v, err = once(ctx, t)
		if errors.Is(err, guard.ErrForbidden) && !e.copyExpected(t) {
			err = ErrNoCopy
		}
		if errors.Is(err, ErrNoCopy) && e.OnDemand != nil {
			v, err = e.OnDemand(ctx, t)
		}
		if !errors.Is(err, storage.ErrPrecondition) {
			break
		}
		t.Src, t.Fresh = nil, false
	}
	return v, err
}

// copyExpected reports whether a task's cluster has a copy of the object or is its primary.
// A row that outlives its copy, where the policy allows none any more, waits for nothing.
func (e *Settler) copyExpected(t Task) bool {
	snap := e.o.Router.Snapshot()
	bucket := snap.Of(t.Bucket)
	rule, known := bucket.RuleOf(t.Key)
	_, has := copyOf(bucket.Copies(), rule.Prefix, t.Cluster)
	return known && (has || bucket.Primary() == t.Cluster)
}

// lateBatch bounds the rows that are read at a time.
const lateBatch = 512

// HoldsLate reports whether people have to decide about late deletes at a copy, or, where it names no cluster,
// anywhere.
func (e *Settler) HoldsLate(ctx context.Context, id ids.Copy) (bool, error) {
	undecided := func(r state.Pending) bool { return IsLate(r) && strings.HasPrefix(r.Key, id.Prefix) }
	filter := state.PendingFilter{Bucket: id.Bucket, Cluster: id.Cluster}
	for rows, err := range state.PendingPages(ctx, e.o.Control.Store().Queue(), filter, lateBatch) {
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(rows, undecided) {
			return true, nil
		}
	}
	return false, nil
}
