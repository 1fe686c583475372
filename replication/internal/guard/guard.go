package guard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/keylock"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/storage"
)

// Why an operation was refused or aborted.
var (
	ErrForbidden = errors.New("the policy does not allow this object in that cluster")
	// ErrPath: the bytes may not pass through this instance. Another one may do it.
	ErrPath   = errors.New("the policy does not let bytes of this object pass through the cluster that this instance is in")
	ErrMoving = errors.New("the bucket's primary is moving")
	// ErrElsewhere: the storage under the name of the cluster that is written to, or read
	// from, is not or may not be the one that is known; see package identity.
	ErrElsewhere = errors.New("the storage may not be the one that the bucket is in")
	// errOver: a Pass was used after its operation had left.
	errOver = errors.New("the operation has ended")
)

// Op is one write or removal in a cluster. Its fields don't change once it entered.
type Op struct {
	ids.Object        // what is written, and where; Key "" for the bucket itself
	From       string // the cluster that is read from; "" for a removal
	Total      int64  // bytes, -1 while they are not known
	// Rewrite: what is written replaces damaged bytes of the same version.
	Rewrite bool
	// ToPrimary: it brings something to a primary on purpose.
	ToPrimary bool
	// User: a user's write that passes through this instance.
	User bool
	// Silent: users see no change of an object when it succeeds, such as a part of an upload.
	Silent bool
	// Handover: it is part of the move of a primary, which has the cluster to itself.
	Handover bool
	// Allowed judges the operation by a snapshot; nil: residency of the object.
	Allowed func(*routing.Snapshot) bool
}

// AllowedBy reports whether a snapshot allows the operation.
func (o *Op) AllowedBy(s *routing.Snapshot) bool {
	if o.Allowed != nil {
		return o.Allowed(s)
	}
	return s.Of(o.Bucket).Allows(o.Key, o.Cluster)
}

// carries reports whether bytes of an object are copied through this instance. Of a user's write
// Allowed judges the way, too.
func (o *Op) carries() bool { return o.Key != "" && o.From != "" }

// refusal returns why a snapshot refuses the operation, nil if it does not.
func (o *Op) refusal(s *routing.Snapshot) error {
	switch {
	case !o.AllowedBy(s):
		return ErrForbidden
	case o.carries() && !s.Of(o.Bucket).Passes(o.Key):
		return ErrPath
	default:
		return nil
	}
}

// AnyRule judges operations on a bucket itself: some rule of it allows the cluster.
func AnyRule(bucket, cluster string) func(*routing.Snapshot) bool {
	return func(s *routing.Snapshot) bool {
		for _, rule := range s.Of(bucket).Rules() {
			if s.AllowsPolicy(rule.Policy, cluster) {
				return true
			}
		}
		return false
	}
}

// Always allows what leaves no object behind: an empty bucket's removal, an upload's end.
func Always(*routing.Snapshot) bool { return true }

// Options of a Guard. All are required.
type Options struct {
	Router *routing.Router
	Now    func() time.Time
	// MayWrite refuses while this instance has no lease on a store it shares.
	MayWrite func() error
	Writers  site.Writers
}

// Guard is what every write and removal passes. All methods are safe for concurrent use.
type Guard struct {
	o    Options
	keys *keylock.Locks[ids.Object]

	mu      sync.Mutex
	ops     map[*running]struct{}
	carried map[*carrying]struct{}
	frozen  map[frozenKey]*freeze
	roles   chan struct{}        // closed when roles change
	shuts   map[string]time.Time // when users' writes to a bucket whose primary moves may no longer show
}

// flight is what is on its way and can be stopped.
type flight struct {
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

func (f *flight) way() *flight { return f }

// running is an operation that has entered.
type running struct {
	*Op
	flight
	pass    Pass
	started time.Time
}

// frozenKey names the operations that wait: all on a bucket's objects in a cluster, or those that
// show users' writes.
type frozenKey struct {
	bucket, cluster string
	users           bool
}

// freeze is what operations wait for.
type freeze struct {
	thaw chan struct{} // closed at its end
	shut bool          // what was on its way when it began is no longer waited for
}

// shows reports whether users see a change when the operation succeeds.
func (o *Op) shows() bool { return o.User && !o.Silent }

// New returns a guard of a router's catalogue.
func New(o Options) *Guard {
	return &Guard{
		o: o, keys: keylock.New[ids.Object](),
		ops: make(map[*running]struct{}), carried: make(map[*carrying]struct{}), frozen: make(map[frozenKey]*freeze),
		roles: make(chan struct{}), shuts: make(map[string]time.Time),
	}
}

// Lock has an object, or with Key "" a bucket, in a cluster to oneself on this instance.
// unlock must be called once.
func (g *Guard) Lock(ctx context.Context, o ids.Object) (unlock func(), err error) {
	return g.keys.Lock(ctx, o)
}

// Do runs f as an operation. It refuses with [ErrForbidden], [ErrPath], [ErrMoving], [ErrElsewhere]
// or the error of a missing lease, before f or instead of what f was doing: f's context ends when the
// operation has to, and Do's error says why.
func (g *Guard) Do(ctx context.Context, o Op, f func(ctx context.Context, p *Pass) error) error {
	opCtx, r, err := g.enter(ctx, &o)
	if err != nil {
		return err
	}
	defer g.leave(r)
	err = f(opCtx, &r.pass)
	if cause := context.Cause(opCtx); err != nil && cause != nil && ctx.Err() == nil {
		return fmt.Errorf("aborted: %w", cause)
	}
	return err
}

// enter registers an operation and checks that it may be.
func (g *Guard) enter(ctx context.Context, o *Op) (context.Context, *running, error) {
	if err := g.o.MayWrite(); err != nil {
		return nil, nil, err
	}
	opCtx, r, err := g.admit(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	snap := g.o.Router.Snapshot()
	bucket := snap.Of(o.Bucket)
	switch err := o.refusal(snap); {
	case err != nil:
		g.leave(r)
		g.noteRefusal(snap, o, err)
		return nil, nil, err
	case bucket.Moving(o.Cluster) && !o.Handover:
		g.leave(r)
		return nil, nil, ErrMoving
	case o.Key != "" && (bucket.Elsewhere(o.Cluster) || o.From != "" && bucket.Elsewhere(o.From)):
		g.leave(r)
		return nil, nil, ErrElsewhere
	}
	return opCtx, r, nil
}

// admit registers an operation. A user's write that shows waits before that while another instance
// moves the bucket's primary, but not for long: what is late is carried over.
func (g *Guard) admit(ctx context.Context, o *Op) (context.Context, *running, error) {
	patience, late := time.NewTimer(holdPatience), false
	defer patience.Stop()
	for {
		opCtx, r, err := g.register(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		changed := g.rolesChange()
		if late || !o.shows() || !g.handedOver(o) {
			return opCtx, r, nil
		}
		g.leave(r)
		select {
		case <-changed:
		case <-patience.C:
			late = true
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// holdPatience is for how long users' writes wait for another instance that moves a primary, which
// waits for what is on its way here and there, and brings along what was changed last.
const holdPatience = 10 * time.Second

// handedOver reports whether another instance is moving the primary's role away from an
// operation's cluster.
func (g *Guard) handedOver(o *Op) bool {
	bucket := g.o.Router.Snapshot().Of(o.Bucket)
	return bucket.Primary() == o.Cluster && bucket.AnyMoving()
}

// MayShow refuses with [ErrMoving] a user's write that has entered and is about to show, where the
// move of the primary no longer waits for it. It is to be asked once the write is on record.
func (g *Guard) MayShow(o *Op) error {
	g.mu.Lock()
	here, moving := g.frozen[frozenKey{bucket: o.Bucket, cluster: o.Cluster, users: true}]
	shut := moving && here.shut
	at, told := g.shuts[o.Bucket]
	g.mu.Unlock()
	if shut || !moving && g.handedOver(o) && (!told || !g.o.Now().Before(at)) {
		return ErrMoving
	}
	return nil
}

// Grace is for how long what had entered may show after another instance began to move a primary,
// which waits for that.
const Grace = 500 * time.Millisecond

// noteMove notes since when a bucket's primary moves.
func (g *Guard) noteMove(bucket string) {
	moving := g.o.Router.Snapshot().Of(bucket).AnyMoving()
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, told := g.shuts[bucket]; moving && !told {
		g.shuts[bucket] = g.o.Now().Add(Grace)
	} else if !moving {
		delete(g.shuts, bucket)
	}
}

func (g *Guard) rolesChange() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.roles
}

// noteRefusal counts what policies did not allow, for the audit.
func (g *Guard) noteRefusal(snap *routing.Snapshot, o *Op, err error) {
	cluster := o.Cluster
	if errors.Is(err, ErrPath) {
		cluster = snap.Here()
	}
	g.o.Router.Ledger.Refused(snap, o.Bucket, o.Key, cluster)
}

func (g *Guard) leave(r *running) {
	r.pass.over.Store(true)
	g.mu.Lock()
	delete(g.ops, r)
	g.mu.Unlock()
	r.cancel(nil)
	close(r.ended)
}

// register adds an operation, after waiting for freezes of its bucket to end.
func (g *Guard) register(ctx context.Context, o *Op) (context.Context, *running, error) {
	r := &running{Op: o, started: g.o.Now(), flight: flight{ended: make(chan struct{})}}
	r.pass = Pass{op: o, writers: g.o.Writers}
	opCtx, cancel := context.WithCancelCause(storage.WithFence(ctx, g.o.MayWrite))
	r.cancel = cancel
	for {
		g.mu.Lock()
		thaw := g.frozenFor(o)
		if thaw == nil {
			g.ops[r] = struct{}{}
			g.mu.Unlock()
			return opCtx, r, nil
		}
		g.mu.Unlock()
		select {
		case <-thaw:
		case <-ctx.Done():
			cancel(ctx.Err())
			return nil, nil, ctx.Err()
		}
	}
}

// frozenFor returns what ends a freeze that an operation waits for, nil if there is none. The
// caller holds mu.
func (g *Guard) frozenFor(o *Op) (thaw <-chan struct{}) {
	if f, ok := g.frozen[frozenKey{bucket: o.Bucket, cluster: o.Cluster}]; ok && !o.Handover {
		return f.thaw
	}
	if f, ok := g.frozen[frozenKey{bucket: o.Bucket, cluster: o.Cluster, users: true}]; ok && o.shows() {
		return f.thaw
	}
	return nil
}

// Pass is an operation's permission to write, valid while the operation runs.
type Pass struct {
	op      *Op
	writers site.Writers
	over    atomic.Bool
	done    atomic.Int64
}

// Writer returns the writing half of a site's storage, which is that of the operation's
// cluster.
func (p *Pass) Writer(s *site.Site) (storage.Writer, error) {
	switch {
	case p.over.Load():
		return nil, errOver
	case s.Name() != p.op.Cluster:
		return nil, fmt.Errorf("writing to %s in an operation on %s: %w", s.Name(), p.op.Cluster, ErrForbidden)
	}
	return p.writers(s)
}

// Moved counts bytes of the operation's object that are on the other side.
func (p *Pass) Moved(n int64) { p.done.Add(n) }

// Sized tells how many bytes the operation is about, once that is known.
func (p *Pass) Sized(total int64) { atomic.StoreInt64(&p.op.Total, total) }

// Op returns the operation.
func (p *Pass) Op() *Op { return p.op }

// carrying is bytes of an object that pass through this instance on their way to a user.
type carrying struct {
	flight
	from    string
	allowed func(*routing.Snapshot) bool
}
