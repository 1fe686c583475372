package control

import (
	"context"
	"time"

	"github.com/fado-project/fado/state"
)

// Pending is the queue of objects that differ: rows in the store, and exceptions to
// freshness for as long as they are there.
type Pending struct {
	c     *core
	queue *pendingQueue
}

// Add stores rows and makes them exceptions to freshness before it returns. Concurrent
// calls share transactions. When the store can't take them the keys are exceptions all
// the same, so that nothing stale is routed to, and the caller must try again.
func (s *Pending) Add(ctx context.Context, rows ...state.Pending) error {
	if len(rows) == 0 {
		return nil
	}
	return s.queue.do(ctx, &pendingOp{add: rows})
}

// Note is Add for a caller that works on the rows itself, without waiting for the store.
// Begun is called when they are exceptions and before they are stored; it must not block,
// and says whether all of them are being worked on, so that no worker need be woken. The
// rows' Gens are returned in order: what was done is to be noted by them, and not at all
// where there is an error.
func (s *Pending) Note(ctx context.Context, rows []state.Pending, begun func() bool) ([]int64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	op := &pendingOp{add: rows, begun: begun}
	if err := s.queue.do(ctx, op); err != nil {
		return nil, err
	}
	return op.gens, nil
}

// AddEverywhere is Add for a caller that acknowledges something to the outside on the
// strength of it: it returns when every instance routes by the rows, too. Instances whose
// lease has ended are not waited for. An error leaves the rows to be added again.
func (s *Pending) AddEverywhere(ctx context.Context, rows ...state.Pending) error {
	if err := s.Add(ctx, rows...); err != nil || len(rows) == 0 {
		return err
	}
	return s.c.members.Confirm(ctx)
}

// Finish removes rows after their verified write, in the store and then from routing.
// Concurrent calls share transactions. A row whose Gen moved on stays.
func (s *Pending) Finish(ctx context.Context, rows ...state.PendingKey) error {
	if len(rows) == 0 {
		return nil
	}
	return s.queue.do(ctx, &pendingOp{finish: rows})
}

// ClaimIn claims due rows of one cluster for this instance, of some buckets only where these are named.
func (s *Pending) ClaimIn(ctx context.Context, cluster string, most int, lease time.Duration, among ...string) ([]state.Pending, error) {
	rows, err := s.c.store().Queue().ClaimPendingIn(ctx, s.c.members.Claimant(), cluster, most, lease, s.c.now(), among...)
	if err != nil || len(rows) > 0 { // a claim that found nothing wrote nothing
		err = s.c.health.note(err)
	}
	return rows, err
}

// Fail notes failed attempts or holds.
func (s *Pending) Fail(ctx context.Context, rows ...state.Pending) error {
	return s.c.store().Queue().FailPending(ctx, rows...)
}

// Added delivers a value soon after rows were added or released, so that workers need not
// poll; values are merged.
func (s *Pending) Added() <-chan struct{} { return s.queue.added }

// Wake makes Added deliver, after rows became due by other means.
func (s *Pending) Wake() { s.queue.wake() }

// Changed returns a channel that closes at the next change of what is known of a bucket's
// objects: an exception came or went, an object copied on demand did. Take it first, then
// look at what is waited for, then wait.
func (s *Pending) Changed(bucket string) <-chan struct{} { return s.c.signals.Changed(bucket) }

// Has says whether there are rows in a cluster, as far as this instance knows: without
// any, there is nothing to be claimed. Rows that are held or not yet due count.
func (s *Pending) Has(cluster string) bool { return s.c.exceptions.Has(cluster) }

// Clusters lists the clusters in which there are rows, sorted; see Has.
func (s *Pending) Clusters() []string { return s.c.exceptions.Clusters() }
