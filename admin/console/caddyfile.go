package console

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/fado-project/fado/admin"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("fado_console", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("fado_console", httpcaddyfile.Before, "reverse_proxy")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	fado_console [<matcher>] {
//		user <name> <hash> viewer|operator|admin
//		identity <placeholder> {
//			groups <placeholder>
//			role <role> <user|@group...>
//			sign_out <url>
//		}
//		tokens off
//		session <idle> <absolute>
//		data <role> none|read|write
//		s3 <public url>
//		trusted_origin <origin...>
//		base_path <path>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Errf("fado_console: unexpected argument %q: expected a block, or nothing", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if seen[option] && option != "user" && option != "data" && option != "trusted_origin" {
			return d.Errf("fado_console: %s is given twice: expected it once", option)
		}
		seen[option] = true
		if err := parseOption(d, h, option); err != nil {
			return err
		}
		if option != "identity" && d.NextBlock(1) {
			return d.Errf("fado_console: %s takes no block, found %q", option, d.Val())
		}
	}
	if err := h.check(); err != nil {
		return d.Errf("fado_console: %v", err)
	}
	return nil
}

// parseOption reads one option into a handler.
func parseOption(d *caddyfile.Dispenser, h *Handler, option string) (err error) {
	switch option {
	case "user":
		args, err := exactly(d, 3, "user <name> <hash> viewer|operator|admin")
		if err != nil {
			return err
		}
		h.Users = append(h.Users, &User{Name: args[0], Hash: args[1], Role: admin.Role(args[2])})
		return nil
	case "identity":
		h.Identity, err = parseIdentity(d)
		return err
	case "tokens":
		args, err := exactly(d, 1, "tokens off")
		if err == nil && args[0] != "off" {
			err = d.Errf("fado_console: tokens: %q: expected off", args[0])
		}
		h.TokensOff = true
		return err
	case "session":
		h.SessionIdle, h.SessionAbsolute, err = parseSession(d)
		return err
	case "data":
		return parseData(d, h)
	case "s3":
		args, err := exactly(d, 1, "s3 <public url>")
		if err == nil {
			h.S3 = args[0]
		}
		return err
	case "trusted_origin":
		args := d.RemainingArgs()
		if len(args) == 0 || slices.Contains(args, "") {
			return d.Err("fado_console: wrong number of arguments: expected trusted_origin <origin...>")
		}
		h.TrustedOrigins = append(h.TrustedOrigins, args...)
		return nil
	case "base_path":
		args, err := exactly(d, 1, "base_path <path>")
		if err == nil {
			h.BasePath = args[0]
		}
		return err
	default:
		return d.Errf("fado_console: unknown option %q: expected user, identity, tokens, session, data, s3, trusted_origin or base_path", option)
	}
}

// exactly reads so many arguments of an option, none of them empty.
func exactly(d *caddyfile.Dispenser, n int, usage string) ([]string, error) {
	args := d.RemainingArgs()
	if len(args) != n || slices.Contains(args, "") {
		return nil, d.Errf("fado_console: wrong number of arguments: expected %s", usage)
	}
	return args, nil
}

func parseSession(d *caddyfile.Dispenser) (idle, absolute caddy.Duration, err error) {
	args, err := exactly(d, 2, "session <idle> <absolute>")
	if err != nil {
		return 0, 0, err
	}
	for i, to := range []*caddy.Duration{&idle, &absolute} {
		v, err := caddy.ParseDuration(args[i])
		if err != nil || v <= 0 {
			return 0, 0, d.Errf("fado_console: session: %q: expected a duration above 0, such as 1h", args[i])
		}
		*to = caddy.Duration(v)
	}
	return idle, absolute, nil
}

func parseData(d *caddyfile.Dispenser, h *Handler) error {
	args, err := exactly(d, 2, "data <role> none|read|write")
	if err != nil {
		return err
	}
	role := admin.Role(args[0])
	if _, ok := h.Data[role]; ok {
		return d.Errf("fado_console: data %s is given twice: expected it once", role)
	}
	if h.Data == nil {
		h.Data = make(map[admin.Role]Right)
	}
	h.Data[role] = Right(args[1])
	return nil
}

func parseIdentity(d *caddyfile.Dispenser) (*Identity, error) {
	args, err := exactly(d, 1, "identity <placeholder>")
	if err != nil {
		return nil, err
	}
	id := &Identity{Name: args[0], Roles: make(map[admin.Role][]string)}
	seen := make(map[string]bool)
	for d.NextBlock(1) {
		option := d.Val()
		if seen[option] && option != "role" {
			return nil, d.Errf("fado_console: identity: %s is given twice: expected it once", option)
		}
		seen[option] = true
		switch args := d.RemainingArgs(); {
		case option == "groups" && len(args) == 1:
			id.Groups = args[0]
		case option == "sign_out" && len(args) == 1:
			id.SignOut = args[0]
		case option == "role" && len(args) > 1:
			role := admin.Role(args[0])
			id.Roles[role] = append(id.Roles[role], args[1:]...)
		default:
			return nil, d.Errf("fado_console: identity: %q with %d arguments: expected groups <placeholder>, role <role> <user|@group...> or sign_out <url>", option, len(args))
		}
	}
	return id, nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
