package caddymodule

import (
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(Probe))
	httpcaddyfile.RegisterHandlerDirective("fado_health", parseProbe)
	httpcaddyfile.RegisterDirectiveOrder("fado_health", httpcaddyfile.Before, "reverse_proxy")
}

// Probe answers the health checks of load balancers and orchestrators, on any site: 200 and
// `ready` where this instance routes invocations, else 503 and why not. With the query
// `live=true` it answers 200 and `live` for as long as the process serves requests.
//
// Ready is about routing alone: an instance whose database or storages are away goes on
// routing from memory and stays ready. `GET /fado/` of the admin API tells all that is wrong.
type Probe struct {
	ready <-chan struct{}
}

// CaddyModule returns the Caddy module information.
func (*Probe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.fado_health", New: func() caddy.Module { return new(Probe) }}
}

// Provision finds the fado app.
func (p *Probe) Provision(ctx caddy.Context) error {
	mod, err := ctx.App("fado")
	if err != nil {
		return fmt.Errorf("fado_health: %w", err)
	}
	app, ok := mod.(interface{ Ready() <-chan struct{} })
	if !ok {
		return fmt.Errorf("fado_health: the fado app is a %T, which does not say whether it is ready", mod)
	}
	p.ready = app.Ready()
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (p *Probe) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	status, text := p.answer(r)
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, err := io.WriteString(w, text+"\n")
		return err
	}
	return nil
}

func (p *Probe) answer(r *http.Request) (int, string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return http.StatusMethodNotAllowed, "expected GET or HEAD"
	}
	if r.URL.Query().Get("live") == "true" {
		return http.StatusOK, "live"
	}
	select {
	case <-p.ready:
		return http.StatusOK, "ready"
	default:
		return http.StatusServiceUnavailable, "the catalogue is not loaded yet"
	}
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	fado_health [<matcher>]
func (*Probe) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Errf("fado_health: unexpected argument %q: expected none", d.Val())
	}
	if d.NextBlock(0) {
		return d.Errf("fado_health: unexpected option %q: it has none", d.Val())
	}
	return nil
}

func parseProbe(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	p := new(Probe)
	return p, p.UnmarshalCaddyfile(h.Dispenser)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Probe)(nil)
	_ caddyhttp.MiddlewareHandler = (*Probe)(nil)
	_ caddyfile.Unmarshaler       = (*Probe)(nil)
)
