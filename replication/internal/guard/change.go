package guard

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/site"
)

// abort cancels the operations that match, and waits until they have ended.
func (g *Guard) abort(ctx context.Context, cause error, match func(*running) bool) error {
	return stop(ctx, cause, matching(g, g.ops, match))
}

// stop cancels what is on its way, and waits until it has ended.
func stop[T interface{ way() *flight }](ctx context.Context, cause error, hit []T) error {
	for _, r := range hit {
		r.way().cancel(cause)
	}
	return await(ctx, hit)
}

// await waits until all has ended.
func await[T interface{ way() *flight }](ctx context.Context, all []T) error {
	for _, r := range all {
		select {
		case <-r.way().ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// matching returns those of a set of the guard's that match.
func matching[T comparable](g *Guard, set map[T]struct{}, match func(T) bool) (found []T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for r := range set {
		if match(r) {
			found = append(found, r)
		}
	}
	return found
}

// AfterChange is to be called when a change of the catalogue is in force and before it is
// answered. It returns once what the change forbids has ended, or with ctx.
func (g *Guard) AfterChange(ctx context.Context) {
	snap := g.o.Router.Snapshot()
	// Both end early only with ctx.
	_ = stop(ctx, ErrForbidden, matching(g, g.carried, func(c *carrying) bool { return !c.allowed(snap) }))
	for _, why := range []error{ErrForbidden, ErrPath} {
		_ = g.abort(ctx, why, func(r *running) bool { return errors.Is(r.refusal(snap), why) })
	}
}

// movingPatience is how long operations get to end by themselves where another instance is
// about to move a primary: what is aborted may take effect all the same. Whatever else that
// instance waits for waits, too.
const movingPatience = 500 * time.Millisecond

// RolesChanged aborts the operations on a bucket ("": on all) that its primary's place has
// made pointless, and waits for their end: those that write to what is the primary now, all
// on what is about to be, and users' writes to what is the primary no longer.
func (g *Guard) RolesChanged(bucket string) {
	g.noteMove(bucket)
	g.wake()
	snap := g.o.Router.Snapshot()
	moving := func(r *running) bool {
		return (bucket == "" || r.Bucket == bucket) && snap.Of(r.Bucket).Moving(r.Cluster)
	}
	g.letEnd(context.Background(), movingPatience, moving)
	_ = g.abort(context.Background(), ErrMoving, moving)
	_ = g.abort(context.Background(), ErrMoving, func(r *running) bool {
		return r.User && (bucket == "" || r.Bucket == bucket) && !r.AllowedBy(snap)
	})
	_ = g.abort(context.Background(), ErrMoving, func(r *running) bool {
		return (bucket == "" || r.Bucket == bucket) && r.Allowed == nil && r.From != "" && r.Cluster == snap.Of(r.Bucket).Primary() && !r.ToPrimary
	})
}

// wake lets users' writes that wait for a move look again.
func (g *Guard) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.roles)
	g.roles = make(chan struct{})
}

// Fence aborts everything, without waiting, because this instance has lost its lease. It
// is for what reads or waits: what is about to write asks by itself.
func (g *Guard) Fence(cause error) {
	for _, r := range matching(g, g.ops, func(*running) bool { return true }) {
		r.cancel(cause)
	}
}

// CutOff aborts what reads from or writes to a cluster whose storage went down, without
// waiting.
func (g *Guard) CutOff(cluster string) {
	for _, r := range matching(g, g.ops, func(r *running) bool { return r.From == cluster || r.Cluster == cluster }) {
		r.cancel(site.ErrDown)
	}
	for _, c := range matching(g, g.carried, func(c *carrying) bool { return c.from == cluster }) {
		c.cancel(site.ErrDown)
	}
}

// Exclusively runs f while no operation on a bucket's objects in a cluster is on its
// way but those of the move itself ([Op.Handover]); those that are get a moment to end and are
// aborted then. [ErrMoving]: another caller has them already.
func (g *Guard) Exclusively(ctx context.Context, bucket, cluster string, patience time.Duration, f func() error) error {
	thaw, err := g.freeze(frozenKey{bucket: bucket, cluster: cluster})
	if err != nil {
		return err
	}
	defer thaw()
	match := func(r *running) bool { return r.Bucket == bucket && r.Cluster == cluster }
	g.letEnd(ctx, patience, match)
	if err := g.abort(ctx, ErrMoving, match); err != nil {
		return err
	}
	return f()
}

// Quietly runs f while users' writes to a bucket in a cluster wait that pass through this instance
// and show. Those on their way get a moment to end; from then on [Guard.MayShow] refuses them.
func (g *Guard) Quietly(ctx context.Context, bucket, cluster string, patience time.Duration, f func() error) error {
	k := frozenKey{bucket: bucket, cluster: cluster, users: true}
	thaw, err := g.freeze(k)
	if err != nil {
		return err
	}
	defer g.wake()
	defer thaw()
	g.letEnd(ctx, patience, func(r *running) bool { return r.Bucket == bucket && r.Cluster == cluster && r.shows() })
	g.mu.Lock()
	g.frozen[k].shut = true
	g.mu.Unlock()
	return f()
}

// freeze has operations wait until thaw is called.
func (g *Guard) freeze(k frozenKey) (thaw func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, taken := g.frozen[k]; taken {
		return nil, ErrMoving
	}
	frozen := &freeze{thaw: make(chan struct{})}
	g.frozen[k] = frozen
	return func() {
		g.mu.Lock()
		delete(g.frozen, k)
		g.mu.Unlock()
		close(frozen.thaw)
	}, nil
}

// letEnd gives matching operations time to end by themselves.
func (g *Guard) letEnd(ctx context.Context, patience time.Duration, match func(*running) bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = await(ctx, matching(g, g.ops, match)) // what has not ended is aborted
}

// Transfer is one object on its way. Total is -1 while it is not known.
type Transfer struct {
	ids.Object
	From        string
	Done, Total int64
	Started     time.Time
}

// Transfers returns the objects that are being copied, in no order.
func (g *Guard) Transfers() []Transfer {
	ops := matching(g, g.ops, func(r *running) bool { return r.From != "" })
	ts := make([]Transfer, len(ops))
	for i, r := range ops {
		ts[i] = Transfer{
			Object: r.Object, From: r.From, Done: r.pass.done.Load(),
			Total: atomic.LoadInt64(&r.Total), Started: r.started,
		}
	}
	return ts
}
