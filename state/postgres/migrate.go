package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// schema brings the database up to the schema of this version.
type schema struct{ db *core }

// ready brings the schema up to date and opens the seal, once. Calls that come while
// that is tried share what comes of it; instances that start at the same moment wait
// for the first of them.
func (s schema) ready(ctx context.Context) error {
	if s.db.schema.open.Load() {
		return nil
	}
	result := s.db.schema.flight.DoChan("", func() (any, error) {
		err := s.checkSessions(s.db.done)
		if err == nil {
			err = s.migrate(s.db.done)
		}
		if err == nil {
			err = seals(s).deriveSeal(s.db.done)
		}
		if err == nil {
			err = s.db.transact(s.db.done, s.prepare)
		}
		if err == nil {
			s.db.schema.open.Store(true)
		}
		return nil, s.db.wrap(s.db.done, "opening the store", err)
	})
	patient := time.NewTimer(s.db.patience(4))
	defer patient.Stop()
	select {
	case r := <-result:
		if s.db.closed.Load() {
			return errClosed
		}
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	case <-patient.C: // it continues; the next call may find it done
		return fmt.Errorf("the schema is being brought up to date: %w", state.ErrUnavailable)
	}
}

// prepare is ready's transaction, once the schema is this version's.
func (s schema) prepare(ctx context.Context, tx pgx.Tx) error {
	if err := s.db.durable(ctx, tx); err != nil {
		return err
	}
	now, err := seals(s).openSeal(ctx, tx)
	if err != nil {
		return err
	}
	s.db.seal.Store(&now)
	return s.db.skipLost(ctx, tx, commitOf(tx.Conn())) // for this connection, which came before the schema
}

// hasVersions looks into the catalogue itself: to_regclass goes by what the session
// remembers, which after a wait for another session may be that there is no such table.
const hasVersions = "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'fado' AND tablename = 'schema_version')"

const lastVersion = "SELECT coalesce(max(version), 0) FROM fado.schema_version"

// schemaVersion reads the version of the schema, 0 where there is none.
func (s schema) schemaVersion(ctx context.Context) (version int, err error) {
	err = s.db.attempt(ctx, s.db.patience(1), true, func(ctx context.Context, conn pooled) error {
		there, _, err := one[bool](ctx, conn, hasVersions)
		if err == nil && there {
			version, _, err = one[int](ctx, conn, lastVersion)
		}
		return err
	})
	return version, err
}

// migrate applies what the schema lacks. One instance does, the others wait for it and
// find the work done.
func (s schema) migrate(ctx context.Context) error {
	version, err := s.schemaVersion(ctx)
	if err == nil && version < stored.SchemaVersion {
		if s.db.o.ReadOnly {
			return fmt.Errorf("the database has schema version %d, expected %d: start this version of FaDO on it once, which brings it up to date: %w", version, stored.SchemaVersion, state.ErrUnavailable)
		}
		if version == 0 {
			if s.db.o.MustExist {
				return fmt.Errorf("the database has no store in it: expected the one that FaDO uses: %w", state.ErrUnavailable)
			}
			s.db.log.Info("the database has no store yet: making a new, empty one")
		}
		if err := s.up(ctx); err != nil {
			return err
		}
		version, err = s.schemaVersion(ctx) // a newer version may have been quicker
	}
	if err == nil && version > stored.SchemaVersion {
		err = fmt.Errorf("the database has schema version %d, this version of FaDO knows up to %d: start the newer version, or name another database: %w",
			version, stored.SchemaVersion, state.ErrNewerSchema)
	}
	return err
}

// tableOf finds the tables in the statements of the conversion, which know no schema.
var tableOf = regexp.MustCompile(`\b(FROM|INTO|UPDATE)\s+([a-z_]+)`)

// up runs the migrator on connections of the pool.
func (s schema) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.db.patience(clearing), errSlow)
	defer cancel()
	db := stdlib.OpenDBFromPool(s.db.pool)
	defer db.Close() // leaves the pool open
	m, err := s.migrator(db)
	if err != nil {
		return ownError{err}
	}
	done, err := m.Up(ctx)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		done = partial.Applied
	}
	for _, d := range done {
		s.db.log.Info("migrated the database", zap.String("migration", stored.MigrationName(migrationFiles, d.Source.Version)))
	}
	if err != nil {
		return fmt.Errorf("bringing the schema up to date: %w", err)
	}
	return nil
}

// migrator knows every migration of this engine.
func (s schema) migrator(db *sql.DB) (*goose.Provider, error) {
	return stored.NewMigrator(db, migrationFiles, versions{}, stored.Dialect{
		Rewrite: func(query string) string { return tableOf.ReplaceAllString(query, "$1 fado.$2") },
		Key:     func(key string) any { return []byte(key) },
		Log:     s.db.log,
	}, goose.WithSessionLocker(migrating{s.db}))
}

// migrating keeps other instances from migrating meanwhile, former versions among them,
// and sets the session up for it: what is changed is on disk, and may take its time.
type migrating struct{ s *core }

// SessionLock implements lock.SessionLocker.
func (m migrating) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if err := m.configure(ctx, conn, m.s.patience(clearing).Milliseconds(), "on"); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1, $2)", lockSpace, lockMigration); err != nil {
		return errors.Join(err, m.configure(context.WithoutCancel(ctx), conn, m.s.o.StatementTimeout.Milliseconds(), "off"))
	}
	var schema, table bool
	err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'fado')").Scan(&schema)
	if err == nil && !schema { // where it was made for us, we may lack the right to make it
		_, err = conn.ExecContext(ctx, "CREATE SCHEMA fado")
	}
	if err == nil {
		err = conn.QueryRowContext(ctx, hasVersions).Scan(&table)
	}
	if err == nil && !table {
		_, err = conn.ExecContext(ctx, "CREATE TABLE fado.schema_version (version bigint PRIMARY KEY, name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())")
	}
	if err != nil {
		return errors.Join(err, m.SessionUnlock(context.WithoutCancel(ctx), conn))
	}
	return nil
}

// SessionUnlock implements lock.SessionLocker. The lock ends with the session where the
// database can't be told.
func (m migrating) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, m.s.o.ConnectTimeout)
	defer cancel()
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1, $2)", lockSpace, lockMigration)
	return errors.Join(err, m.configure(ctx, conn, m.s.o.StatementTimeout.Milliseconds(), "off"))
}

func (migrating) configure(ctx context.Context, conn *sql.Conn, statementMillis int64, commit string) error {
	_, err := conn.ExecContext(ctx, `SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false),
		set_config('idle_in_transaction_session_timeout', $1, false), set_config('synchronous_commit', $2, false)`, fmt.Sprint(statementMillis), commit)
	return err
}

// versions keeps the versions in fado.schema_version, in the transaction of the migration.
type versions struct{}

// Tablename implements database.Store.
func (versions) Tablename() string { return "fado.schema_version" }

// TableExists says that nothing has to be made: SessionLock has made the table.
func (versions) TableExists(context.Context, database.DBTxConn) (bool, error) { return true, nil }

// CreateVersionTable implements database.Store.
func (versions) CreateVersionTable(context.Context, database.DBTxConn) error { return nil }

// Insert implements database.Store.
func (versions) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	_, err := db.ExecContext(ctx, "INSERT INTO fado.schema_version (version, name) VALUES ($1, $2)",
		req.Version, stored.MigrationName(migrationFiles, req.Version))
	return err
}

// Delete implements database.Store: there is no way back.
func (versions) Delete(context.Context, database.DBTxConn, int64) error {
	return database.ErrNotImplemented
}

// GetMigration implements database.Store.
func (v versions) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	last, err := v.GetLatestVersion(ctx, db)
	if err == nil && version > last {
		err = database.ErrVersionNotFound
	}
	return &database.GetMigrationResult{IsApplied: true}, err
}

// GetLatestVersion implements database.Store. The migrator also asks before it has the lock.
func (versions) GetLatestVersion(ctx context.Context, db database.DBTxConn) (last int64, err error) {
	var there bool
	if err := db.QueryRowContext(ctx, hasVersions).Scan(&there); err != nil || !there {
		return 0, err
	}
	return last, db.QueryRowContext(ctx, lastVersion).Scan(&last)
}

// ListMigrations implements database.Store.
func (v versions) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	last, err := v.GetLatestVersion(ctx, db)
	return stored.Applied(last), err
}

// Interface guard
var _ database.Store = versions{}
