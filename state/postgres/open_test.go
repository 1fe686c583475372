package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// TestOpenAtOnce starts ten instances at the same moment on an empty database: one makes
// the tables and the seal, and all of them work, with the same seal.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	core, logs := observer.New(zap.InfoLevel)
	stores := make([]*Store, 10)
	errs := make([]error, len(stores))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			<-start
			stores[i], errs[i] = Open(ctx, Options{DSN: dsn, Key: testKey, MaxConns: 4, ConnectTimeout: time.Minute, StatementTimeout: time.Minute, Log: zap.New(core)})
		})
	}
	close(start)
	wg.Wait()
	for i, s := range stores {
		if errs[i] != nil {
			t.Errorf("instance %d: %v", i, errs[i])
			continue
		}
		t.Cleanup(func() { _ = s.Close() })
		if !s.db.schema.open.Load() {
			t.Errorf("instance %d came up without the schema", i)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	if n := logs.FilterMessage("migrated the database").Len(); n != stored.SchemaVersion {
		t.Errorf("%d migrations were applied, want %d", n, stored.SchemaVersion)
	}
	for _, entry := range logs.FilterLevelExact(zap.WarnLevel).All() {
		t.Errorf("warned: %s %v", entry.Message, entry.ContextMap())
	}
	for i, s := range stores {
		next := stores[(i+1)%len(stores)]
		name, secret := fmt.Sprint("c", i), fmt.Sprint("secret ", i)
		if err := errors.Join(putSecret(s, name, secret), secretOf(next, name, secret)); err != nil {
			t.Errorf("instance %d: %v", i, err)
		}
	}
}

// TestNewerSchema opens a database that a newer version has migrated, as an instance and
// only to read.
func TestNewerSchema(t *testing.T) {
	t.Parallel()
	dsn := testenv.PostgresDatabase(t)
	older := openAt(t, dsn)
	if _, err := older.db.pool.Exec(ctx, "INSERT INTO fado.schema_version (version, name) SELECT max(version) + 1, 'newer' FROM fado.schema_version"); err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		s, err := Open(ctx, Options{DSN: dsn, Key: testKey, ReadOnly: readOnly})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, state.ErrNewerSchema) || !strings.Contains(err.Error(), "this version of FaDO knows up to") {
			t.Errorf("read only %v: got error %v, want an ErrNewerSchema", readOnly, err)
		}
	}
}

// TestTLS goes by sslmode: verify-full takes the certificate of the authority it was
// given, for the name it was given, and nothing else.
func TestTLS(t *testing.T) {
	t.Parallel()
	certs, authority := testenv.Certs(t)
	_, stranger := testenv.Certs(t)
	server := testenv.PostgresServer(t, testenv.PostgresOptions{CertsDir: certs})
	plain := server.Database(t)
	with := func(host, mode, authority string) string {
		u, err := url.Parse(plain)
		if err != nil {
			t.Fatal(err)
		}
		u.Host = host + ":" + u.Port()
		u.RawQuery = url.Values{"sslmode": {mode}, "sslrootcert": {authority}}.Encode()
		return u.String()
	}
	for _, dsn := range []string{with("127.0.0.1", "verify-full", authority), with("localhost", "verify-ca", authority)} {
		s := openAt(t, dsn)
		encrypted, _, err := one[bool](ctx, s.db.pool, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
		if err != nil || !encrypted {
			t.Errorf("encrypted: %v, %v", encrypted, err)
		}
		smoke(t, s)
	}
	for what, refused := range map[string]struct{ dsn, why string }{
		"another authority": {with("127.0.0.1", "verify-full", stranger), "certificate signed by unknown authority"},
		"another name":      {with("localhost", "verify-full", authority), "certificate is not valid for any names, but wanted to match localhost"},
	} {
		s := openAt(t, refused.dsn)
		if _, err := s.Catalogue().Get(ctx, catalog.KindZone, "z"); !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), refused.why) {
			t.Errorf("%s: got error %v, want an ErrUnavailable with %q", what, err, refused.why)
		}
	}
	if _, err := Open(ctx, Options{DSN: with("127.0.0.1", "verify-full", authority+".none"), Key: testKey}); err == nil || !strings.Contains(err.Error(), "a certificate it names can't be read") {
		t.Errorf("a file that is not there: %v", err)
	}
	without := openAt(t, strings.Replace(testenv.PostgresDatabase(t), "sslmode=disable", "sslmode=require", 1))
	if _, err := without.Catalogue().Get(ctx, catalog.KindZone, "z"); !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("a server without TLS: %v", err)
	}
}

// TestNoAnswer is of a server that goes away between a question and its answer.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	validate := guarded(func(context.Context, *pgconn.PgConn) error {
		var rows []string
		return errors.New(rows[len(rows)])
	})
	if err := validate(ctx, nil); err == nil || !strings.Contains(err.Error(), "did not say") {
		t.Errorf("got error %v", err)
	}
}
