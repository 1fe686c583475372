package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/fado-project/fado/state"
)

// applicationID marks the file as FaDO's in SQLite's header ("FaDO" in ASCII).
const applicationID = 0x4661444f

//go:embed migrations/*.sql
var migrationFiles embed.FS

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
		all = append(all, migration{version: i + 1, name: name, sql: string(text)})
	}
	return all, nil
}

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
func migrate(ctx context.Context, db *sql.Conn, from int, all []migration) error {
	for _, m := range all[from:] {
		script := fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA application_id = %d;\nPRAGMA user_version = %d;\nCOMMIT;",
			m.sql, applicationID, m.version)
		if _, err := db.ExecContext(ctx, script); err != nil {
			_, _ = db.ExecContext(ctx, "ROLLBACK") // best effort: the connection is given up
			return fmt.Errorf("applying migration %s: %w", m.name, err)
		}
	}
	return nil
}
