package control

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/follow"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/control/mirror"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Options of a Control.
type Options struct {
	// Store is the open store; nil with Open.
	Store state.Store
	// Open opens the store, for one that may be out of reach at the start (then its error
	// is a state.ErrUnavailable): it is tried again until it succeeds. Close closes what
	// Open returned.
	Open func(context.Context) (state.Store, error)
	// Kind is what the store that Open opens calls itself, for the time before.
	Kind string
	// OpenPatience is how long Start tries to Open before it loads from the Mirror;
	// default 5 s.
	OpenPatience time.Duration
	// Mirror, when given, is a store on local disk to which everything is written that
	// this instance routes by, soon after. Control closes it.
	Mirror state.Store
	// OpenMirror opens the mirror where Mirror is nil: it is tried until it succeeds, because
	// a runtime that is about to end may still have it.
	OpenMirror func(context.Context) (state.Store, error)
	// MaxMirrorAge bounds how old a mirror may be that Start loads from; 0: any age.
	MaxMirrorAge time.Duration

	Log  *zap.Logger
	Node string
	// Now is the clock; default time.Now.
	Now func() time.Time
	// CheckBalance says whether the JSON of a selection policy is one; default:
	// everything is. Caddy's adapter sets it.
	CheckBalance func(catalog.RawObject) error
}

func (o *Options) fill() error {
	if o.Store == nil && o.Open == nil {
		return errors.New("control needs a store")
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
	return nil
}

// Control is described in the package comment. Its roles are set once and for all; all
// methods are safe for concurrent use after Start.
type Control struct {
	Resources *Resources
	Copies    *Copies
	Pending   *Pending
	Pulled    *Pulled
	Members   *follow.Members
	Status    *Status
	Audits    *Audits
	Issues    *Issues
	Usage     *Usage
	Hooks     *Hooks

	core     *core
	node     string
	attached *attachments
	opening  *mirror.Opening
	given    state.Store // Options.Store

	ready     chan struct{}
	readyOnce sync.Once
}

// New returns a Control that has done nothing yet.
func New(o Options) (*Control, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	core := newCore(&o)
	c := &Control{
		core: core, node: o.Node, given: o.Store, ready: make(chan struct{}),
		Usage: new(Usage), Hooks: core.hooks, Issues: newIssues(core.bus, core.now), Copies: &Copies{c: core}, Pulled: newPulled(core),
		Pending: &Pending{c: core, queue: newPendingQueue(core.store, core.exceptions, &core.health)},
	}
	c.Audits = &Audits{c: core, pulls: &pulls{c: core}, ledger: &ledger{c: core, since: core.now(), turn: make(chan struct{}, 1)}}
	c.Resources = &Resources{c: core, copies: c.Copies, issues: c.Issues}
	c.attached = &attachments{core: core, copies: c.Copies, pulled: c.Pulled, issues: c.Issues, turn: make(chan struct{}, 1)}
	h := &host{Control: c, loader: &loader{core: core, pulled: c.Pulled}}
	core.follower = follow.New(follow.Options{Host: h, Order: core.order, Exceptions: core.exceptions, Node: o.Node, Now: o.Now, Log: o.Log})
	core.mirror = mirror.New(mirror.Options{Store: o.Mirror, Open: o.OpenMirror, Source: core.follower, Now: o.Now, Log: o.Log})
	c.opening = mirror.NewOpening(mirror.OpeningOptions{
		Open: o.Open, Kind: o.Kind, Patience: o.OpenPatience, Stored: o.Mirror, MaxAge: o.MaxMirrorAge,
		Mirror: core.mirror, Host: h, Now: o.Now, Log: o.Log,
	})
	core.members = follow.NewMembers(core.follower, c.opening.Missing)
	c.Members = core.members
	c.Status = &Status{c: core, issues: c.Issues, usage: c.Usage, missing: c.opening.Missing}
	return c, nil
}

func newCore(o *Options) *core {
	c := &core{
		log: o.Log, node: o.Node, now: o.Now, checkBalance: o.CheckBalance,
		router: routing.NewRouter(), bus: NewBus(o.Now), hooks: new(Hooks),
	}
	if o.Store != nil {
		c.stored.Store(&o.Store)
	}
	c.inForce.Store(declare(Config{}))
	c.order = publish.New(c.router, func(r state.Ref) bool { return c.declared().has(r) })
	c.exceptions = follow.NewExceptions(c.router.Pending, &c.signals)
	return c
}

// Start loads the store into memory; from then on Router answers. Where the store is out
// of reach it loads the mirror, if there is one, and the store when that comes. It may be
// called once.
func (c *Control) Start(ctx context.Context) error {
	var err error
	if c.given != nil {
		err = c.opening.Host.Use(ctx, c.given)
	} else {
		err = c.opening.First(ctx)
	}
	if err != nil {
		return err
	}
	c.Pending.queue.start() //nolint:contextcheck // runs until Stop
	return nil
}

// Attach makes cfg the configuration in force: its resources join the catalogue. The
// most recently attached configuration that is still attached is in force, so that a
// reload that fails falls back to what ran before. An error changes nothing.
func (c *Control) Attach(ctx context.Context, cfg Config) (*Attachment, error) {
	if err := ValidateConfig(cfg, c.core.checkBalance); err != nil {
		return nil, err
	}
	a, err := c.attached.attach(ctx, declare(cfg))
	if err != nil {
		return nil, err
	}
	c.core.router.Ledger.Enable(cfg.AuditKeep > 0)
	c.readyOnce.Do(func() { close(c.ready) })
	c.Hooks.answering(ctx)
	c.core.anyChanged("attached")
	return a, nil
}

// DeclaresStorage reports whether the configuration in force declares that very storage for a
// cluster: its keys are the operator's own, whatever the API made of that name.
func (c *Control) DeclaresStorage(cluster string, s *catalog.Storage) bool {
	own := configLookup{c.core.declared()}.Cluster(cluster)
	return own != nil && own.Storage != nil && *own.Storage == *s
}

// Ready is closed once Start has loaded the store and a configuration is attached.
func (c *Control) Ready() <-chan struct{} { return c.ready }

// Close stops what Start began. It does not close the store it was given, only what it
// opened itself, and may be called more than once.
func (c *Control) Close() {
	c.opening.Stop()
	c.Pending.queue.stop()
	c.core.follower.Stop(c.core.mirror != nil)
	c.core.mirror.Stop()
	c.opening.CloseStore()
}

// Router returns the router of what is in force; always the same value.
func (c *Control) Router() *routing.Router { return c.core.router }

// Events returns the bus of what happens.
func (c *Control) Events() *Bus { return c.core.bus }

// Store returns the store as it is now, for reads. A shared one that is out of reach at
// the start is another value once it was opened: keep Control, not the store.
func (c *Control) Store() state.Store { return c.core.store() }

// Node returns this instance's name.
func (c *Control) Node() string { return c.node }
