package caddymodule

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/health"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// runtimes holds what runs, shared by the configurations that want the same. Old and
// new configurations overlap during a reload, so whatever must exist once (the
// store's writer, the workers) lives here and never in an App.
var runtimes = caddy.NewUsagePool()

// runtimeKey has every setting that, when it changes, needs another runtime.
type runtimeKey struct {
	store         string
	node          string
	encryptionKey [32]byte // SHA-256 of it and the former ones
}

// keyOf is the key of the runtime for a store and what a configuration says of its instance.
func keyOf(store string, s *settled) runtimeKey {
	return runtimeKey{store: store, node: s.node, encryptionKey: sha256.Sum256(fmt.Appendf(nil, "%q %q", s.encryptionKey, s.formerKeys))}
}

// errNotRunning says that no configuration has the runtime that was looked for.
var errNotRunning = errors.New("not running")

// differenceTo names the setting that keeps two configurations with the same store
// from sharing it.
func (k runtimeKey) differenceTo(other runtimeKey) string {
	if k.node != other.node {
		return fmt.Sprintf("node (%q, not %q)", other.node, k.node)
	}
	return "encryption_key"
}

// runtime is all of FaDO that runs: it outlives the configurations that hold it and
// ends with the last of them. Nothing in it knows which configuration it serves but
// through its holds.
type runtime struct {
	store   state.Store // nil where control opens it
	control *control.Control
	engine  *replication.Engine
	health  *health.Checker
	events  *emitter
	logs    *logSwitch
	backlog *backlogCache
	tally   *tallyCache
	watch   context.CancelFunc // ends what goes on beside requests
	watched sync.WaitGroup
	// lifetime ends with watch.
	lifetime context.Context
	// history is what was measured, nil where nothing is kept; remembers says by which settings.
	history   atomic.Pointer[history.Rings]
	remembers historySettings // guarded by mu
	flows     *flowWindow
	// remembered delivers a value when a history has begun.
	remembered chan struct{}
	// caddyCtx is the context of the configuration in force; selection policies are
	// checked in it.
	caddyCtx atomic.Pointer[caddy.Context]
	// secrets are the placeholders that the configuration in force lets clusters of the API use.
	secrets atomic.Pointer[catalog.SecretPatterns]

	mu    sync.Mutex
	holds []*hold // the last one is in force
	ended bool
	// urlKeyTried is when the key of URLs was tried to be made for an invocation.
	urlKeyTried time.Time
}

// hold is one started configuration's hold on a runtime.
type hold struct {
	app        *App
	settings   replication.Settings
	attachment *control.Attachment
}

// tenancy is what a configuration has of the runtime that it shares with others.
type tenancy struct {
	key runtimeKey
	// The runtime; nil before Start when no running configuration had it. It stays set after
	// leave, since sites go on to serve what they had begun to; holding says that leave is to
	// release it.
	atomic.Pointer[runtime]
	holding bool
	hold    *hold
}

// joinRunning takes hold of the runtime that the configuration needs, if it runs, and says whether
// it does. A running store can't be opened a second time under another name or key.
func (t *tenancy) joinRunning() (bool, error) {
	rt, _, err := runtimes.LoadOrNew(t.key, func() (caddy.Destructor, error) { return nil, errNotRunning })
	if err == nil {
		t.Store(rt.(*runtime))
		t.holding = true
		return true, nil
	}
	runtimes.Range(func(k, _ any) bool {
		if other := k.(runtimeKey); other.store == t.key.store {
			err = fmt.Errorf("%s is open with another %s: expected the same for as long as Caddy runs; restart it to change that",
				other.store, t.key.differenceTo(other))
			return false
		}
		return true
	})
	if errors.Is(err, errNotRunning) {
		return false, nil
	}
	return false, err
}

// acquire returns the runtime of the configuration; build makes one if there is none.
func (t *tenancy) acquire(build func() (caddy.Destructor, error)) (*runtime, error) {
	if rt := t.Load(); rt != nil {
		return rt, nil
	}
	rt, _, err := runtimes.LoadOrNew(t.key, build)
	if err != nil {
		return nil, err
	}
	t.Store(rt.(*runtime))
	t.holding = true
	return rt.(*runtime), nil
}

// leave releases the runtime; the last configuration to do so ends it.
func (t *tenancy) leave() error {
	if !t.holding {
		return nil
	}
	t.holding = false
	if t.hold != nil {
		t.Load().detach(t.hold)
		t.hold = nil
	}
	_, err := runtimes.Delete(t.key)
	return err
}

// newRuntime opens the store and loads it. Nothing works yet: that begins with the
// first attached configuration, since before it, what configurations declare would
// look as if it had been removed.
func newRuntime(app *App) (*runtime, error) {
	rt := &runtime{logs: newLogSwitch(app.log.Core()), remembered: make(chan struct{}, 1)}
	rt.caddyCtx.Store(&app.ctx)
	rt.secrets.Store(&app.Secrets)
	o, err := rt.storeOptions(app)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	rt.store = o.Store
	if err := rt.build(app, o); err != nil {
		return nil, errors.Join(err, rt.closeStore())
	}
	return rt, nil
}

func (rt *runtime) build(app *App, o control.Options) (err error) {
	o.Log, o.Node = rt.logs.logger("fado.control"), app.self.node
	o.CheckBalance = func(raw catalog.RawObject) error { return checkBalance(*rt.caddyCtx.Load(), raw) }
	if rt.control, err = control.New(o); err != nil {
		return err
	}
	if err := rt.control.Start(app.ctx); err != nil {
		rt.control.Close()
		return err
	}
	rt.engine = replication.New(replication.Options{
		Control: rt.control,
		Log:     rt.logs.logger("fado.replication"),
		Open:    openStorage,
		Refuse:  rt.refuseStorage,
		Metrics: counters,
		Version: Version(),
	})
	rt.health = newHealth(rt.control, rt.logs.logger("fado.health"))
	rt.backlog = &backlogCache{read: func(ctx context.Context, bucket string) ([]state.Backlog, error) {
		return rt.control.Store().Queue().Backlogs(ctx, bucket)
	}}
	rt.tally = newTally(rt.control)
	rt.flows = newFlowWindow(rt.control.Router())
	var ctx context.Context
	ctx, rt.watch = context.WithCancel(context.Background())
	rt.lifetime = ctx
	rt.watched.Go(func() { rt.watchTrouble(ctx, rt.logs.logger("fado.buckets")) })
	rt.watched.Go(func() { rt.control.Audits.Run(ctx) })
	measuring := &sampler{rt: rt, others: exchange{rt: rt}}
	rt.watched.Go(func() { measuring.run(ctx) })
	rt.events = newEmitter(rt.control.Events(), rt.logs.logger("fado.events"))
	return nil
}

// newHealth returns a checker of whatever endpoints there are.
func newHealth(c *control.Control, log *zap.Logger) *health.Checker {
	checker := health.New(health.Config{
		Endpoints: func() []*routing.Endpoint { return c.Router().Snapshot().Endpoints() },
		OnChange: func(ep *routing.Endpoint, healthy bool, reason string) {
			state, line := "healthy", log.Info
			if !healthy {
				state, line = "unhealthy", log.Warn
			}
			line("function endpoint is "+state, zap.String("cluster", ep.Cluster), zap.String("url", ep.URL), zap.String("reason", reason))
			c.Events().Emit(control.Event{Type: control.EventFunction, Cluster: ep.Cluster, URL: ep.URL, State: state, Reason: reason})
		},
	})
	c.Hooks.BeforeAnswer(func(context.Context) { checker.Kick() })
	return checker
}

// attach makes a configuration the one in force. The first one sets everything to
// work. An error changes nothing.
func (rt *runtime) attach(ctx caddy.Context, h *hold) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.ended {
		return errNotRunning
	}
	attachment, err := rt.control.Attach(ctx, declaredBy(h.app))
	if err != nil {
		return err
	}
	h.attachment = attachment
	first := len(rt.holds) == 0
	rt.holds = append(rt.holds, h)
	rt.follow(h)
	if first {
		rt.engine.Start(h.settings)
		rt.health.Start()
	} else {
		rt.engine.Reconfigure(h.settings)
	}
	return nil
}

// follow makes logs, checks and what secrets may be used those of a configuration.
func (rt *runtime) follow(h *hold) {
	rt.logs.use(h.app.log.Core())
	rt.caddyCtx.Store(&h.app.ctx)
	rt.secrets.Store(&h.app.Secrets)
	rt.remember(h.app.HistoryConfig.settings())
}

// refuseStorage says why the storage of a cluster that the API made must not be opened: a
// cluster in the store may be older than the patterns in force.
func (rt *runtime) refuseStorage(cluster string, s *catalog.Storage) error {
	if rt.control.DeclaresStorage(cluster, s) {
		return nil
	}
	return rt.secrets.Load().Refuse(s)
}

// detach ends a configuration's hold. If it was in force, the one before is again.
// With the last one, all work ends first: nothing may take the end of a process for
// the removal of all that its configuration declared.
func (rt *runtime) detach(h *hold) {
	rt.events.stopSendingBy(h.app)
	rt.mu.Lock()
	defer rt.mu.Unlock()
	inForce := len(rt.holds) > 0 && rt.holds[len(rt.holds)-1] == h
	rt.holds = slices.DeleteFunc(rt.holds, func(other *hold) bool { return other == h })
	if len(rt.holds) == 0 {
		rt.ended = true
		rt.logs.use(caddy.Log().Core()) // the configuration's own is about to be closed
		rt.stopWork()
	}
	h.attachment.Detach()
	if inForce && len(rt.holds) > 0 {
		now := rt.holds[len(rt.holds)-1]
		rt.follow(now)
		rt.engine.Reconfigure(now.settings)
	}
}

func (rt *runtime) stopWork() {
	rt.engine.Stop()
	rt.health.Stop()
}

// Destruct implements caddy.Destructor: it ends what is left and waits for it.
func (rt *runtime) Destruct() error {
	rt.stopWork()
	rt.watch()
	rt.watched.Wait()
	rt.events.close()
	rt.control.Close()
	if err := rt.closeStore(); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

func (rt *runtime) closeStore() error {
	if rt.store == nil {
		return nil
	}
	return rt.store.Close()
}

// backlogs sums pending rows per bucket and cluster; see backlogCache.
func (rt *runtime) backlogs(ctx context.Context) []state.Backlog { return rt.backlog.get(ctx) }

// Interface guard
var _ caddy.Destructor = (*runtime)(nil)
