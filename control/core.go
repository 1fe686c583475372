package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// ErrClosed answers calls on a Control that was closed.
var ErrClosed = errors.New("control is closed")

// Control is described in the package comment. All methods are safe for concurrent
// use after Start.
type Control struct {
	store        state.Store
	log          *zap.Logger
	node         string
	now          func() time.Time
	checkBalance func(catalog.RawObject) error

	router    *catalog.Router
	published atomic.Pointer[time.Time]
	bus       *Bus

	// mu orders changes of the catalogue and of copies: what is published in memory
	// has the order of what was committed.
	mu       sync.Mutex
	attached []*Attachment
	inForce  declared

	hooksMu sync.Mutex
	hooks   []BeforeAnswer

	ready     chan struct{}
	readyOnce sync.Once

	pending *pendingQueue

	issues    issues
	trouble   trouble
	usedMu    sync.Mutex
	usedBytes map[string]int64
}

// New returns a Control that has done nothing yet.
func New(o Options) (*Control, error) {
	if o.Store == nil {
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
		store: o.Store, log: o.Log, node: o.Node, now: o.Now, checkBalance: o.CheckBalance,
		router: catalog.NewRouter(), bus: NewBus(o.Now),
		ready: make(chan struct{}), usedBytes: make(map[string]int64),
	}
	c.inForce = declare(Config{})
	c.pending = newPendingQueue(o.Store, c.router.Pending, &c.trouble)
	return c, nil
}

// Start loads the store into memory; from then on Router answers. It may be called
// once.
func (c *Control) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(ctx); err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	if err := c.store.ReleaseClaims(ctx, c.node); err != nil {
		return fmt.Errorf("releasing this node's earlier claims: %w", err)
	}
	c.pending.start()
	return nil
}

// load reads resources, copies and pending rows into the router.
func (c *Control) load(ctx context.Context) error {
	var loadErr error
	snap := c.router.Snapshot().Edit(func(e *catalog.Editor) {
		for _, k := range catalog.Kinds {
			loadErr = errors.Join(loadErr, c.store.Each(ctx, k, func(r state.Record) error {
				res, err := decodeRecord(r)
				if err != nil {
					return err
				}
				put(e, res)
				return nil
			}))
		}
		loadErr = errors.Join(loadErr, c.loadCopies(ctx, e))
	})
	if loadErr != nil {
		return loadErr
	}
	c.swap(snap)
	return c.store.EachPending(ctx, func(p state.Pending) error {
		c.router.Pending.Add(p.Bucket, p.Key, p.Cluster)
		return nil
	})
}

// loadCopies streams the copies, which come ordered by bucket.
func (c *Control) loadCopies(ctx context.Context, e *catalog.Editor) error {
	var bucket string
	var copies []catalog.Copy
	flush := func() {
		if len(copies) > 0 {
			e.SetCopies(bucket, copies)
		}
		copies = copies[:0]
	}
	err := c.store.EachCopy(ctx, func(cp state.Copy) error {
		if cp.Bucket != bucket {
			flush()
			bucket = cp.Bucket
		}
		copies = append(copies, cp.Copy)
		return nil
	})
	flush()
	return err
}

// Ready is closed once Start has loaded the store and a configuration is attached.
func (c *Control) Ready() <-chan struct{} { return c.ready }

// Close stops what Start began. It does not close the store, and may be called more
// than once.
func (c *Control) Close() { c.pending.stop() }

// Router returns the router of what is in force; always the same value.
func (c *Control) Router() *catalog.Router { return c.router }

// Events returns the bus of what happens.
func (c *Control) Events() *Bus { return c.bus }

// Store returns the store, for reads.
func (c *Control) Store() state.Store { return c.store }

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
func (c *Control) publish(f func(*catalog.Editor)) {
	c.swap(c.router.Snapshot().Edit(f))
}

func (c *Control) swap(s *catalog.Snapshot) {
	c.router.Swap(s)
	now := c.now()
	c.published.Store(&now)
}

// PublishedAt returns when the snapshot that routing reads was published.
func (c *Control) PublishedAt() time.Time {
	if at := c.published.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

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

func put(e *catalog.Editor, r catalog.Resource) {
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
