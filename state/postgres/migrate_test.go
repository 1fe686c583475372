package postgres

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/zap"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
	"github.com/fado-project/fado/state/statetest"
)

// formerDatabase makes a database as version 1 of FaDO's schema left it.
func formerDatabase(t *testing.T) string {
	t.Helper()
	dsn := testenv.PostgresDatabase(t)
	schema, err := os.ReadFile("testdata/version1.sql")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	exec := func(text string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(ctx, text, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE SCHEMA fado; CREATE TABLE fado.schema_version (version bigint PRIMARY KEY, name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())")
	exec(string(schema))
	exec("INSERT INTO fado.schema_version (version, name) VALUES (1, '0001_initial.sql')")
	exec(`INSERT INTO fado.resources VALUES ('bucket', 'b', 1, '{}', '')`)
	exec(`INSERT INTO fado.copies VALUES ('b', '', 'c1', 'synced', 1, '', 10, 100, '', 0, '', 0, 0)`)
	for key, row := range map[string]string{"live": `'', false`, "found": `'', true`, "damaged": `'the bytes are damaged: crc', true`} {
		exec(`INSERT INTO fado.pending (bucket, key, cluster, gen, size, since, attempts, next_attempt, hold, is_foreign, claimed_by, claim_until, error, background)
			VALUES ('b', $1, 'c1', 1, 1, 1, 0, 0, '', $1 = 'found'::bytea, '', 0, `+row+`)`, []byte(key))
	}
	for key, value := range statetest.FormerMeta {
		exec("INSERT INTO fado.meta VALUES ($1, $2, 1)", key, value)
	}
	return dsn
}

// TestMigrateFormer starts ten instances at once on a database of a former version: one
// migrates it, all of them work. One that only reads refuses it before.
func TestMigrateFormer(t *testing.T) {
	t.Parallel()
	dsn := formerDatabase(t)
	s, err := Open(ctx, Options{DSN: dsn, Key: testKey, ReadOnly: true})
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, state.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprint("schema version 1, expected ", stored.SchemaVersion)) {
		t.Errorf("only to read: got error %v", err)
	}
	stores := make([]*Store, 10)
	errs := make([]error, len(stores))
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			stores[i], errs[i] = Open(ctx, Options{DSN: dsn, Key: testKey, MaxConns: 4, ConnectTimeout: time.Minute, StatementTimeout: time.Minute})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, s := range stores {
		t.Cleanup(func() { _ = s.Close() })
		if !s.db.schema.open.Load() {
			t.Errorf("instance %d came up without the schema", i)
		}
	}
	statetest.CheckFormer(t, stores[3])
	var settings string
	for _, s := range stores { // the sessions that migrated are as the others again
		for range 4 {
			err := s.db.pool.QueryRow(ctx, "SELECT current_setting('statement_timeout') || ' ' || current_setting('synchronous_commit')").Scan(&settings)
			if err != nil || settings != "1min off" {
				t.Fatalf("a session is set to %q (%v)", settings, err)
			}
		}
	}
}

// TestMigrateKeepsRows brings databases of every former version, with rows in every table
// that it had, up to date.
func TestMigrateKeepsRows(t *testing.T) {
	t.Parallel()
	server := testenv.PostgresServer(t)
	for version := 1; version < stored.SchemaVersion; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			dsn := server.Database(t)
			migrateTo(t, dsn, int64(version))
			conn, err := pgx.Connect(ctx, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			for _, row := range append(statetest.FormerRows(version), "INSERT INTO meta (key, value, version) VALUES ('kept', 'value', 1)") {
				if _, err := conn.Exec(ctx, tableOf.ReplaceAllString(row, "$1 fado.$2")); err != nil {
					t.Fatalf("%s: %v", row, err)
				}
			}
			statetest.CheckFormerRows(t, openAt(t, dsn), version)
		})
	}
}

// migrateTo makes a database with the schema of a version.
func migrateTo(t *testing.T, dsn string, version int64) {
	t.Helper()
	db := core{o: Options{DSN: dsn}, done: ctx, log: zap.NewNop()}
	db.o.setDefaults()
	if err := db.configure(); err != nil {
		t.Fatal(err)
	}
	defer db.pool.Close()
	sqlDB := stdlib.OpenDBFromPool(db.pool)
	defer sqlDB.Close()
	m, err := schema{&db}.migrator(sqlDB)
	if err == nil {
		_, err = m.UpTo(ctx, version)
	}
	if err != nil {
		t.Fatal(err)
	}
}
