package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// applicationID marks the file as FaDO's in SQLite's header ("FaDO" in ASCII).
const applicationID = 0x4661444f

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations reads the embedded files in order.
func migrations() ([]stored.Migration, error) { return stored.Migrations(migrationFiles) }

// schemaVersion reads the version of a file's schema, 0 for a new file, without
// changing anything; ErrNewerSchema and ErrCorrupt when it is not one to go on with.
func schemaVersion(ctx context.Context, db *sql.Conn, path string, known int) (int, error) {
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
	case version > known:
		return 0, fmt.Errorf("%s has schema version %d, this version of FaDO knows up to %d: start the newer version, or name another file: %w",
			path, version, known, state.ErrNewerSchema)
	}
	return version, nil
}

// migrate applies what a schema lacks, each migration in a transaction of its own.
func migrate(ctx context.Context, db *sql.Conn, from int, all []stored.Migration) error {
	for _, m := range all[from:] {
		script := fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA application_id = %d;\nPRAGMA user_version = %d;\nCOMMIT;",
			m.SQL, applicationID, m.Version)
		if _, err := db.ExecContext(ctx, script); err != nil {
			_, _ = db.ExecContext(ctx, "ROLLBACK") // best effort: the connection is given up
			return fmt.Errorf("applying migration %s: %w", m.Name, err)
		}
	}
	return nil
}
