package caddymodule

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// TestPostgresPassword opens a database over TLS with a password that a placeholder
// stands for: from the environment, and from a file, in either form of the string.
func TestPostgresPassword(t *testing.T) {
	certs, authority := testenv.Certs(t)
	server := testenv.PostgresServer(t, testenv.PostgresOptions{CertsDir: certs})
	u, err := url.Parse(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FADO_TEST_PASSWORD", password)
	database := strings.TrimPrefix(u.Path, "/")
	for what, dsn := range map[string]string{
		"environment": "postgres://" + u.User.Username() + ":{env.FADO_TEST_PASSWORD}@" + u.Host + u.Path + "?sslmode=verify-full&sslrootcert=" + url.QueryEscape(authority),
		"file": "host=127.0.0.1 port=" + u.Port() + " user=" + u.User.Username() + " password={file." + file + "} dbname=" + database +
			" sslmode=verify-full sslrootcert=" + authority,
	} {
		t.Run(what, func(t *testing.T) {
			store := &Postgres{DSN: dsn}
			if err := store.Provision(caddy.Context{}); err != nil {
				t.Fatal(err)
			}
			if key := store.StoreKey(); strings.Contains(key, password) || !strings.Contains(key, u.Host+u.Path) {
				t.Errorf("the store is named %q", key)
			}
			if strings.Contains(store.DSN, password) {
				t.Error("the configuration shows the password")
			}
			openWrites(t, store)
		})
	}
	t.Setenv("FADO_TEST_PASSWORD", "wrong")
	store := &Postgres{DSN: "postgres://" + u.User.Username() + ":{env.FADO_TEST_PASSWORD}@" + u.Host + u.Path + "?sslmode=require"}
	if err := store.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(context.Background(), StoreOptions{EncryptionKey: "key", Log: zap.NewNop()})
	if err == nil {
		_, err = s.ChangeLog().Seq(context.Background())
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "the database refuses the login") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func openWrites(t *testing.T, store *Postgres) {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, StoreOptions{EncryptionKey: "key", Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Catalogue().Update(ctx, func(tx state.Tx) error {
		return tx.Put(state.Record{Kind: catalog.KindZone, Name: "eu", Body: []byte(`{}`)})
	})
	if err != nil {
		t.Error(err)
	}
}
