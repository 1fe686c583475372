package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/s3gateway/urls"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

const (
	defaultIdle     = time.Hour
	defaultAbsolute = 12 * time.Hour
)

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.fado_console",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision fills in defaults and checks what is configured.
func (h *Handler) Provision(ctx caddy.Context) error {
	if _, err := ctx.App("fado"); err != nil {
		return fmt.Errorf("fado_console: %w", err)
	}
	if err := h.provision(ctx.Logger(), admin.NewGateway(ctx.Logger())); err != nil {
		return err
	}
	h.streams.ended = ctx.Done()
	return nil
}

func (h *Handler) provision(log *zap.Logger, gateway *admin.Gateway) error {
	if h.SessionIdle == 0 {
		h.SessionIdle = caddy.Duration(defaultIdle)
	}
	if h.SessionAbsolute == 0 {
		h.SessionAbsolute = caddy.Duration(defaultAbsolute)
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("fado_console: %w", err)
	}
	h.log, h.gateway, h.app, h.now, h.pages = log, gateway, findApp, time.Now, embedded()
	var err error
	if h.sites, err = newSites(h.TrustedOrigins); err != nil {
		return fmt.Errorf("fado_console: %w", err)
	}
	h.accounts = newAccounts(h.Users)
	h.BasePath = strings.TrimRight(h.BasePath, "/")
	h.limit = newLimiter()
	app, now := func() (App, error) { return h.app() }, func() time.Time { return h.now() }
	h.passes = &passes{app: app, now: now, idle: time.Duration(h.SessionIdle), absolute: time.Duration(h.SessionAbsolute), seen: newSessionCache()}
	h.streams = &streams{app: app, now: now, rooms: newRooms(), still: func(r *http.Request) error {
		_, err := h.callerOf(r)
		return err
	}}
	return nil
}

// check names everything that is wrong with the configuration.
func (h *Handler) check() error {
	var errs []error
	add := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	seen := make(map[string]bool)
	for i, u := range h.Users {
		if u == nil {
			add(true, "users[%d]: null: expected an object", i)
			continue
		}
		add(u.Name == "" || len(u.Name) > maxName, "user: %q: expected a name of 1 to %d characters", u.Name, maxName)
		add(seen[u.Name], "user %s is given twice: expected it once", u.Name)
		add(!u.Role.Valid(), "user %s: role: %q: expected viewer, operator or admin", u.Name, u.Role)
		if _, err := comparerOf(u.Hash); err != nil {
			add(true, "user %s: %w", u.Name, err)
		}
		seen[u.Name] = true
	}
	add(h.SessionIdle < 0 || h.SessionAbsolute < 0, "session: expected durations above 0")
	add(h.SessionIdle > h.SessionAbsolute && h.SessionAbsolute > 0, "session: %s without use is longer than %s in all", time.Duration(h.SessionIdle), time.Duration(h.SessionAbsolute))
	add(time.Duration(h.SessionAbsolute) > maxSession, "session: %s: expected %s at most", time.Duration(h.SessionAbsolute), maxSession)
	for _, o := range h.TrustedOrigins {
		u, err := url.Parse(o)
		add(err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "", "trusted_origin: %q: expected scheme and host, such as https://portal.example.org", o)
	}
	add(h.BasePath != "" && (!strings.HasPrefix(h.BasePath, "/") || strings.HasPrefix(h.BasePath, "//") || strings.ContainsAny(h.BasePath, "?#*")),
		"base_path: %q: expected a path such as /console", h.BasePath)
	if h.Identity != nil {
		errs = append(errs, h.Identity.check())
	}
	errs = append(errs, rights(h.Data).check())
	if h.S3 != "" {
		if _, _, err := urls.ParseURL(h.S3); err != nil {
			errs = append(errs, fmt.Errorf("s3: %w", err))
		}
	}
	return errors.Join(errs...)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	setHeaders(w.Header(), policyOf(h.endpoint(r)))
	path, base, ok := mounted(r, h.BasePath)
	switch {
	case !ok:
		http.NotFound(w, r)
	case path == "":
		http.Redirect(w, r, base, http.StatusPermanentRedirect)
	case strings.HasPrefix(path, "/api/"):
		h.serveAPI(w, r, strings.TrimPrefix(path, "/api"))
	default:
		h.pages.serve(w, r, path, base)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
