package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

func init() {
	httpcaddyfile.RegisterGlobalOption(appName, parseGlobalOption)
}

// parseGlobalOption sets up the fado app from the Caddyfile's global options. It may
// be given once.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Errf("%q is given twice in the global options: expected it once", appName)
	}
	app := new(App)
	d.Prev()
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appName, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	fado {
//		store sqlite [<path>] {
//			must_exist
//		}
//		store postgres <dsn> {
//			max_conns <n>
//			min_conns <n>
//			connect_timeout <duration>
//			statement_timeout <duration>
//			lease <duration>
//			max_snapshot_age <duration>
//		}
//		node <name> [<cluster>]
//		encryption_key <key> [<former key...>]
//		secrets <pattern...>
//		default_policy <name>
//
//		zone <name> {
//			parent <zone>
//			label <key> <value>
//		}
//		cluster <name> {
//			zones <zone...>
//			storage <url> {
//				access_key <value>
//				secret_key <value>
//				region <region>
//				bucket_prefix <prefix>
//				virtual_host
//				ca_file <path>
//				insecure_skip_verify
//				capacity <size>
//				bandwidth <rate>
//			}
//			function <url> {
//				weight <n>
//				max_requests <n>
//				health_path <path>
//				ca_file <path>
//				insecure_skip_verify
//				host <value>
//				header <name> <value>
//				sign aws <service> <region> {
//					access_key <value>
//					secret_key <value>
//					session_token <value>
//				}
//			}
//			egress_price <n>
//			storage_price <n>
//			link <cluster> {
//				bandwidth <rate>
//				latency <duration>
//				price <n>
//				one_way
//			}
//			label <key> <value>
//			drain
//		}
//		policy <name> {
//			copies <n>|all
//			zones <zone...>
//			exclude_zones <zone...>
//			clusters <cluster...>
//			prefer <cluster...>
//			spread zone|cluster
//			writes primary|anywhere
//			versions all|current
//			primary follow|fixed
//			max_staleness <duration>
//			balance <policy> [<args...>]
//			on_miss remote|reject|pull
//			pull_timeout <duration>
//			pull_ttl <duration>
//		}
//		bucket <name> {
//			policy <name>
//			primary <cluster>
//			prefix <prefix> <policy>
//		}
//		audit off|<keep> [<signing_key>]
//		history off|<duration> <interval> [<memory>]
//		replication off
//		replication {
//			workers <n>
//			bandwidth <rate>
//			scan_interval <duration>
//			event_feed auto|off
//			max_deletes <n> | <percent> | <n> <percent>
//			verify_interval <duration> [deep]
//			drain_timeout <duration>
//		}
//	}
//
// Options are given once, but for zone, cluster, policy, bucket, function, link, label and
// prefix. What is wrong with a value or a reference is reported with its line, all
// of it at once; a mistake in the syntax ends the reading.
func (app *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if !d.Next() {
		return d.EOFErr()
	}
	if d.CountRemainingArgs() > 0 {
		return d.Errf("wrong number of arguments: expected %s { ... } without arguments", appName)
	}
	p := &parser{app: app, at: positions{"": *d}}
	if err := parseBlock(d, appName, "", p.at, p.options()); err != nil {
		return err
	}
	return p.validate()
}

func (p *parser) options() options {
	app := p.app
	return options{
		"store":          {usage: "store sqlite [<path>] or store postgres <dsn>", raw: p.store},
		"node":           {usage: "node <name> [<cluster>]", min: 1, max: 2, set: p.node},
		"encryption_key": {usage: "encryption_key <key> [<former key...>]", min: 1, max: -1, set: p.encryptionKey},
		"secrets":        {usage: "secrets <pattern...>", min: 1, max: -1, set: p.secrets},
		"default_policy": text("default_policy <name>", &app.DefaultPolicy),
		"zone":           {usage: "zone <name> { ... }", min: 1, max: 1, many: true, opens: true, set: p.zone},
		"cluster":        {usage: "cluster <name> { ... }", min: 1, max: 1, many: true, opens: true, set: p.cluster},
		"policy":         {usage: "policy <name> { ... }", min: 1, max: 1, many: true, opens: true, set: p.policy},
		"bucket":         {usage: "bucket <name> { ... }", min: 1, max: 1, many: true, opens: true, set: p.bucket},
		"audit":          {usage: "audit off or audit <keep> [<signing_key>]", min: 1, max: 2, set: p.audit},
		"history":        {usage: "history off, or history <duration> <interval> [<memory>]", min: 1, max: 3, set: p.history},
		"replication":    {usage: "replication off, or replication { ... }", max: 1, opens: true, set: p.replication},
	}
}

// validate checks what was read and reports every violation with its line.
func (p *parser) validate() error {
	err := control.ValidateConfig(declaredBy(p.app), nil)
	var invalid *catalog.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	errs := make([]error, len(invalid.Violations))
	for i, v := range invalid.Violations {
		errs[i] = p.at.of(v.Field).Errf("%s", v)
	}
	return errors.Join(errs...)
}

// declare notes where an item is declared, and refuses a second one of its name.
func (p *parser) declare(d *caddyfile.Dispenser, kind catalog.Kind, name string) (item string, err error) {
	item = string(kind) + " " + name
	if first, ok := p.at[item]; ok {
		return "", d.Errf("%s is declared twice, first at line %d: expected a name declared once", item, first.Line())
	}
	p.at[item] = *d
	return item, nil
}

// store parses:
//
//	store <type> [<args...>]
func (p *parser) store(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("wrong number of arguments: expected store sqlite [<path>] or store postgres <dsn>")
	}
	kind := d.Val()
	if err := knownStore(kind); err != nil {
		return d.Errf("store: %w", err)
	}
	module, err := caddyfile.UnmarshalModule(d, storeNamespace+"."+kind)
	if err != nil {
		return err
	}
	p.app.StoreRaw = caddyconfig.JSONModuleObject(module, "type", kind, nil)
	return nil
}

func (p *parser) encryptionKey(d *caddyfile.Dispenser, args []string) error {
	if slices.Contains(args, "") {
		return d.Errf("empty value: expected encryption_key <key> [<former key...>]")
	}
	p.app.EncryptionKey = args[0]
	if len(args) > 1 {
		p.app.FormerEncryptionKeys = args[1:]
	}
	return nil
}

func (p *parser) secrets(d *caddyfile.Dispenser, args []string) error {
	p.app.Secrets = args
	if err := p.app.Secrets.Validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (p *parser) zone(d *caddyfile.Dispenser, args []string) error {
	z := &catalog.Zone{Name: args[0]}
	p.app.Zones = append(p.app.Zones, z)
	item, err := p.declare(d, catalog.KindZone, z.Name)
	if err != nil {
		return err
	}
	return parseBlock(d, item, item+": ", p.at, options{
		"parent": text("parent <zone>", &z.Parent),
		"label":  label(&z.Labels),
	})
}

func (p *parser) cluster(d *caddyfile.Dispenser, args []string) error {
	c := &catalog.Cluster{Name: args[0]}
	p.app.Clusters = append(p.app.Clusters, c)
	item, err := p.declare(d, catalog.KindCluster, c.Name)
	if err != nil {
		return err
	}
	return parseBlock(d, item, item+": ", p.at, options{
		"zones": list("zones <zone...>", &c.Zones),
		"storage": {usage: "storage <url> { ... }", min: 1, max: 1, opens: true, set: func(d *caddyfile.Dispenser, args []string) error {
			c.Storage = &catalog.Storage{Endpoint: args[0]}
			return p.storage(d, item, c.Storage)
		}},
		"function": {usage: "function <url> { ... }", min: 1, max: 1, many: true, opens: true, set: func(d *caddyfile.Dispenser, args []string) error {
			c.Functions = append(c.Functions, catalog.Function{URL: args[0]})
			i := len(c.Functions) - 1
			return p.function(d, fmt.Sprintf("%s: functions[%d]", item, i), &c.Functions[i])
		}},
		"egress_price":  value("egress_price <n>", &c.EgressPrice, price),
		"storage_price": value("storage_price <n>", &c.StoragePrice, price),
		"link": {usage: "link <cluster> { ... }", min: 1, max: 1, many: true, opens: true, set: func(d *caddyfile.Dispenser, args []string) error {
			c.Links = append(c.Links, catalog.Link{To: args[0]})
			i := len(c.Links) - 1
			return p.link(d, fmt.Sprintf("%s: links[%d]", item, i), &c.Links[i])
		}},
		"label": label(&c.Labels),
		"drain": present("drain", &c.Drain),
	})
}

func (p *parser) storage(d *caddyfile.Dispenser, item string, s *catalog.Storage) error {
	return parseBlock(d, "the storage of "+item, item+": storage.", p.at, options{
		"access_key":           text("access_key <value>", &s.AccessKey),
		"secret_key":           text("secret_key <value>", &s.SecretKey),
		"region":               text("region <region>", &s.Region),
		"bucket_prefix":        text("bucket_prefix <prefix>", &s.BucketPrefix),
		"virtual_host":         present("virtual_host", &s.VirtualHost),
		"ca_file":              text("ca_file <path>", &s.CAFile),
		"insecure_skip_verify": present("insecure_skip_verify", &s.InsecureSkipVerify),
		"capacity":             value("capacity <size>", &s.Capacity, positive(catalog.ParseSize, "a size above 0 such as 500GiB")),
		"bandwidth":            value("bandwidth <rate>", &s.Bandwidth, positive(catalog.ParseSize, "a rate above 0 such as 200MiB")),
	})
}

func (p *parser) function(d *caddyfile.Dispenser, field string, f *catalog.Function) error {
	p.at[field] = *d
	return parseBlock(d, "function "+f.URL, field+".", p.at, options{
		"weight":               value("weight <n>", &f.Weight, weight),
		"max_requests":         value("max_requests <n>", &f.MaxRequests, count),
		"health_path":          text("health_path <path>", &f.HealthPath),
		"ca_file":              text("ca_file <path>", &f.CAFile),
		"insecure_skip_verify": present("insecure_skip_verify", &f.InsecureSkipVerify),
		"host":                 text("host <value>", &f.Host),
		"header": {usage: "header <name> <value>", min: 2, max: 2, many: true, set: func(d *caddyfile.Dispenser, args []string) error {
			p.at[fmt.Sprintf("%s.header[%d]", field, len(f.Header))] = *d
			f.Header = append(f.Header, catalog.HeaderField{Name: args[0], Value: args[1]})
			return nil
		}},
		"sign": {raw: func(d *caddyfile.Dispenser) error { return p.sign(d, field, f) }},
	})
}

func (p *parser) sign(d *caddyfile.Dispenser, field string, f *catalog.Function) error {
	const usage = "sign aws <service> <region>"
	args := d.RemainingArgs()
	if len(args) != 3 || args[0] != catalog.SignAWS {
		return d.Errf("wrong arguments of sign: expected %s", usage)
	}
	if f.Sign != nil {
		return d.Errf("sign is given twice in function %s: expected it once", f.URL)
	}
	f.Sign = &catalog.Sign{Type: args[0], Service: args[1], Region: args[2]}
	p.at[field+".sign"] = *d
	return parseBlock(d, usage, field+".sign.", p.at, options{
		"access_key":    text("access_key <value>", &f.Sign.AccessKey),
		"secret_key":    text("secret_key <value>", &f.Sign.SecretKey),
		"session_token": text("session_token <value>", &f.Sign.SessionToken),
	})
}

func (p *parser) policy(d *caddyfile.Dispenser, args []string) error {
	pol := &catalog.Policy{Name: args[0]}
	p.app.Policies = append(p.app.Policies, pol)
	item, err := p.declare(d, catalog.KindPolicy, pol.Name)
	if err != nil {
		return err
	}
	return parseBlock(d, item, item+": ", p.at, options{
		"copies":        value("copies <n>|all", &pol.Copies, catalog.ParseCopies),
		"zones":         list("zones <zone...>", &pol.Zones),
		"exclude_zones": list("exclude_zones <zone...>", &pol.ExcludeZones),
		"clusters":      list("clusters <cluster...>", &pol.Clusters),
		"prefer":        list("prefer <cluster...>", &pol.Prefer),
		"spread":        value("spread zone|cluster", &pol.Spread, oneOf(catalog.SpreadZone, catalog.SpreadCluster)),
		"writes":        value("writes primary|anywhere", &pol.Writes, oneOf(catalog.WritesPrimary, catalog.WritesAnywhere)),
		"versions":      value("versions all|current", &pol.Versions, oneOf(catalog.VersionsAll, catalog.VersionsCurrent)),
		"primary":       value("primary follow|fixed", &pol.Primary, oneOf(catalog.PrimaryFollow, catalog.PrimaryFixed)),
		"max_staleness": value("max_staleness <duration>", &pol.MaxStaleness, positive(catalog.ParseDuration, "a duration above 0 such as 5m")),
		"balance":       {raw: func(d *caddyfile.Dispenser) (err error) { pol.Balance, err = parseBalance(d); return err }},
		"on_miss":       value("on_miss remote|reject|pull", &pol.OnMiss, oneOf(catalog.OnMissRemote, catalog.OnMissReject, catalog.OnMissPull)),
		"pull_timeout":  value("pull_timeout <duration>", &pol.PullTimeout, positive(catalog.ParseDuration, "a duration above 0 such as 10s")),
		"pull_ttl":      value("pull_ttl <duration>", &pol.PullTTL, positive(catalog.ParseDuration, "a duration above 0 such as 1h")),
	})
}

func (p *parser) bucket(d *caddyfile.Dispenser, args []string) error {
	b := &catalog.Bucket{Name: args[0]}
	p.app.Buckets = append(p.app.Buckets, b)
	item, err := p.declare(d, catalog.KindBucket, b.Name)
	if err != nil {
		return err
	}
	return parseBlock(d, item, item+": ", p.at, options{
		"policy":  text("policy <name>", &b.Policy),
		"primary": text("primary <cluster>", &b.Primary),
		"prefix": {usage: "prefix <prefix> <policy>", min: 2, max: 2, many: true, set: func(d *caddyfile.Dispenser, args []string) error {
			same := func(r catalog.PrefixRule) bool { return r.Prefix == args[0] }
			if slices.ContainsFunc(b.Prefixes, same) {
				return d.Errf("prefix %q is given twice in %s: expected it once", args[0], item)
			}
			p.at[fmt.Sprintf("%s: prefixes[%d]", item, len(b.Prefixes))] = *d
			b.Prefixes = append(b.Prefixes, catalog.PrefixRule{Prefix: args[0], Policy: args[1]})
			return nil
		}},
	})
}

func (p *parser) replication(d *caddyfile.Dispenser, args []string) error {
	r := new(Replication)
	p.app.ReplicationConfig = r
	if len(args) == 1 {
		if args[0] != "off" {
			return d.Errf("unexpected %q: expected replication off, or replication { ... }", args[0])
		}
		if blockFollows(d) {
			return d.Errf("unexpected block: expected replication off, or replication { ... }")
		}
		r.Disabled = true
		return nil
	}
	return parseBlock(d, "replication", "replication: ", p.at, options{
		"workers":       value("workers <n>", &r.Workers, workers),
		"bandwidth":     value("bandwidth <rate>", &r.Bandwidth, positive(catalog.ParseSize, "a rate above 0 such as 200MiB")),
		"scan_interval": value("scan_interval <duration>", &r.ScanInterval, scanInterval),
		"event_feed":    value("event_feed auto|off", &r.EventFeed, oneOf(eventFeedAuto, eventFeedOff)),
		"max_deletes": {usage: "max_deletes <n> | <percent> | <n> <percent>", min: 1, max: 2, set: func(d *caddyfile.Dispenser, args []string) (err error) {
			if r.MaxDeletes, err = ParseMaxDeletes(strings.Join(args, " ")); err != nil {
				return d.Errf("max_deletes: %w", err)
			}
			return nil
		}},
		"verify_interval": {usage: "verify_interval <duration> [deep]", min: 1, max: 2, set: func(d *caddyfile.Dispenser, args []string) (err error) {
			if r.VerifyInterval, err = scanInterval(args[0]); err != nil {
				return d.Errf("verify_interval: %w", err)
			}
			if len(args) == 2 && args[1] != "deep" {
				return d.Errf("verify_interval: %q: expected deep, or nothing, after the duration", args[1])
			}
			r.VerifyDeep = len(args) == 2
			return nil
		}},
		"drain_timeout": value("drain_timeout <duration>", &r.DrainTimeout, positive(catalog.ParseDuration, "a duration above 0 such as 30s")),
	})
}

func workers(s string) (int, error) {
	n, err := count(s)
	if err != nil || n > maxWorkers {
		return 0, fmt.Errorf("%q: expected a number from 1 to %d", s, maxWorkers)
	}
	return n, nil
}

func scanInterval(s string) (catalog.Duration, error) {
	v, err := catalog.ParseDuration(s)
	if err == nil && time.Duration(v) < minScanInterval {
		err = fmt.Errorf("%q: expected a duration of at least %s", s, minScanInterval)
	}
	return v, err
}

// node parses:
//
//	node <name> [<cluster>]
func (p *parser) node(d *caddyfile.Dispenser, args []string) (err error) {
	if p.app.Node, err = parseNode(args[0]); err != nil {
		return d.Errf("node: %w", err)
	}
	if len(args) == 1 {
		return nil
	}
	p.app.NodeCluster = args[1]
	if err := checkNodeCluster(args[1]); err != nil && !strings.Contains(args[1], "{") {
		return d.Errf("node: %w", err)
	}
	return nil
}

// parseNode checks a node's name as far as it is not a placeholder.
func parseNode(s string) (string, error) {
	if strings.Contains(s, "{") {
		return s, nil
	}
	return s, checkNode(s)
}

// Interface guard
var _ caddyfile.Unmarshaler = (*App)(nil)
