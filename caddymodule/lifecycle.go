package caddymodule

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
)

// Provision settles what the configuration says and checks that its secrets can be
// had. It opens nothing; but where a running configuration has the same store, this
// one joins its runtime right away, so that sites that start before the app does
// already route.
func (app *App) Provision(ctx caddy.Context) error {
	app.ctx, app.log = ctx, ctx.Logger()
	app.none, app.ready = routing.NewRouter(), make(chan struct{})
	if err := rejectNull(app); err != nil {
		return err
	}
	for _, step := range []func() error{
		app.loadStore, app.settleIdentity, app.watchStarted,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := checkSecrets(app.Clusters); err != nil {
		return err
	}
	if err := registerMetrics(ctx.GetMetricsRegistry(), app); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return app.joinRunning()
}

// rejectNull refuses null where JSON has an item.
func rejectNull(app *App) error {
	var errs []error
	errs = append(errs, nonNull("zones", app.Zones)...)
	errs = append(errs, nonNull("clusters", app.Clusters)...)
	errs = append(errs, nonNull("policies", app.Policies)...)
	errs = append(errs, nonNull("buckets", app.Buckets)...)
	return errors.Join(errs...)
}

func nonNull[T any](field string, items []*T) (errs []error) {
	for i, it := range items {
		if it == nil {
			errs = append(errs, fmt.Errorf("%s[%d]: null: expected an object", field, i))
		}
	}
	return errs
}

func (app *App) loadStore() error {
	if app.StoreRaw == nil {
		app.StoreRaw = json.RawMessage(`{"type":"sqlite"}`)
	}
	var named struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(app.StoreRaw, &named); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := knownStore(named.Type); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	module, err := app.ctx.LoadModule(app, "StoreRaw")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	store, ok := module.(StoreModule)
	if !ok {
		return fmt.Errorf("store: module %T can't open a store", module)
	}
	app.store = store
	return nil
}

// settleIdentity replaces placeholders and fills in the default node, which together
// with the store say which runtime the configuration needs.
func (app *App) settleIdentity() error {
	node, err := replaced(app.Node)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if node == "" {
		if node, err = os.Hostname(); err != nil {
			return fmt.Errorf("finding the host name, which names this node by default: %w", err)
		}
	}
	if err := checkNode(node); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if app.here, err = replaced(app.NodeCluster); err != nil {
		return fmt.Errorf("node: cluster: %w", err)
	}
	if err := checkNodeCluster(app.here); app.here != "" && err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if app.encryptionKey, app.formerKeys, err = resolveKeys(app.EncryptionKey, app.FormerEncryptionKeys); err != nil {
		return err
	}
	if err := app.Audit.provision(); err != nil {
		return err
	}
	app.key = runtimeKey{store: app.store.StoreKey(), node: node, encryptionKey: sha256.Sum256(fmt.Appendf(nil, "%q %q", app.encryptionKey, app.formerKeys))}
	return nil
}

func checkNode(name string) error {
	blank := func(r rune) bool { return r <= ' ' || r == 0x7f }
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, blank) {
		return fmt.Errorf("%q: expected 1 to 255 characters without spaces", name)
	}
	return nil
}

func checkNodeCluster(name string) error {
	if !catalog.ValidName(name) {
		return fmt.Errorf("cluster: %q: expected the name of a cluster", name)
	}
	return nil
}

// Validate names everything that is wrong with the configuration by itself.
func (app *App) Validate() error {
	balance := func(raw catalog.RawObject) error { return checkBalance(app.ctx, raw) }
	cfg := app.config()
	err := errors.Join(control.ValidateConfig(cfg, balance), app.Secrets.Validate(), app.Audit.validate(), app.HistoryConfig.validate(), app.ReplicationConfig.validate())
	if err == nil {
		for _, short := range cfg.Shortfalls() {
			app.log.Warn("a policy asks for more than the clusters of this configuration can give", zap.String("reason", short))
		}
	}
	return err
}

// Start opens the store where no running configuration has it open, and makes this
// configuration the one in force. After an error, Caddy calls Cleanup and what was in
// force before is so again.
func (app *App) Start() error {
	rt, err := app.acquire()
	if err != nil {
		return err
	}
	h := &hold{app: app, settings: app.ReplicationConfig.settings()}
	if err := rt.attach(app.ctx, h); err != nil {
		return err
	}
	app.hold = h
	app.markReady()
	app.warn(os.Args)
	app.log.Info("started", zap.String("version", Version()), zap.String("node", app.key.node), zap.String("store", app.store.StoreKey()))
	return nil
}

// warn logs what is allowed and probably not meant; args are the process's.
func (app *App) warn(args []string) {
	if config, err := json.Marshal(app); err == nil && slices.Contains(args, "--environ") && bytes.Contains(config, []byte("{env.")) {
		app.log.Warn("--environ prints the environment, and with it the secrets that this configuration takes from it, to the log; leave it out, or hand secrets over in files ({file.…})")
	}
}

// Stop does nothing: Cleanup releases the runtime, after all apps have
// stopped, so that requests still being served find their way.
func (*App) Stop() error { return nil }

// Cleanup releases the runtime; the last configuration to do so ends it. It comes
// after Stop, and also after a Provision, Validate or Start that failed.
func (app *App) Cleanup() error {
	if !app.holding {
		return nil
	}
	app.holding = false
	if app.hold != nil {
		app.runtime.Load().detach(app.hold)
		app.hold = nil
	}
	_, err := runtimes.Delete(app.key)
	return err
}

// joinRunning takes hold of the runtime that the configuration needs if it runs. A
// running store can't be opened a second time under another name or key.
func (app *App) joinRunning() error {
	rt, _, err := runtimes.LoadOrNew(app.key, func() (caddy.Destructor, error) { return nil, errNotRunning })
	if err == nil {
		app.runtime.Store(rt.(*runtime))
		app.holding = true
		app.markReady()
		return nil
	}
	runtimes.Range(func(k, _ any) bool {
		if other := k.(runtimeKey); other.store == app.key.store {
			err = fmt.Errorf("%s is open with another %s: expected the same for as long as Caddy runs; restart it to change that",
				other.store, app.key.differenceTo(other))
			return false
		}
		return true
	})
	if errors.Is(err, errNotRunning) {
		return nil
	}
	return err
}

// acquire returns the runtime of the configuration, making it if there is none.
func (app *App) acquire() (*runtime, error) {
	if rt := app.runtime.Load(); rt != nil {
		return rt, nil
	}
	rt, _, err := runtimes.LoadOrNew(app.key, func() (caddy.Destructor, error) { return newRuntime(app) })
	if err != nil {
		return nil, err
	}
	app.runtime.Store(rt.(*runtime))
	app.holding = true
	return rt.(*runtime), nil
}

// watchStarted has the app told when every app of its configuration has started:
// Caddy's events app may not be used before, it is still taking subscriptions.
func (app *App) watchStarted() error {
	module, err := app.ctx.App("events")
	if err != nil {
		return err
	}
	app.events = module.(*caddyevents.App)
	return app.events.On("started", startedHandler{app})
}

// startedHandler handles Caddy's event "started".
type startedHandler struct{ app *App }

// Handle implements caddyevents.Handler.
func (h startedHandler) Handle(context.Context, caddy.Event) error {
	if h.app.hold != nil {
		h.app.runtime.Load().events.sendBy(h.app)
	}
	return nil
}

// Interface guard
var _ caddyevents.Handler = startedHandler{}
