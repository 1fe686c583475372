package stored

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// SchemaVersion is the version of the schema that this FaDO knows. Both engines have the
// same versions: one that changes nothing in an engine is a migration that does nothing.
const SchemaVersion = 14

// convertVersion is the migration that is code: what was JSON in meta values becomes rows.
const convertVersion = 4

// NewMigrator returns what brings a database up to date: the files migrations/NNNN_name.sql
// and the conversion, each in a transaction of its own together with its version.
func NewMigrator(db *sql.DB, files fs.FS, versions database.Store, d Dialect, opts ...goose.ProviderOption) (*goose.Provider, error) {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, err
	}
	convert := goose.NewGoMigration(convertVersion, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error { return convertMeta(ctx, tx, d) }}, nil)
	p, err := goose.NewProvider(goose.DialectCustom, db, sub, append(opts,
		goose.WithStore(versions), goose.WithGoMigrations(convert), goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return nil, fmt.Errorf("reading the migrations: %w", err)
	}
	return p, nil
}

// MigrationName names a version in logs and in the database.
func MigrationName(files fs.FS, version int64) string {
	names, _ := fs.Glob(files, fmt.Sprintf("migrations/%04d_*.sql", version)) // the pattern is well-formed
	if len(names) == 1 {
		return names[0][len("migrations/"):]
	}
	return fmt.Sprintf("%04d_convert_meta", version)
}

// Applied lists a database's versions as a migrator wants them, the last one first. The
// version 0 is what an empty database has.
func Applied(last int64) (all []*database.ListMigrationsResult) {
	for v := last; v >= 0; v-- {
		all = append(all, &database.ListMigrationsResult{Version: v, IsApplied: true})
	}
	return all
}
