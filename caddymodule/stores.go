package caddymodule

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

func init() {
	caddy.RegisterModule(new(SQLite))
}

// storeNamespace holds the modules that open a store.
const storeNamespace = "fado.stores"

// StoreModule is a guest module in the namespace fado.stores. Provisioning one opens
// nothing.
type StoreModule interface {
	caddy.Module
	// StoreKey identifies what Open would open: modules with the same key share one
	// open store across reloads. It carries no secret in clear.
	StoreKey() string
	// Open opens the store, making it if it is not there.
	Open(ctx context.Context, o StoreOptions) (state.Store, error)
}

// StoreOptions are what every store is opened with.
type StoreOptions struct {
	Node string // this instance's name
	// EncryptionKey seals literal secrets; "" for the store's own default.
	EncryptionKey string
	// FormerKeys are others that secrets may be sealed with, while the key is rotated.
	FormerKeys []string
	// ReadOnly opens a store that is there and changes nothing of it.
	ReadOnly bool
	// OneMoment, beside ReadOnly, reads the store as it was when it was opened, although it is
	// in use.
	OneMoment bool
	// MustExist refuses to make a store.
	MustExist bool
	Log       *zap.Logger
}

// knownStore says whether there is a store of a type, and which there are.
func knownStore(kind string) error {
	if _, err := caddy.GetModule(storeNamespace + "." + kind); err == nil {
		return nil
	}
	var names []string
	for _, m := range caddy.GetModules(storeNamespace) {
		names = append(names, m.ID.Name())
	}
	return fmt.Errorf("%q: expected one of %s", kind, strings.Join(names, ", "))
}

// SQLite keeps FaDO's state in one SQLite file. It suits one instance and needs no
// set-up.
type SQLite struct {
	// The database file; its folder is made if it is not there. Placeholders are
	// replaced. Default: fado/fado.db in Caddy's data directory.
	Path string `json:"path,omitempty"`

	// Whether a path where there is no store is an error, instead of a fresh start: for a
	// volume that may not be mounted. Default: false.
	MustExist bool `json:"must_exist,omitempty"`

	path string // absolute, placeholders replaced
}

// CaddyModule returns the Caddy module information.
func (*SQLite) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  storeNamespace + ".sqlite",
		New: func() caddy.Module { return new(SQLite) },
	}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	sqlite [<path>] {
//		must_exist
//	}
func (s *SQLite) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the store's type
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.Errf("wrong number of arguments: expected store sqlite [<path>]")
	}
	if len(args) == 1 {
		s.Path = args[0]
	}
	return parseBlock(d, "store sqlite", "store.", make(positions), options{
		"must_exist": present("must_exist", &s.MustExist),
	})
}

// Provision settles where the file is.
func (s *SQLite) Provision(caddy.Context) error {
	path := filepath.Join(caddy.AppDataDir(), "fado", "fado.db")
	if s.Path != "" {
		replaced, err := caddy.NewReplacer().ReplaceOrErr(s.Path, true, true)
		if err != nil {
			return fmt.Errorf("path: %w", err)
		}
		path = replaced
	}
	var err error
	s.path, err = filepath.Abs(path)
	return err
}

// StoreKey implements StoreModule.
func (s *SQLite) StoreKey() string { return "sqlite " + s.path }

// Open implements StoreModule.
func (s *SQLite) Open(ctx context.Context, o StoreOptions) (state.Store, error) {
	return sqlite.Open(ctx, sqlite.Options{Path: s.path, Key: []byte(o.EncryptionKey), FormerKeys: bytesOf(o.FormerKeys), ReadOnly: o.ReadOnly, MustExist: o.MustExist || s.MustExist, Log: o.Log})
}

func bytesOf(texts []string) (all [][]byte) {
	for _, s := range texts {
		all = append(all, []byte(s))
	}
	return all
}

// Interface guards
var (
	_ StoreModule           = (*SQLite)(nil)
	_ caddy.Provisioner     = (*SQLite)(nil)
	_ caddyfile.Unmarshaler = (*SQLite)(nil)
)
