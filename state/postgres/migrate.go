package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/fado-project/fado/state"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Advisory locks of FaDO in a database: the first number is "FaDO" in ASCII. The one that
// orders the log of objects is taken by fado.order_objects, too.
const (
	lockSpace     = 1180779599
	lockObjects   = 1
	lockMigration = 2
	lockFold      = 3
)

// gate lets calls through once the schema is known to be good.
type gate struct {
	open   atomic.Bool
	flight singleflight.Group
}

// ready brings the schema up to date and opens the seal, once. Calls that come while
// that is tried share what comes of it; instances that start at the same moment wait
// for the first of them.
func (s *Store) ready(ctx context.Context) error {
	if s.schema.open.Load() {
		return nil
	}
	result := s.schema.flight.DoChan("", func() (any, error) {
		err := s.checkSessions(s.done)
		if err == nil {
			err = s.transact(s.done, s.prepare)
		}
		if err == nil {
			s.schema.open.Store(true)
		}
		return nil, s.wrap(s.done, "opening the store", err)
	})
	select {
	case r := <-result:
		if s.closed.Load() {
			return errClosed
		}
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare is ready's transaction.
func (s *Store) prepare(ctx context.Context, tx pgx.Tx) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	if err := s.durable(ctx, tx); err != nil {
		return err
	}
	version, err := schemaVersion(ctx, tx)
	if err == nil && version < len(all) {
		if s.o.ReadOnly {
			return fmt.Errorf("the database has schema version %d, expected %d: start this version of FaDO on it once, which brings it up to date: %w", version, len(all), state.ErrUnavailable)
		}
		version, err = s.migrate(ctx, tx, all)
	}
	if err != nil {
		return err
	}
	if version > len(all) {
		return fmt.Errorf("the database has schema version %d, this version of FaDO knows up to %d: start the newer version, or name another database: %w",
			version, len(all), state.ErrNewerSchema)
	}
	now, err := s.openSeal(ctx, tx)
	if err != nil {
		return err
	}
	s.seal.Store(&now)
	return s.skipLost(ctx, tx, commitOf(tx.Conn())) // for this connection, which came before the schema
}

// schemaVersion reads the version of the schema, 0 where there is none. It looks into the
// catalogue itself: to_regclass goes by what the session remembers, which in a transaction
// that has waited for another's may be that there is no such table.
func schemaVersion(ctx context.Context, tx pgx.Tx) (version int, err error) {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'fado' AND tablename = 'schema_version')").Scan(&there); err != nil || !there {
		return 0, err
	}
	err = tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM fado.schema_version").Scan(&version)
	return version, err
}

// migrate applies what the schema lacks, all of it or nothing. One instance does, the
// others wait for it and find the work done.
func (s *Store) migrate(ctx context.Context, tx pgx.Tx, all []migration) (version int, err error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, $2)", lockSpace, lockMigration); err != nil {
		return 0, err
	}
	if version, err = schemaVersion(ctx, tx); err != nil || version >= len(all) {
		return version, err
	}
	var there bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'fado')").Scan(&there); err != nil {
		return 0, err
	}
	if !there { // where it was made for us, we may lack the right to make it
		if _, err := tx.Exec(ctx, "CREATE SCHEMA fado"); err != nil {
			return 0, err
		}
	}
	if version == 0 {
		if _, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS fado.schema_version (version bigint PRIMARY KEY, name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"); err != nil {
			return 0, err
		}
	}
	for _, m := range all[version:] {
		if _, err := tx.Conn().PgConn().Exec(ctx, m.sql).ReadAll(); err != nil { // several statements
			return 0, fmt.Errorf("applying migration %s: %w", m.name, err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO fado.schema_version (version, name) VALUES ($1, $2)", m.version, m.name); err != nil {
			return 0, err
		}
		s.log.Info("migrated the database", zap.String("migration", m.name))
	}
	return len(all), nil
}

// migration brings the schema from version-1 to version.
type migration struct {
	version int
	name    string
	sql     string
}

// migrations reads the embedded files, NNNN_name.sql, in order.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []migration
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if version, err := strconv.Atoi(number); err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: expected number %d", name, i+1)
		}
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version: i + 1, name: strings.TrimPrefix(name, "migrations/"), sql: string(text)})
	}
	return all, nil
}
