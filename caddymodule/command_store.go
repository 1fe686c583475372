package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/spf13/cobra"

	"github.com/fado-project/fado/state"
)

// storeSpec names a store on a command line, with its key.
type storeSpec struct {
	name   string // the flag that names it, for errors
	module StoreModule
	key    string
}

// parseStore reads "<type>:<argument>" as the Caddyfile's "store <type> <argument>".
func parseStore(flag, text string) (storeSpec, error) {
	kind, arg, ok := strings.Cut(text, ":")
	if !ok {
		return storeSpec{}, fmt.Errorf("--%s: %q: expected <type>:<argument>, such as sqlite:/var/lib/fado.db or postgres:<dsn>", flag, hidePassword(text))
	}
	if strings.HasPrefix(arg, "//") && (kind == "postgres" || kind == "postgresql") {
		kind, arg = "postgres", text // a DSN as it is
	}
	if err := knownStore(kind); err != nil {
		return storeSpec{}, fmt.Errorf("--%s: %w", flag, err)
	}
	if err := refuseLiteralPassword(arg); err != nil {
		return storeSpec{}, fmt.Errorf("--%s: %w", flag, err)
	}
	info, err := caddy.GetModule(storeNamespace + "." + kind)
	if err != nil {
		return storeSpec{}, fmt.Errorf("--%s: %w", flag, err)
	}
	module, ok := info.New().(StoreModule)
	if !ok {
		return storeSpec{}, fmt.Errorf("--%s: module %s can't open a store", flag, info.ID)
	}
	if err := configureStore(module, kind, arg); err != nil {
		return storeSpec{}, fmt.Errorf("--%s: %w", flag, err)
	}
	return storeSpec{name: flag, module: module}, nil
}

// configureStore gives a module what the Caddyfile would.
func configureStore(module StoreModule, kind, arg string) error {
	tokens := []caddyfile.Token{{File: "command line", Line: 1, Text: kind}}
	if arg != "" {
		tokens = append(tokens, caddyfile.Token{File: "command line", Line: 1, Text: arg})
	}
	if u, ok := module.(caddyfile.Unmarshaler); ok {
		if err := u.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
			return err
		}
	}
	if p, ok := module.(caddy.Provisioner); ok {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		defer cancel()
		return p.Provision(ctx)
	}
	return nil
}

// access is what a command does with a store.
type access uint8

const (
	toRead   access = iota // what is there
	toChange               // what is there
	toFill                 // what may have to be made
	toCopy                 // what is there, as it is at one moment
)

// open opens the store as one that can be moved.
func (s storeSpec) open(ctx context.Context, to access) (state.Movable, error) {
	store, err := s.module.Open(ctx, StoreOptions{
		Node: "caddy fado", EncryptionKey: s.key, Log: caddy.Log().Named("fado.store"), ReadOnly: to == toRead || to == toCopy, OneMoment: to == toCopy, MustExist: to != toFill,
	})
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", s.name, err)
	}
	if movable, ok := store.(state.Movable); ok {
		return movable, nil
	}
	return nil, errors.Join(fmt.Errorf("--%s: a %s store can't be moved", s.name, store.Kind()), store.Close())
}

// keyFlags adds the flags that give an encryption key: --<prefix>key and
// --<prefix>key-file.
func keyFlags(cmd *cobra.Command, prefix, of string) {
	cmd.Flags().String(prefix+"key", "", "encryption_key of "+of+", as a placeholder such as {env.NAME}")
	cmd.Flags().String(prefix+"key-file", "", "file that holds the encryption_key of "+of)
}

// readKey returns the key that flags of keyFlags give; "" for none.
func readKey(cmd *cobra.Command, prefix string) (string, error) {
	value, file := flagText(cmd, prefix+"key"), flagText(cmd, prefix+"key-file")
	switch {
	case value != "" && file != "":
		return "", fmt.Errorf("--%skey and --%skey-file: expected one of them", prefix, prefix)
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("--%skey-file: %w", prefix, err)
		}
		key := strings.TrimRight(string(text), "\r\n")
		if key == "" {
			return "", fmt.Errorf("--%skey-file: %s is empty: expected an encryption_key", prefix, file)
		}
		return key, nil
	case value == "":
		return "", nil
	case !wholePlaceholder.MatchString(value):
		return "", fmt.Errorf("--%skey: expected a placeholder such as {env.NAME} or {file./path}, not the key itself: others can read a command line", prefix)
	}
	key, err := replaced(value)
	if err != nil {
		return "", fmt.Errorf("--%skey: %w", prefix, err)
	}
	return key, nil
}

// strongNewKey checks the key of --<prefix>key or --<prefix>key-file, if there is one, that
// secrets are to be sealed with.
func strongNewKey(prefix, key string) error {
	if key == "" {
		return nil
	}
	if err := strongKey(key); err != nil {
		return fmt.Errorf("--%skey: %w", prefix, err)
	}
	return nil
}

func flagText(cmd *cobra.Command, name string) string { return cmd.Flags().Lookup(name).Value.String() }

// refuseLiteralPassword refuses a connection string with a password in clear.
func refuseLiteralPassword(dsn string) error {
	rest := anyPlaceholder.ReplaceAllString(dsn, "\x00")
	for _, where := range []*regexp.Regexp{urlPassword, keywordPassword} {
		if found := where.FindStringSubmatch(rest); found != nil && strings.Trim(found[2], "'\x00") != "" {
			return errors.New("the connection string has a password in clear: expected a placeholder such as {env.NAME} or {file./path} in its place: others can read a command line")
		}
	}
	return nil
}

// hidePassword is a connection string as it may be shown.
func hidePassword(dsn string) string {
	return keywordPassword.ReplaceAllString(urlPassword.ReplaceAllString(dsn, "$1***@"), "$1***")
}

var (
	wholePlaceholder = regexp.MustCompile(`^\{(env|file)\.[^{}]+\}$`)
	anyPlaceholder   = regexp.MustCompile(`\{(env|file)\.[^{}]+\}`)
	// Where a PostgreSQL connection string has a password: in the URL's user part, or as
	// a keyword or query parameter (libpq, 34.1.1 Connection Strings).
	urlPassword     = regexp.MustCompile(`^([a-z]+://[^:@/?]*:)([^@/]*)@`)
	keywordPassword = regexp.MustCompile(`(?i)((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&']+)`)
)
