package object

import (
	"context"
	"errors"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/storage"
)

// How long, and how many, writes are remembered.
const (
	recentFor = 5 * time.Minute
	recentMax = 50_000
)

// New returns a settler.
func New(o Options) *Settler {
	return &Settler{
		o:       o,
		given:   memory.New[ids.Object, storage.Object](recentMax, recentFor, o.Now),
		tokens:  memory.New[ids.Object, string](recentMax, 0, o.Now),
		Damaged: NewDamages(o.Now),
	}
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
		once = e.settleAnywhere
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
