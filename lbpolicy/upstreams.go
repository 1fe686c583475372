package lbpolicy

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/fado-project/fado/routing"
)

// Upstreams is a source of upstreams: the function endpoints of all clusters, as the
// catalogue has them at the moment. It is meant for the transport `fado`; under another one
// it offers only the endpoints that that one can reach.
//
// It never offers an endpoint where a request may not run. Under a selection policy other
// than `data_aware` it reads FaDO's request headers itself, as `data_aware` with its defaults
// does, and that policy balances among the endpoints that routing allows.
type Upstreams struct {
	app     App
	handler *reverseproxy.Handler
	implied *DataAware // routes where the proxy's own policy does not; else nil
	table   atomic.Pointer[upstreamTable]
}

// CaddyModule returns the Caddy module information.
func (*Upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.upstreams.fado",
		New: func() caddy.Module { return new(Upstreams) },
	}
}

// Provision sets up u.
func (u *Upstreams) Provision(ctx caddy.Context) error {
	var err error
	if u.app, err = appOf(ctx); err != nil {
		return err
	}
	if u.handler = handlerOf(ctx); u.handler == nil {
		return errors.New("the upstream source fado works only in a reverse_proxy")
	}
	if len(u.handler.Upstreams) > 0 {
		return fmt.Errorf("%d upstreams are named beside the upstream source fado, which replaces them: expected one or the other", len(u.handler.Upstreams))
	}
	if err = u.implyDataAware(ctx); err != nil {
		return err
	}
	// The transport is loaded before the source of upstreams.
	if reach := transportOf(u.handler); reach != anyTransport {
		scheme := map[transport]string{plainTransport: "http", tlsTransport: "https"}[reach]
		ctx.Logger().Warn("without 'transport fado', function endpoints of other schemes or with a path prefix are not used",
			zap.String("used_scheme", scheme))
	}
	return nil
}

// implyDataAware puts data_aware before a selection policy that knows nothing of data. The
// policy is loaded before the source of upstreams.
func (u *Upstreams) implyDataAware(ctx caddy.Context) error {
	if u.handler.LoadBalancing == nil {
		u.handler.LoadBalancing = new(reverseproxy.LoadBalancing)
	}
	lb := u.handler.LoadBalancing
	if _, ok := lb.SelectionPolicy.(*DataAware); ok {
		return nil
	}
	u.implied = new(DataAware)
	if err := u.implied.Provision(ctx); err != nil {
		return err
	}
	u.implied.balancers.balanceBy(lb.SelectionPolicy)
	lb.SelectionPolicy = u.implied
	return nil
}

// Cleanup unloads what u put in.
func (u *Upstreams) Cleanup() error {
	if u.implied == nil {
		return nil
	}
	return u.implied.Cleanup()
}

// GetUpstreams returns the upstreams that Caddy has not set up yet, most often none: the
// choice is data_aware's. It never fails: Caddy would fall back to static upstreams, which
// no policy of FaDO's has allowed.
func (u *Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	if !awaitReady(r.Context(), u.app) {
		return nil, nil
	}
	return u.missing(u.app.Router().Snapshot().Endpoints()), nil
}

// missing returns new upstreams for the addresses that have none yet, or an old one.
func (u *Upstreams) missing(eps []*routing.Endpoint) []*reverseproxy.Upstream {
	var known map[string]*reverseproxy.Upstream
	if t := u.table.Load(); t != nil && time.Since(t.made) < tableExpiry {
		if sameSlice(t.eps, eps) {
			return nil
		}
		known = t.byDial
	}
	added := make(map[string]*reverseproxy.Upstream)
	for _, ep := range eps {
		if known[ep.Dial] == nil && added[ep.Dial] == nil {
			added[ep.Dial] = &reverseproxy.Upstream{Dial: ep.Dial}
		}
	}
	ups := make([]*reverseproxy.Upstream, 0, len(added))
	for up := range maps.Values(added) {
		ups = append(ups, up)
	}
	return ups
}

// learn takes in the upstreams Caddy has set up since missing returned them, and
// returns the table of all. Several requests may do so at the same time; whichever is
// last, the table is as good.
func (u *Upstreams) learn(eps []*routing.Endpoint, added reverseproxy.UpstreamPool) *upstreamTable {
	old := u.table.Load()
	if old != nil && len(added) == 0 && sameSlice(old.eps, eps) {
		return old
	}
	t := &upstreamTable{eps: eps, byDial: make(map[string]*reverseproxy.Upstream, len(eps)), made: time.Now()}
	news := make(map[string]*reverseproxy.Upstream, len(added))
	for _, up := range added {
		news[up.Dial] = up
	}
	for _, ep := range eps {
		switch {
		case news[ep.Dial] != nil:
			t.byDial[ep.Dial] = news[ep.Dial]
		case old != nil && old.byDial[ep.Dial] != nil:
			t.byDial[ep.Dial] = old.byDial[ep.Dial]
			t.made = old.made
		default:
			t.eps = nil // still missing: the next request gets it
		}
	}
	u.table.Store(t)
	return t
}

// Interface guards
var (
	_ caddy.Module                = (*Upstreams)(nil)
	_ caddy.Provisioner           = (*Upstreams)(nil)
	_ caddy.CleanerUpper          = (*Upstreams)(nil)
	_ reverseproxy.UpstreamSource = (*Upstreams)(nil)
)
