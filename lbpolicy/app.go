package lbpolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/internal/traffic"
	"github.com/fado-project/fado/routing"
)

// App is what the modules here need of the fado app.
type App interface {
	// Router answers routing questions. It may be nil until the app is ready.
	Router() *routing.Router
	// Ready is closed once the router knows the catalogue.
	Ready() <-chan struct{}
	// Invocations counts how requests were decided.
	Invocations() traffic.Invocations
}

// FailureReporter may be implemented by the app to learn which endpoints live
// traffic could not dial. Without it they are marked unhealthy here, which only a
// health check takes back.
type FailureReporter interface {
	EndpointFailed(ep *routing.Endpoint, err error)
}

// Puller may be implemented by the app to copy objects to where an invocation can run
// beside them (on_miss pull). It returns when they are there, or why they are not.
type Puller interface {
	Pull(ctx context.Context, plan routing.PullPlan) error
}

// Presigner may be implemented by the app to give functions URLs by which they read objects
// without a key (presign); "" for none.
type Presigner interface {
	Presign(cluster, bucket, key string, expires time.Duration) string
}

// readyTimeout is how long a request waits for an app that is still starting.
const readyTimeout = 10 * time.Second

func appOf(ctx caddy.Context) (App, error) {
	mod, err := ctx.App("fado")
	if err != nil {
		return nil, fmt.Errorf("getting the fado app: %w", err)
	}
	app, ok := mod.(App)
	if !ok {
		return nil, fmt.Errorf("the fado app (%T) can't route requests", mod)
	}
	return app, nil
}

// handlerOf finds the reverse_proxy a module is part of; nil when there is none.
func handlerOf(ctx caddy.Context) *reverseproxy.Handler {
	for _, mod := range slices.Backward(ctx.Modules()) {
		if h, ok := mod.(*reverseproxy.Handler); ok {
			return h
		}
	}
	return nil
}

// needUpstreams says what is missing where a proxy that is being set up has neither upstreams
// nor a source of them.
func needUpstreams(h *reverseproxy.Handler, complaint string) error {
	if h == nil || len(h.Upstreams) > 0 || h.DynamicUpstreams != nil || len(h.DynamicUpstreamsRaw) > 0 {
		return nil
	}
	return errors.New(complaint + ": expected 'dynamic fado' (JSON: " +
		`"dynamic_upstreams": {"source": "fado"}) in the reverse_proxy, or upstreams named there`)
}

// awaitReady waits until the app knows the catalogue, as long as the request lasts
// and readyTimeout at most, and says whether it does.
func awaitReady(ctx context.Context, app App) bool {
	select {
	case <-app.Ready():
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case <-app.Ready():
		return true
	case <-ctx.Done():
		return false
	}
}
