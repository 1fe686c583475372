package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/documents"
	"github.com/fado-project/fado/admin/internal/events"
	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/replication"
)

func init() {
	caddy.RegisterModule(new(API))
}

// App is what the API needs of the running fado app, which implements it.
type App interface {
	// Control and Replication return what the configuration runs on; nil before the
	// app has started.
	Control() *control.Control
	Replication() *replication.Engine
	// Version of FaDO, for people.
	Version() string
	// SecretPatterns are the placeholders that resources made by the API may use.
	SecretPatterns() catalog.SecretPatterns
	// History is what was measured; nil where nothing is kept.
	History() *history.Rings
	// Flows tells what moved between clusters, of about the last so much.
	Flows(window time.Duration) history.Flows
	// CheckFunction checks a function endpoint once; it need not be declared.
	CheckFunction(ctx context.Context, cluster string, f catalog.Function) error
}

// API is the module admin.api.fado. It has no configuration.
type API struct {
	log *zap.Logger
	// find returns the running app; a field so that tests need no running Caddy.
	find    func() (backend, error)
	streams *events.Streams
	fleets  fleet.Looks
	largest fleet.Largest
	planned documents.Plans
}

// CaddyModule returns the Caddy module information.
func (*API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.fado",
		New: func() caddy.Module { return new(API) },
	}
}

// Provision sets the module up. It owns nothing: Caddy never calls Cleanup on the
// modules of the admin API.
func (a *API) Provision(ctx caddy.Context) error {
	// Only in admin routers is the module passed: their context does not know it.
	a.log = ctx.Logger(a)
	a.find = findApp
	a.streams = events.NewStreams(events.MaxStreams)
	return keepMetrics(ctx)
}

// metricsKeeper is an app that can show its metrics in another configuration's registry.
type metricsKeeper interface {
	KeepMetrics(ctx caddy.Context) error
}

// keepMetrics has the running app show its metrics in a new configuration's registry. Caddy
// provisions the admin endpoint first, and one that was provisioned for a configuration that
// fails afterwards stays, with that configuration's registry; an app that is provisioned
// replaces them.
func keepMetrics(ctx caddy.Context) error {
	mod, err := caddy.ActiveContext().AppIfConfigured("fado")
	if err != nil {
		return nil //nolint:nilerr // nothing runs that has metrics
	}
	if app, ok := mod.(metricsKeeper); ok {
		return app.KeepMetrics(ctx)
	}
	return nil
}

// Routes implements caddy.AdminRouter. One pattern, because each is a label of
// Caddy's metrics; the rest is routed within.
func (a *API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/fado/", Handler: caddy.AdminHandlerFunc(a.serve)}}
}

// serve answers one request of the admin endpoint, with an error in the body that every error of
// the API has: Caddy's own names no request.
func (a *API) serve(w http.ResponseWriter, r *http.Request) error {
	by := audit.Caller{Who: adminActor(r), How: "endpoint", Address: adminAddress(r), Request: Identify(w)}
	if err := a.serveAs(w, As(r, by), adminEndpoint); err != nil {
		a.fail(w, r, err)
	}
	return nil
}

// serveAs answers one request of a caller in a role.
func (a *API) serveAs(w http.ResponseWriter, r *http.Request, as role) error {
	op, err := table().find(w, r)
	if err != nil {
		return a.apiError(r, err)
	}
	c := &call{Request: &request.Request{W: w, R: r, Log: a.log}, streams: a.streams, fleets: &a.fleets, largest: &a.largest, planned: &a.planned}
	if err := allow(c.Request, op, as); err != nil {
		return a.apiError(r, err)
	}
	if err := checkContentType(r); err != nil {
		return a.apiError(r, err)
	}
	if err := checkQuery(r, op.params); err != nil {
		return a.apiError(r, err)
	}
	if !op.standalone {
		if c.backend, err = a.find(); err != nil {
			return a.apiError(r, err)
		}
	}
	if err := op.perform(c); err != nil {
		return a.apiError(r, err)
	}
	return nil
}

// findApp returns what the active configuration's app runs on.
func findApp() (backend, error) {
	ctx := caddy.ActiveContext()
	mod, err := ctx.AppIfConfigured("fado")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return backend{}, request.Unavailable("the fado app is not configured: add the global option \"fado\" to the Caddyfile, or \"fado\" to \"apps\" in the JSON config")
	}
	if err != nil {
		return backend{}, request.Unavailable("the fado app can't be used: %v", err)
	}
	app, ok := mod.(App)
	if !ok {
		return backend{}, fmt.Errorf("the fado app is a %T, which is not an admin.App", mod)
	}
	ctl, engine := app.Control(), app.Replication()
	if ctl == nil || engine == nil {
		return backend{}, request.Unavailable("the fado app is starting")
	}
	return backend{
		catalogue: catalogueOf(ctl),
		engine:    engineOf(engine),
		version:   app.Version(),
		secrets:   app.SecretPatterns(),
		history:   app.History(),
		flows:     app.Flows,

		checkFunction: app.CheckFunction,
		ended:         context.Context(ctx).Done(),
	}, nil
}

// Interface guards
var (
	_ caddy.Module      = (*API)(nil)
	_ caddy.Provisioner = (*API)(nil)
	_ caddy.AdminRouter = (*API)(nil)
)
