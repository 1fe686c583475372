package eventhook

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("fado_events", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("fado_events", httpcaddyfile.Before, "reverse_proxy")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	fado_events [<matcher>] {
//		token <value>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Errf("fado_events: unexpected argument %q: expected a block with \"token <value>\"", d.Val())
	}
	for d.NextBlock(0) {
		switch option := d.Val(); option {
		case "token":
			if h.Token != "" {
				return d.Err("fado_events: token is given twice")
			}
			args := d.RemainingArgs()
			if len(args) != 1 || args[0] == "" {
				return d.Errf("fado_events: token: %d arguments, expected one that is not empty", len(args))
			}
			h.Token = args[0]
			if d.NextBlock(1) {
				return d.Errf("fado_events: token takes no block, found %q", d.Val())
			}
		default:
			return d.Errf("fado_events: unknown option %q: expected token", option)
		}
	}
	if h.Token == "" {
		return d.Err("fado_events: token is missing: expected a block with \"token <value>\"")
	}
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
