package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// ErrClosed answers calls on a Control that was closed.
var ErrClosed = errors.New("control is closed")

// Control is described in the package comment. All methods are safe for concurrent
// use after Start.
type Control struct {
	store        atomic.Pointer[state.Store]
	log          *zap.Logger
	node         string
	now          func() time.Time
	checkBalance func(catalog.RawObject) error

	router *routing.Router
	bus    *Bus

	// mu orders changes of the catalogue and of copies: what is published in memory
	// has the order of what was committed.
	mu       sync.Mutex
	attached []*Attachment
	inForce  declared

	hooksMu sync.Mutex
	hooks   []BeforeAnswer

	ready     chan struct{}
	readyOnce sync.Once

	pending    *pendingQueue
	exceptions *exceptions
	followed   *follower
	opening    *opening
	mirror     *mirror // nil without one
	copyHooks  []func(bucket string)
	losses     atomic.Pointer[func(bucket, primary, cluster string) []string]
	// pulled orders rows taken over from the store after those written here: writers share it.
	pulled sync.RWMutex

	issues    issues
	trouble   trouble
	usedMu    sync.Mutex
	usedBytes map[string]int64
}

// New returns a Control that has done nothing yet.
func New(o Options) (*Control, error) {
	if o.Store == nil && o.Open == nil {
		return nil, errors.New("control needs a store")
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CheckBalance == nil {
		o.CheckBalance = func(catalog.RawObject) error { return nil }
	}
	c := &Control{
		log: o.Log, node: o.Node, now: o.Now, checkBalance: o.CheckBalance,
		router: routing.NewRouter(), bus: NewBus(o.Now),
		ready: make(chan struct{}), usedBytes: make(map[string]int64),
	}
	if o.Store != nil {
		c.store.Store(&o.Store)
	}
	c.inForce = declare(Config{})
	c.exceptions = newExceptions(c.router.Pending)
	c.pending = newPendingQueue(c.Store, c.exceptions, &c.trouble)
	c.followed = newFollower(c)
	c.opening = newOpening(c, o)
	if o.Mirror != nil || o.OpenMirror != nil {
		c.mirror = newMirror(c, o.Mirror, o.OpenMirror)
	}
	return c, nil
}

// Start loads the store into memory; from then on Router answers. Where the store is out
// of reach it loads the mirror, if there is one, and the store when that comes. It may be
// called once.
func (c *Control) Start(ctx context.Context) error {
	if err := c.opening.first(ctx); err != nil {
		return err
	}
	c.pending.start()
	return nil
}

// take loads a store that was opened into memory and makes it the one that is used. With
// one that is shared this instance is a member from then on.
func (c *Control) take(ctx context.Context, store state.Store) error {
	shared, _ := store.(state.Shared)
	at, err := c.load(ctx, store)
	if err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	before := c.store.Swap(&store)
	if shared != nil {
		if err := c.followed.begin(ctx, shared, at); err != nil {
			c.store.Store(before)
			return err
		}
	} else if err := store.ReleaseClaims(ctx, c.node); err != nil {
		return fmt.Errorf("releasing this node's earlier claims: %w", err)
	}
	if c.mirror != nil {
		c.mirror.start()
	}
	return nil
}

// load reads resources, copies and exceptions into the router, and says up to where in a
// shared store's sequences that was at least.
func (c *Control) load(ctx context.Context, store state.Store) (at position, err error) {
	if shared, ok := store.(state.Shared); ok {
		if at.changes, err = shared.Seq(ctx); err != nil {
			return at, err
		}
		if at.objects, err = shared.ObjectSeq(ctx); err != nil {
			return at, err
		}
		c.exceptions.follow(true)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.loadPending(ctx, store); err != nil {
		return at, err
	}
	snap, err := c.build(ctx, store)
	if err != nil {
		return at, err
	}
	c.swap(snap)
	return at, nil
}

// loadPending makes the exceptions those of the stored rows.
func (c *Control) loadPending(ctx context.Context, store state.Store) error {
	r := c.exceptions.beginReload("", "")
	err := store.EachPending(ctx, func(p state.Pending) error {
		r.row(p)
		return nil
	})
	c.exceptions.endReload(r, err)
	if err != nil {
		return err
	}
	return c.reloadPulled(ctx, store)
}

// build makes the snapshot of what a store holds, and of what the configuration in force
// declares. What is alive in the one before (endpoints, storages) stays. The caller holds
// mu.
func (c *Control) build(ctx context.Context, store state.Store) (*routing.Snapshot, error) {
	var failed error
	now := c.router.Snapshot()
	snap := now.Edit(func(e *routing.Editor) {
		clear := staleNames(now)
		for _, k := range catalog.Kinds {
			failed = errors.Join(failed, store.Each(ctx, k, func(r state.Record) error {
				res, err := decodeRecord(r)
				if err != nil {
					return err
				}
				delete(clear, state.Ref{Kind: k, Name: r.Name})
				put(e, res)
				return nil
			}))
		}
		for _, r := range c.inForce.cfg.resources() {
			delete(clear, state.Ref{Kind: r.ResourceKind(), Name: r.ResourceName()})
			put(e, r)
		}
		for ref := range clear {
			e.Delete(ref.Kind, ref.Name)
		}
		now.Buckets(func(b string) bool {
			e.SetCopies(b, nil) // those that have some get them now
			return true
		})
		failed = errors.Join(failed, c.loadCopies(ctx, store, e))
		e.SetDefaultPolicy(c.inForce.defaultPolicy())
	})
	return snap, failed
}

// staleNames lists all that a snapshot knows.
func staleNames(s *routing.Snapshot) map[state.Ref]struct{} {
	all := make(map[state.Ref]struct{})
	add := func(k catalog.Kind, name string) bool {
		all[state.Ref{Kind: k, Name: strings.Clone(name)}] = struct{}{}
		return true
	}
	s.Zones(func(z *catalog.Zone) bool { return add(catalog.KindZone, z.Name) })
	s.Clusters(func(cl *catalog.Cluster) bool { return add(catalog.KindCluster, cl.Name) })
	s.Policies(func(p *catalog.Policy) bool {
		return p.Name == catalog.DefaultPolicyName || add(catalog.KindPolicy, p.Name)
	})
	s.Buckets(func(b string) bool { return add(catalog.KindBucket, b) })
	return all
}

// loadCopies streams the copies, which come ordered by bucket.
func (c *Control) loadCopies(ctx context.Context, store state.Store, e *routing.Editor) error {
	var bucket string
	var copies []catalog.Copy
	flush := func() {
		if len(copies) > 0 {
			e.SetCopies(bucket, copies)
		}
		copies = copies[:0]
	}
	err := store.EachCopy(ctx, func(cp state.Copy) error {
		if cp.Bucket != bucket {
			flush()
			bucket = cp.Bucket
		}
		copies = append(copies, cp.Routed())
		return nil
	})
	flush()
	return err
}

// Ready is closed once Start has loaded the store and a configuration is attached.
func (c *Control) Ready() <-chan struct{} { return c.ready }

// Close stops what Start began. It does not close the store it was given, only what it
// opened itself, and may be called more than once.
func (c *Control) Close() {
	c.opening.stop()
	c.pending.stop()
	c.followed.stop()
	if c.mirror != nil {
		c.mirror.stop()
	}
	c.opening.closeStore()
}

// Router returns the router of what is in force; always the same value.
func (c *Control) Router() *routing.Router { return c.router }

// Events returns the bus of what happens.
func (c *Control) Events() *Bus { return c.bus }

// Store returns the store as it is now, for reads. A shared one that is out of reach at
// the start is another value once it was opened: keep Control, not the store.
func (c *Control) Store() state.Store { return *c.store.Load() }

// Node returns this instance's name.
func (c *Control) Node() string { return c.node }

// OnChange adds a hook that runs before a change is answered.
func (c *Control) OnChange(f BeforeAnswer) {
	c.hooksMu.Lock()
	defer c.hooksMu.Unlock()
	c.hooks = append(c.hooks, f)
}

// beforeAnswer runs the hooks. The change is already in force, so that a client that
// has gone away does not cut them short.
func (c *Control) beforeAnswer(ctx context.Context) {
	c.hooksMu.Lock()
	hooks := slices.Clone(c.hooks)
	c.hooksMu.Unlock()
	for _, h := range hooks {
		h(context.WithoutCancel(ctx))
	}
}

// publish makes and swaps in the next snapshot. The caller holds mu.
func (c *Control) publish(f func(*routing.Editor)) {
	c.swap(c.router.Snapshot().Edit(f))
}

func (c *Control) swap(s *routing.Snapshot) { c.router.Swap(s) }

// SetUsedBytes tells the solver how much a cluster's storage holds.
func (c *Control) SetUsedBytes(cluster string, bytes int64) {
	c.usedMu.Lock()
	defer c.usedMu.Unlock()
	c.usedBytes[cluster] = bytes
}

// UsedBytes returns what SetUsedBytes was told last, per cluster, in a new map.
func (c *Control) UsedBytes() map[string]int64 {
	c.usedMu.Lock()
	defer c.usedMu.Unlock()
	m := make(map[string]int64, len(c.usedBytes))
	for k, v := range c.usedBytes {
		m[k] = v
	}
	return m
}

func put(e *routing.Editor, r catalog.Resource) {
	switch r := r.(type) {
	case *catalog.Zone:
		e.PutZone(r)
	case *catalog.Cluster:
		e.PutCluster(r)
	case *catalog.Policy:
		e.PutPolicy(r)
	case *catalog.Bucket:
		e.PutBucket(r)
	}
}
