package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

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
	app.none, app.ready.ch = routing.NewRouter(), make(chan struct{})
	if err := rejectNull(app); err != nil {
		return err
	}
	var err error
	if app.store, err = loadStore(app); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if app.self, err = settle(app.Node, app.NodeCluster, app.EncryptionKey, app.FormerEncryptionKeys); err != nil {
		return err
	}
	if err := app.Audit.provision(); err != nil {
		return err
	}
	app.runtime.key = keyOf(app.store.StoreKey(), &app.self)
	if app.events, err = watchStarted(app); err != nil {
		return err
	}
	if err := checkSecrets(app.Clusters); err != nil {
		return err
	}
	if err := registerMetrics(ctx.GetMetricsRegistry(), app); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	joined, err := app.runtime.joinRunning()
	if joined {
		app.ready.open()
	}
	return err
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

// loadStore loads the module of an app's store, SQLite where it names none.
func loadStore(app *App) (StoreModule, error) {
	if app.StoreRaw == nil {
		app.StoreRaw = json.RawMessage(`{"type":"sqlite"}`)
	}
	var named struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(app.StoreRaw, &named); err != nil {
		return nil, err
	}
	if err := knownStore(named.Type); err != nil {
		return nil, err
	}
	module, err := app.ctx.LoadModule(app, "StoreRaw")
	if err != nil {
		return nil, err
	}
	store, ok := module.(StoreModule)
	if !ok {
		return nil, fmt.Errorf("module %T can't open a store", module)
	}
	return store, nil
}

// Validate names everything that is wrong with the configuration by itself.
func (app *App) Validate() error {
	balance := func(raw catalog.RawObject) error { return checkBalance(app.ctx, raw) }
	cfg := declaredBy(app)
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
	rt, err := app.runtime.acquire(func() (caddy.Destructor, error) { return newRuntime(app) })
	if err != nil {
		return err
	}
	h := &hold{app: app, settings: app.ReplicationConfig.settings()}
	if err := rt.attach(app.ctx, h); err != nil {
		return err
	}
	app.runtime.hold = h
	app.ready.open()
	warn(app, os.Args)
	app.log.Info("started", zap.String("version", Version()), zap.String("node", app.self.node), zap.String("store", app.store.StoreKey()))
	return nil
}

// warn logs what is allowed and probably not meant; args are the process's.
func warn(app *App, args []string) {
	if config, err := json.Marshal(app); err == nil && slices.Contains(args, "--environ") && bytes.Contains(config, []byte("{env.")) {
		app.log.Warn("--environ prints the environment, and with it the secrets that this configuration takes from it, to the log; leave it out, or hand secrets over in files ({file.…})")
	}
}

// Stop does nothing: Cleanup releases the runtime, after all apps have
// stopped, so that requests still being served find their way.
func (*App) Stop() error { return nil }

// Cleanup releases the runtime; the last configuration to do so ends it. It comes
// after Stop, and also after a Provision, Validate or Start that failed.
func (app *App) Cleanup() error { return app.runtime.leave() }

// watchStarted has an app told when every app of its configuration has started:
// Caddy's events app may not be used before, it is still taking subscriptions.
func watchStarted(app *App) (*caddyevents.App, error) {
	module, err := app.ctx.App("events")
	if err != nil {
		return nil, err
	}
	events := module.(*caddyevents.App)
	return events, events.On("started", startedHandler{app})
}

// startedHandler handles Caddy's event "started".
type startedHandler struct{ app *App }

// Handle implements caddyevents.Handler.
func (h startedHandler) Handle(context.Context, caddy.Event) error {
	if h.app.runtime.hold != nil {
		h.app.runtime.Load().events.sendBy(h.app)
	}
	return nil
}

// Interface guard
var _ caddyevents.Handler = startedHandler{}
