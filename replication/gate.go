package replication

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// Why an operation was refused or aborted at the gate.
var (
	errForbidden = errors.New("the policy does not allow this object in that cluster")
	errMoving    = errors.New("the bucket's primary is moving")
	errDown      = errors.New("the storage went down")
)

// operation is one write or removal on its way. Fields but done don't change once it
// entered.
type operation struct {
	bucket, key string
	from, to    string // clusters; from "" for a removal
	total       int64
	// anew: what is written replaces damaged bytes of the same version.
	anew    bool
	done    atomic.Int64
	started time.Time
	// allowed judges the operation by a snapshot; nil: residency of (bucket, key, to).
	allowed func(*routing.Snapshot) bool

	// carry: it brings something to a primary on purpose.
	carry bool

	cancel context.CancelCauseFunc
	ended  chan struct{}
}

func (o *operation) allowedBy(s *routing.Snapshot) bool {
	if o.allowed != nil {
		return o.allowed(s)
	}
	return s.Allows(o.bucket, o.key, o.to)
}

// gate is what every write and removal passes. An operation registers before it asks
// the snapshot whether it may be, and a change of the catalogue looks for registered
// operations after it is in force: so whichever comes second knows of the other, and
// no byte is on its way to a cluster once the change that forbids it is answered.
type gate struct {
	router *routing.Router
	now    func() time.Time
	// mayWrite refuses while this instance has no lease on a store it shares.
	mayWrite func() error

	mu     sync.Mutex
	ops    map[*operation]struct{}
	frozen map[frozenKey]chan struct{}
}

type frozenKey struct{ bucket, cluster string }

func newGate(r *routing.Router, now func() time.Time, mayWrite func() error) *gate {
	return &gate{router: r, now: now, mayWrite: mayWrite, ops: make(map[*operation]struct{}), frozen: make(map[frozenKey]chan struct{})}
}

// enter registers an operation and checks that it may be. The context ends when the
// operation has to; leave must be called once it has ended.
func (g *gate) enter(ctx context.Context, o *operation) (opCtx context.Context, leave func(), err error) {
	if err := g.mayWrite(); err != nil {
		return nil, nil, err
	}
	opCtx, o.cancel = context.WithCancelCause(storage.WithFence(ctx, g.mayWrite))
	o.ended = make(chan struct{})
	o.started = g.now()
	if err := g.register(ctx, o); err != nil {
		o.cancel(err)
		return nil, nil, err
	}
	leave = func() {
		g.mu.Lock()
		delete(g.ops, o)
		g.mu.Unlock()
		o.cancel(nil)
		close(o.ended)
	}
	snap := g.router.Snapshot()
	if !o.allowedBy(snap) {
		leave()
		return nil, nil, errForbidden
	}
	if snap.Moving(o.bucket, o.to) {
		leave()
		return nil, nil, errMoving
	}
	return opCtx, leave, nil
}

// register adds the operation, after waiting for a freeze of its bucket to end.
func (g *gate) register(ctx context.Context, o *operation) error {
	for {
		g.mu.Lock()
		thaw, frozen := g.frozen[frozenKey{o.bucket, o.to}]
		if !frozen {
			g.ops[o] = struct{}{}
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		select {
		case <-thaw:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// abort cancels the operations that match, and waits until they have ended.
func (g *gate) abort(ctx context.Context, cause error, match func(*operation) bool) error {
	g.mu.Lock()
	var hit []*operation
	for o := range g.ops {
		if match(o) {
			o.cancel(cause)
			hit = append(hit, o)
		}
	}
	g.mu.Unlock()
	for _, o := range hit {
		select {
		case <-o.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// afterChange is control's hook: it runs when a change is in force and before it is
// answered, and returns once what the change forbids has ended.
func (g *gate) afterChange(ctx context.Context) {
	snap := g.router.Snapshot()
	_ = g.abort(ctx, errForbidden, func(o *operation) bool { return !o.allowedBy(snap) }) // ends early only with ctx
}

// movingPatience is how long operations get to end by themselves where another instance is
// about to move a primary: what is aborted may take effect all the same. Whatever else that
// instance waits for waits, too.
const movingPatience = 500 * time.Millisecond

// rolesChanged aborts the operations on a bucket ("": on all) that its primary's place has
// made pointless, and waits for their end: those that write to what is the primary now, and
// all on what is about to be.
func (g *gate) rolesChanged(bucket string) {
	snap := g.router.Snapshot()
	moving := func(o *operation) bool { return (bucket == "" || o.bucket == bucket) && snap.Moving(o.bucket, o.to) }
	g.await(context.Background(), movingPatience, moving)
	_ = g.abort(context.Background(), errMoving, moving)
	_ = g.abort(context.Background(), errMoving, func(o *operation) bool {
		return (bucket == "" || o.bucket == bucket) && o.allowed == nil && o.from != "" && o.to == snap.Primary(o.bucket) && !o.carry
	})
}

// fence aborts everything, without waiting, because this instance has lost its lease. It
// is for what reads or waits: what is about to write asks by itself.
func (g *gate) fence(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for o := range g.ops {
		o.cancel(cause)
	}
}

// cutOff aborts what reads from or writes to a cluster, without waiting.
func (g *gate) cutOff(cluster string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for o := range g.ops {
		if o.from == cluster || o.to == cluster {
			o.cancel(errDown)
		}
	}
}

// exclusively runs f while no operation on a bucket's objects in a cluster is on its
// way; those that are get a moment to end and are aborted then.
func (g *gate) exclusively(ctx context.Context, bucket, cluster string, patience time.Duration, f func() error) error {
	k, thaw := frozenKey{bucket, cluster}, make(chan struct{})
	g.mu.Lock()
	if _, taken := g.frozen[k]; taken {
		g.mu.Unlock()
		return errMoving
	}
	g.frozen[k] = thaw
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.frozen, k)
		g.mu.Unlock()
		close(thaw)
	}()
	match := func(o *operation) bool { return o.bucket == bucket && o.to == cluster }
	g.await(ctx, patience, match)
	if err := g.abort(ctx, errMoving, match); err != nil {
		return err
	}
	return f()
}

// await gives matching operations time to end by themselves.
func (g *gate) await(ctx context.Context, patience time.Duration, match func(*operation) bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, o := range g.list(match) {
		select {
		case <-o.ended:
		case <-ctx.Done():
			return
		}
	}
}

// list returns the operations that match.
func (g *gate) list(match func(*operation) bool) []*operation {
	g.mu.Lock()
	defer g.mu.Unlock()
	var ops []*operation
	for o := range g.ops {
		if match(o) {
			ops = append(ops, o)
		}
	}
	return ops
}
