package s3gateway

import (
	"context"
	"net"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/fado-project/fado/s3gateway/urls"
)

// serverOf returns the server that a handler is provisioned for; nil outside of one.
func serverOf(ctx context.Context) *caddyhttp.Server {
	srv, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return srv
}

// endpoint is how clients reach this endpoint, as far as the configuration says it.
func (h *Handler) endpoint(srv *caddyhttp.Server) *urls.Endpoint {
	e := &urls.Endpoint{Scheme: "http", Region: h.Region, Cluster: h.Cluster}
	if srv != nil {
		if len(srv.TLSConnPolicies) > 0 {
			e.Scheme = "https"
		}
		e.Port = portOf(srv.Listen)
	}
	switch {
	case h.PublicURL != "":
		e.Scheme, e.Host, _ = urls.ParseURL(h.PublicURL) // checked before
	case len(h.Domains) > 0:
		e.Host = h.Domains[0]
		if standard := map[string]string{"http": "80", "https": "443"}; e.Port != "" && e.Port != standard[e.Scheme] {
			e.Host = net.JoinHostPort(e.Host, e.Port)
		}
	}
	return e
}

// portOf returns the first TCP port of a server.
func portOf(listen []string) string {
	for _, l := range listen {
		if addr, err := caddy.ParseNetworkAddress(l); err == nil && !addr.IsUnixNetwork() && addr.StartPort != 0 {
			return strconv.FormatUint(uint64(addr.StartPort), 10)
		}
	}
	return ""
}
