package caddymodule

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/postgres"
)

func init() {
	caddy.RegisterModule(new(Postgres))
}

// maxPostgresConns bounds max_conns: PostgreSQL's default for all its clients is 100.
const maxPostgresConns = 1000

// Postgres keeps FaDO's state in a PostgreSQL database, which any number of instances
// share. It needs PostgreSQL 13 or later; a pooler between must keep sessions (pgbouncer:
// pool_mode = session).
type Postgres struct {
	// The connection string, a URL or "keyword=value" pairs as of libpq, such as
	// postgres://fado:{env.FADO_DB_PASSWORD}@db/fado?sslmode=verify-full. Placeholders
	// {env.X} and {file.X} are replaced; what they stand for is in no log and no answer.
	DSN string `json:"dsn,omitempty"`
	// The most connections to work on; two more are made for notifications and the lease.
	// Default: 16.
	MaxConns int `json:"max_conns,omitempty"`
	// Connections that are kept open though idle. Default: 0.
	MinConns int `json:"min_conns,omitempty"`
	// How long making a connection may take. Default: 5s.
	ConnectTimeout catalog.Duration `json:"connect_timeout,omitempty"`
	// How long a statement, or the wait for a lock, may take. Default: 15s.
	StatementTimeout catalog.Duration `json:"statement_timeout,omitempty"`
	// How long this instance's locks and claims outlive its last sign of life. Default:
	// 6s.
	Lease catalog.Duration `json:"lease,omitempty"`
	// How old what this instance remembers on its own disk may be for it to start by that
	// while the database is away. Default: any age.
	MaxSnapshotAge catalog.Duration `json:"max_snapshot_age,omitempty"`

	dsn    string // placeholders replaced
	target string // host:port/database
}

// CaddyModule returns the Caddy module information.
func (*Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  storeNamespace + ".postgres",
		New: func() caddy.Module { return new(Postgres) },
	}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	postgres <dsn> {
//		max_conns <n>
//		min_conns <n>
//		connect_timeout <duration>
//		statement_timeout <duration>
//		lease <duration>
//		max_snapshot_age <duration>
//	}
func (p *Postgres) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the store's type
	args := d.RemainingArgs()
	if len(args) != 1 || args[0] == "" {
		return d.Errf("wrong number of arguments: expected store postgres <dsn>")
	}
	p.DSN = args[0]
	return parseBlock(d, "store postgres", "store.", make(positions), options{
		"max_conns":         value("max_conns <n>", &p.MaxConns, parseConns(1)),
		"min_conns":         value("min_conns <n>", &p.MinConns, parseConns(0)),
		"connect_timeout":   value("connect_timeout <duration>", &p.ConnectTimeout, catalog.ParseDuration),
		"statement_timeout": value("statement_timeout <duration>", &p.StatementTimeout, catalog.ParseDuration),
		"lease":             value("lease <duration>", &p.Lease, catalog.ParseDuration),
		"max_snapshot_age":  value("max_snapshot_age <duration>", &p.MaxSnapshotAge, catalog.ParseDuration),
	})
}

// parseConns returns what reads a number of connections, so many at least.
func parseConns(least int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > maxPostgresConns {
			return 0, fmt.Errorf("%q: expected a number from %d to %d", s, least, maxPostgresConns)
		}
		return n, nil
	}
}

// Provision replaces the placeholders of the connection string and reads it; it connects
// nowhere.
func (p *Postgres) Provision(caddy.Context) error {
	var err error
	if p.dsn, err = resolveSecret(p.DSN); err != nil {
		return fmt.Errorf("dsn: %w", err)
	}
	if p.dsn == someSecret {
		return p.validate() // it is not known, and nothing is opened
	}
	if p.target, err = postgres.Target(p.dsn); err != nil {
		return fmt.Errorf("dsn: %w", err)
	}
	return p.validate()
}

// validate names every option that is out of its range.
func (p *Postgres) validate() error {
	var errs []error
	expect := func(ok bool, field, value, expected string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %q: expected %s", field, value, expected))
		}
	}
	conns := fmt.Sprintf("a number from 1 to %d", maxPostgresConns)
	expect(p.MaxConns >= 0 && p.MaxConns <= maxPostgresConns, "max_conns", strconv.Itoa(p.MaxConns), conns)
	expect(p.MinConns >= 0 && (p.MaxConns == 0 || p.MinConns <= p.MaxConns), "min_conns", strconv.Itoa(p.MinConns), "a number up to max_conns")
	for field, v := range map[string]catalog.Duration{"connect_timeout": p.ConnectTimeout, "statement_timeout": p.StatementTimeout, "max_snapshot_age": p.MaxSnapshotAge} {
		expect(v >= 0, field, v.String(), "a duration above 0")
	}
	lease := time.Duration(p.Lease)
	expect(lease == 0 || lease >= postgres.MinLease && lease <= time.Minute, "lease", p.Lease.String(), fmt.Sprintf("a duration from %s to 1m", postgres.MinLease))
	return errors.Join(errs...)
}

// keySalt makes of settings what tells them apart in this process and nothing about them
// elsewhere.
var keySalt = func() []byte {
	salt := make([]byte, 32)
	rand.Read(salt) // never fails
	return salt
}()

// StoreKey implements StoreModule. A change of any setting, a password among them, is
// another store, which is opened beside the former and replaces it.
func (p *Postgres) StoreKey() string {
	mac := hmac.New(sha256.New, keySalt)
	_, _ = fmt.Fprint(mac, p.dsn, "\x00", p.MaxConns, p.MinConns, p.ConnectTimeout, p.StatementTimeout, p.Lease, p.MaxSnapshotAge) // a hash takes all
	return "postgres " + p.target + " (" + hex.EncodeToString(mac.Sum(nil)[:4]) + ")"
}

// Open implements StoreModule.
func (p *Postgres) Open(ctx context.Context, o StoreOptions) (state.Store, error) {
	return postgres.Open(ctx, postgres.Options{
		DSN: p.dsn, Key: []byte(o.EncryptionKey), FormerKeys: bytesOf(o.FormerKeys), ReadOnly: o.ReadOnly, OneMoment: o.OneMoment, MustExist: o.MustExist, Log: o.Log,
		MaxConns: p.MaxConns, MinConns: p.MinConns,
		ConnectTimeout:   time.Duration(p.ConnectTimeout),
		StatementTimeout: time.Duration(p.StatementTimeout),
		Lease:            time.Duration(p.Lease),
	})
}

// Interface guards
var (
	_ StoreModule           = (*Postgres)(nil)
	_ caddy.Provisioner     = (*Postgres)(nil)
	_ caddyfile.Unmarshaler = (*Postgres)(nil)
)
