package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// applicationID marks the file as FaDO's in SQLite's header ("FaDO" in ASCII).
const applicationID = 0x4661444f

//go:embed migrations/*.sql
var migrationFiles embed.FS

// schemaVersion reads the version of a file's schema, 0 for a new file, without
// changing anything; ErrNewerSchema and ErrCorrupt when it is not one to go on with.
func schemaVersion(ctx context.Context, db *sql.Conn, path string) (int, error) {
	var version, app, tables int
	for pragma, to := range map[string]*int{
		"PRAGMA user_version": &version, "PRAGMA application_id": &app,
		"SELECT count(*) FROM sqlite_schema": &tables,
	} {
		if err := db.QueryRowContext(ctx, pragma).Scan(to); err != nil {
			return 0, fmt.Errorf("reading the schema version: %w", err)
		}
	}
	switch {
	case version == 0 && app == 0 && tables == 0:
		return 0, nil
	case app != applicationID:
		return 0, fmt.Errorf("a SQLite database, but not one of FaDO's, name another file: %w", state.ErrCorrupt)
	case version > stored.SchemaVersion:
		return 0, fmt.Errorf("%s has schema version %d, this version of FaDO knows up to %d: start the newer version, or name another file: %w",
			path, version, stored.SchemaVersion, state.ErrNewerSchema)
	}
	return version, nil
}

// migrate applies what a schema lacks, each migration in a transaction of its own. db has
// one connection, which is free.
func migrate(ctx context.Context, db *sql.DB, log *zap.Logger) error {
	m, err := migrator(db, log)
	if err != nil {
		return err
	}
	done, err := m.Up(ctx)
	if err != nil {
		return fmt.Errorf("bringing the schema up to date: %w", err)
	}
	for _, d := range done {
		log.Debug("migrated the store", zap.String("migration", stored.MigrationName(migrationFiles, d.Source.Version)))
	}
	return nil
}

// migrator knows every migration of this engine.
func migrator(db *sql.DB, log *zap.Logger) (*goose.Provider, error) {
	return stored.NewMigrator(db, migrationFiles, versions{}, stored.Dialect{
		Rewrite: func(query string) string { return strings.ReplaceAll(query, "$", "?") },
		Key:     func(key string) any { return key },
		Log:     log,
	})
}

// versions keeps the version in the file's header, in the transaction of the migration.
type versions struct{}

// Tablename implements database.Store.
func (versions) Tablename() string { return "user_version" }

// TableExists says that nothing has to be made.
func (versions) TableExists(context.Context, database.DBTxConn) (bool, error) { return true, nil }

// CreateVersionTable implements database.Store.
func (versions) CreateVersionTable(context.Context, database.DBTxConn) error { return nil }

// Insert implements database.Store.
func (versions) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	_, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, req.Version))
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

// GetLatestVersion implements database.Store.
func (versions) GetLatestVersion(ctx context.Context, db database.DBTxConn) (last int64, err error) {
	return last, db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&last)
}

// ListMigrations implements database.Store.
func (v versions) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	last, err := v.GetLatestVersion(ctx, db)
	return stored.Applied(last), err
}

// Interface guard
var _ database.Store = versions{}
