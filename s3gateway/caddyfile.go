package s3gateway

import (
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/fado-project/fado/catalog"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("fado_s3", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("fado_s3", httpcaddyfile.Before, "reverse_proxy")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	fado_s3 [<matcher>] {
//		region <region>
//		cluster <name>
//		domain <host...>
//		public_url <url>
//		key <access_key_id> {
//			secret <value>
//			buckets <pattern...>
//			read_only
//		}
//		anonymous <bucket_pattern...>
//		write_ack <n>|all
//		max_clock_skew <duration>
//		cache <size> {
//			max_object <size>
//		}
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Errf("fado_s3: unexpected argument %q: expected a block", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if seen[option] && option != "key" {
			return d.Errf("fado_s3: %s is given twice: expected it once", option)
		}
		seen[option] = true
		if err := (parser{h}).option(d, option); err != nil {
			return err
		}
		if option != "key" && option != "cache" && d.NextBlock(1) {
			return d.Errf("fado_s3: %s takes no block, found %q", option, d.Val())
		}
	}
	if err := h.check0(); err != nil {
		return d.Errf("fado_s3: %v", err)
	}
	return nil
}

// check0 is check with the defaults filled in.
func (h *Handler) check0() error {
	filled := &Handler{
		Region: h.Region, Cluster: h.Cluster, Domains: h.Domains, PublicURL: h.PublicURL, Keys: h.Keys, Anonymous: h.Anonymous,
		WriteAck: h.WriteAck, MaxClockSkew: h.MaxClockSkew, Cache: h.Cache,
	}
	if filled.Region == "" {
		filled.Region = defaultRegion
	}
	return filled.check()
}

// parser reads the options of a handler.
type parser struct{ h *Handler }

func (p parser) option(d *caddyfile.Dispenser, option string) (err error) {
	h := p.h
	switch option {
	case "region":
		h.Region, err = one(d, "region <region>")
	case "cluster":
		h.Cluster, err = one(d, "cluster <name>")
	case "domain":
		h.Domains, err = some(d, "domain <host...>")
	case "public_url":
		h.PublicURL, err = one(d, "public_url <url>")
	case "anonymous":
		h.Anonymous, err = some(d, "anonymous <bucket pattern...>")
	case "key":
		return p.key(d)
	case "write_ack":
		return p.ack(d)
	case "max_clock_skew":
		return p.skew(d)
	case "cache":
		return p.cache(d)
	default:
		return d.Errf("fado_s3: unknown option %q: expected region, cluster, domain, public_url, key, anonymous, write_ack, max_clock_skew or cache", option)
	}
	return err
}

// one reads the one argument of an option.
func one(d *caddyfile.Dispenser, usage string) (string, error) {
	args := d.RemainingArgs()
	if len(args) != 1 || args[0] == "" {
		return "", d.Errf("fado_s3: wrong number of arguments: expected %s", usage)
	}
	return args[0], nil
}

// some reads one or more arguments.
func some(d *caddyfile.Dispenser, usage string) ([]string, error) {
	args := d.RemainingArgs()
	if len(args) == 0 || slices.Contains(args, "") {
		return nil, d.Errf("fado_s3: wrong number of arguments: expected %s", usage)
	}
	return args, nil
}

func (p parser) ack(d *caddyfile.Dispenser) error {
	h := p.h
	v, err := one(d, "write_ack <n>|all")
	if err != nil {
		return err
	}
	if v == "all" {
		h.WriteAck = ackAll
		return nil
	}
	if h.WriteAck, err = strconv.Atoi(v); err != nil || h.WriteAck < 1 {
		return d.Errf("fado_s3: write_ack: %q: expected a number of copies of 1 or more, or all", v)
	}
	return nil
}

func (p parser) skew(d *caddyfile.Dispenser) error {
	h := p.h
	v, err := one(d, "max_clock_skew <duration>")
	if err != nil {
		return err
	}
	skew, err := caddy.ParseDuration(v)
	if err != nil || skew <= 0 || skew > 24*time.Hour {
		return d.Errf("fado_s3: max_clock_skew: %q: expected a duration above 0 and up to 24h", v)
	}
	h.MaxClockSkew = caddy.Duration(skew)
	return nil
}

func (p parser) cache(d *caddyfile.Dispenser) (err error) {
	h := p.h
	h.Cache = new(Cache)
	if h.Cache.Size, err = size(d, "cache", "cache <size>"); err != nil {
		return err
	}
	for d.NextBlock(1) {
		if option := d.Val(); option != "max_object" {
			return d.Errf("fado_s3: cache: unknown option %q: expected max_object", option)
		}
		if h.Cache.MaxObject != 0 {
			return d.Err("fado_s3: cache: max_object is given twice: expected it once")
		}
		if h.Cache.MaxObject, err = size(d, "cache: max_object", "max_object <size>"); err != nil {
			return err
		}
	}
	return nil
}

// size reads a size, the one argument of an option.
func size(d *caddyfile.Dispenser, what, usage string) (catalog.Size, error) {
	v, err := one(d, usage)
	if err != nil {
		return 0, err
	}
	n, err := catalog.ParseSize(v)
	if err != nil || n <= 0 {
		return 0, d.Errf("fado_s3: %s: %q: expected a size above 0 such as 256MiB", what, v)
	}
	return n, nil
}

func (p parser) key(d *caddyfile.Dispenser) error {
	h := p.h
	id, err := one(d, "key <access_key_id>")
	if err != nil {
		return err
	}
	k := &Key{ID: id}
	h.Keys = append(h.Keys, k)
	seen := make(map[string]bool)
	for d.NextBlock(1) {
		option := d.Val()
		if seen[option] {
			return d.Errf("fado_s3: key %s: %s is given twice: expected it once", id, option)
		}
		seen[option] = true
		switch option {
		case "secret":
			k.Secret, err = one(d, "secret <value>")
		case "buckets":
			k.Buckets, err = some(d, "buckets <pattern...>")
		case "read_only":
			k.ReadOnly = true
			if d.NextArg() {
				err = d.Errf("fado_s3: key %s: read_only takes no argument, found %q", id, d.Val())
			}
		default:
			err = d.Errf("fado_s3: key %s: unknown option %q: expected secret, buckets or read_only", id, option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)
