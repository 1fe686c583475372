package lbpolicy

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// UnmarshalCaddyfile sets up the policy from Caddyfile tokens. Syntax:
//
//	lb_policy data_aware [<balance> [<args...>]] {
//		bucket          <placeholder>
//		object          <placeholder>
//		balance         <policy> [<args...>]
//		unknown_bucket  reject|any
//		no_bucket       any|reject
//		connect         reject|pass
//		spill           <n>
//		presign         <duration>
//		forward_headers on|off
//	}
//
// The policy to balance with may be named in the first line or as an option, but not
// in both.
func (p *DataAware) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume policy name
	if tokens := d.RemainingArgsAsTokens(); len(tokens) > 0 {
		// Only this line: the block after it is ours, not that policy's.
		line := caddyfile.NewDispenser(tokens)
		line.Next()
		raw, err := parseBalance(line)
		if err != nil {
			return err
		}
		p.BalanceRaw = raw
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if seen[option] {
			return d.Errf("%s is already specified", option)
		}
		seen[option] = true
		if err := p.unmarshalOption(d, option); err != nil {
			return err
		}
	}
	return nil
}

func (p *DataAware) unmarshalOption(d *caddyfile.Dispenser, option string) error {
	switch option {
	case "bucket":
		return parseOne(d, option, "a placeholder, such as {header.X-Bucket}", &p.Bucket)
	case "object":
		return parseOne(d, option, "a placeholder, such as {header.X-Key}", &p.Object)
	case "balance":
		return p.unmarshalBalance(d)
	case "unknown_bucket":
		return parseEnum(d, option, &p.UnknownBucket, reject, anyEndpoint)
	case "no_bucket":
		return parseEnum(d, option, &p.NoBucket, anyEndpoint, reject)
	case "connect":
		return parseEnum(d, option, &p.Connect, reject, pass)
	case "spill":
		return parseCount(d, option, "a number of requests in flight, at least 1", &p.Spill)
	case "presign":
		return parsePeriod(d, option, "a duration from 1s to 7d, such as 15m", &p.Presign)
	case "forward_headers":
		var v string
		if err := parseEnum(d, option, &v, "on", "off"); err != nil {
			return err
		}
		on := v == "on"
		p.ForwardHeaders = &on
		return nil
	default:
		return d.Errf("unrecognized option '%s': expected bucket, object, balance, unknown_bucket, no_bucket, connect, spill, presign or forward_headers", option)
	}
}

func (p *DataAware) unmarshalBalance(d *caddyfile.Dispenser) error {
	if p.BalanceRaw != nil {
		return d.Err("balance is already specified, after data_aware")
	}
	if !d.NextArg() {
		return d.Err("balance: expected a selection policy, such as least_conn, round_robin or random")
	}
	raw, err := parseBalance(d)
	p.BalanceRaw = raw
	return err
}

// parseCount reads a number of at least 1.
func parseCount(d *caddyfile.Dispenser, option, expected string, into *int) error {
	var v string
	if err := parseOne(d, option, expected, &v); err != nil {
		return err
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return d.Errf("%s '%s': expected %s", option, v, expected)
	}
	*into = n
	return nil
}

// parsePeriod reads for how long a link works.
func parsePeriod(d *caddyfile.Dispenser, option, expected string, into *caddy.Duration) error {
	var v string
	if err := parseOne(d, option, expected, &v); err != nil {
		return err
	}
	period, err := caddy.ParseDuration(v)
	if err != nil || period < time.Second || period > maxPresign {
		return d.Errf("%s '%s': expected %s", option, v, expected)
	}
	*into = caddy.Duration(period)
	return nil
}

// parseBalance reads a selection policy, whose name is the current token.
func parseBalance(d *caddyfile.Dispenser) (json.RawMessage, error) {
	name := d.Val()
	if name == dataAware {
		return nil, d.Err("data_aware can't balance among its own candidates; expected another selection policy")
	}
	if _, err := caddy.GetModule(policyNamespace + name); err != nil {
		return nil, d.Errf("'%s': expected a selection policy, such as least_conn, round_robin or random", name)
	}
	unm, err := caddyfile.UnmarshalModule(d, policyNamespace+name)
	if err != nil {
		return nil, err
	}
	policy, ok := unm.(reverseproxy.Selector)
	if !ok {
		return nil, d.Errf("module %s%s (%T) is not a selection policy", policyNamespace, name, unm)
	}
	return caddyconfig.JSONModuleObject(policy, "policy", name, nil), nil
}

// parseOne reads exactly one non-empty argument.
func parseOne(d *caddyfile.Dispenser, option, expected string, into *string) error {
	args := d.RemainingArgs()
	if len(args) != 1 || args[0] == "" {
		return d.Errf("%s %q: expected one argument: %s", option, args, expected)
	}
	*into = args[0]
	return nil
}

// parseEnum reads exactly one argument, which is one of two words.
func parseEnum(d *caddyfile.Dispenser, option string, into *string, a, b string) error {
	if err := parseOne(d, option, a+" or "+b, into); err != nil {
		return err
	}
	if *into != a && *into != b {
		return d.Errf("%s '%s': expected %s or %s", option, *into, a, b)
	}
	return nil
}

// UnmarshalCaddyfile sets up the source from Caddyfile tokens. Syntax:
//
//	dynamic fado
func (u *Upstreams) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume source name
	if d.NextArg() {
		return d.Errf("'%s': dynamic fado takes no arguments", d.Val())
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option '%s': dynamic fado has none", d.Val())
	}
	return nil
}

// UnmarshalCaddyfile sets up the transport from Caddyfile tokens. Syntax:
//
//	transport fado {
//		# the options of transport http
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume transport name
	if d.NextArg() {
		return d.Errf("'%s': transport fado takes no arguments, only a block of options", d.Val())
	}
	d.Reset()
	return t.HTTPTransport.UnmarshalCaddyfile(d)
}

// Interface guards
var (
	_ caddyfile.Unmarshaler = (*DataAware)(nil)
	_ caddyfile.Unmarshaler = (*Upstreams)(nil)
	_ caddyfile.Unmarshaler = (*Transport)(nil)
)
