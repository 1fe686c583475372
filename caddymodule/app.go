package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/health"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/internal/traffic"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/urls"
)

func init() {
	caddy.RegisterModule(new(App))
}

const appName = "fado"

// App sends every function invocation to a place that already holds the data the
// invocation names, and keeps copies of that data where policy wants them.
//
// What it declares is owned by this configuration: the admin API shows it and does
// not change it. What the admin API makes lives in the store.
type App struct {
	// Where FaDO keeps what must survive a restart: a module in the namespace
	// fado.stores. Default: {"type": "sqlite"}.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=fado.stores inline_key=type"`

	// The name of this instance. Placeholders are replaced. Default: the host name.
	Node string `json:"node,omitempty"`

	// The cluster that this instance is in. Bytes of a bucket's objects are copied, pulled and
	// served by it only if their policy allows that cluster. A placeholder is replaced.
	// Default: not said, and bytes of all buckets may pass.
	NodeCluster string `json:"node_cluster,omitempty"`

	// The key that seals literal secrets in the store; {env.X} and {file.X}
	// placeholders keep it out of the configuration. At least 16 characters. Default: a key
	// file of mode 0600 beside the SQLite file.
	EncryptionKey string `json:"encryption_key,omitempty"`

	// Other keys that the store's secrets may be sealed with, while the key is rotated:
	// which of them is in force is for the store to say. Default: none.
	FormerEncryptionKeys []string `json:"former_encryption_keys,omitempty"`

	// Placeholders that clusters made by the admin API may use in their keys, as patterns:
	// each is {env.X} or {file.X}, with * for any characters but "/". What this configuration
	// declares may use any. Default: {env.FADO_*} and {file./run/secrets/*}.
	Secrets catalog.SecretPatterns `json:"secrets,omitempty"`

	// Records of every change and of every copy. Default: on, kept for 400 days.
	Audit *Audit `json:"audit,omitempty"`

	// What is kept in memory of what was measured, for the console. Default: 24h, a value
	// every 10s, in 16MiB at most.
	HistoryConfig *History `json:"history,omitempty"`

	// The policy of buckets that name none. Default: the built-in policy "default":
	// one copy, any zone.
	DefaultPolicy string `json:"default_policy,omitempty"`

	// Places: regions, countries, sites. Default: none.
	Zones []*catalog.Zone `json:"zones,omitempty"`

	// Storages and function endpoints, each in one or more zones. Default: none.
	Clusters []*catalog.Cluster `json:"clusters,omitempty"`

	// Where copies may and should be. Default: none but the built-in "default".
	Policies []*catalog.Policy `json:"policies,omitempty"`

	// The buckets FaDO takes care of. Default: none.
	Buckets []*catalog.Bucket `json:"buckets,omitempty"`

	// How copies are made and kept. Default: see its fields.
	ReplicationConfig *Replication `json:"replication,omitempty"`

	ctx    caddy.Context
	log    *zap.Logger
	events *caddyevents.App
	store  StoreModule
	self   settled
	// keys are those that S3 endpoints declare.
	keys []*catalog.Key
	// endpoints are the S3 endpoints of this configuration.
	endpoints urls.Endpoints

	// runtime is what this configuration shares with others.
	runtime tenancy
	// none answers routing questions before there is a runtime.
	none *routing.Router
	// ready opens when there is a runtime that knows the catalogue.
	ready gate
}

// gate is open once a runtime knows the catalogue.
type gate struct {
	ch   chan struct{} // closed when it is open
	once sync.Once
}

func (g *gate) open() { g.once.Do(func() { close(g.ch) }) }

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  appName,
		New: func() caddy.Module { return new(App) },
	}
}

// declaredBy is what a configuration declares.
func declaredBy(app *App) control.Config {
	return control.Config{
		DefaultPolicy: app.DefaultPolicy,
		Here:          app.self.here,
		AuditKeep:     app.Audit.keep(),
		AuditSigner:   app.Audit.signs(),
		Zones:         app.Zones,
		Clusters:      app.Clusters,
		Policies:      app.Policies,
		Buckets:       app.Buckets,
		Keys:          app.keys,
	}
}

// DeclareKeys takes up the access keys that an S3 endpoint declares, placeholders in secrets
// replaced, so that the API shows them and keeps their names. The endpoint calls it while it is
// provisioned, after the app. The same key may be declared by several endpoints.
func (app *App) DeclareKeys(keys ...*catalog.Key) error {
	var errs []error
	for _, k := range keys {
		k = k.Clone().(*catalog.Key)
		k.Normalize()
		if err := catalog.ValidateResource(k, nil); err != nil {
			errs = append(errs, err)
			continue
		}
		i := slices.IndexFunc(app.keys, func(other *catalog.Key) bool { return other.Name == k.Name })
		switch {
		case i < 0:
			app.keys = append(app.keys, k)
		case !reflect.DeepEqual(app.keys[i], k):
			errs = append(errs, fmt.Errorf("key %s is declared twice, with different settings: expected one declaration, or equal ones", k.Name))
		}
	}
	return errors.Join(errs...)
}

// SecretPatterns are the placeholders that resources made by the API may use.
func (app *App) SecretPatterns() catalog.SecretPatterns { return app.Secrets }

// Router answers routing questions. It is never nil, and the same value for as long
// as the store stays the same, across reloads.
func (app *App) Router() *routing.Router {
	if rt := app.runtime.Load(); rt != nil {
		return rt.control.Router()
	}
	return app.none
}

// Control returns what the catalogue is changed through; nil before Start.
func (app *App) Control() *control.Control {
	if rt := app.runtime.Load(); rt != nil {
		return rt.control
	}
	return nil
}

// Replication returns the engine that makes and keeps copies; nil before Start. It
// is there, at rest, where replication is off.
func (app *App) Replication() *replication.Engine {
	if rt := app.runtime.Load(); rt != nil {
		return rt.engine
	}
	return nil
}

// Ready is closed once Router knows the catalogue.
func (app *App) Ready() <-chan struct{} { return app.ready.ch }

// CheckFunction checks a function endpoint once, as checks of those that are declared do.
func (*App) CheckFunction(ctx context.Context, cluster string, f catalog.Function) error {
	ep := routing.NewEndpoint(cluster, f)
	if ep == nil {
		return fmt.Errorf("url: %q: expected one such as http://functions.example.org", f.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, health.DefaultTimeout)
	defer cancel()
	return health.Probe(ctx, ep)
}

// Invocations counts invocations.
func (*App) Invocations() traffic.Invocations { return counters.invocations }

// S3 counts what S3 endpoints do.
func (*App) S3() traffic.S3 { return counters.s3 }

// EndpointFailed takes note of an endpoint that a request could not be sent to.
func (app *App) EndpointFailed(ep *routing.Endpoint, err error) {
	if rt := app.runtime.Load(); rt != nil {
		rt.health.Failed(ep, err)
	}
}

// Pull copies objects to where an invocation can run beside them.
func (app *App) Pull(ctx context.Context, plan routing.PullPlan) error {
	if rt := app.runtime.Load(); rt != nil {
		return rt.engine.Pull(ctx, plan)
	}
	return replication.ErrOff
}

// Version returns the version of FaDO.
func (*App) Version() string { return Version() }

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)

// Flows tells what moved between clusters, of about the last so much.
func (app *App) Flows(window time.Duration) history.Flows {
	if rt := app.runtime.Load(); rt != nil {
		return rt.flows.since(window, time.Now())
	}
	return history.Flows{}
}

// History returns what was measured; nil where nothing is kept.
func (app *App) History() *history.Rings {
	if rt := app.runtime.Load(); rt != nil {
		return rt.history.Load()
	}
	return nil
}
