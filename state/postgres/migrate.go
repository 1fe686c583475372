package postgres

import (
	"context"
	"embed"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
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
func (s *Store) migrate(ctx context.Context, tx pgx.Tx, all []stored.Migration) (version int, err error) {
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
		if _, err := tx.Conn().PgConn().Exec(ctx, m.SQL).ReadAll(); err != nil { // several statements
			return 0, fmt.Errorf("applying migration %s: %w", m.Name, err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO fado.schema_version (version, name) VALUES ($1, $2)", m.Version, m.Name); err != nil {
			return 0, err
		}
		s.log.Info("migrated the database", zap.String("migration", m.Name))
	}
	return len(all), nil
}

// migrations reads the embedded files in order.
func migrations() ([]stored.Migration, error) { return stored.Migrations(migrationFiles) }
