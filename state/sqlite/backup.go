package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fado-project/fado/state"
)

// Backup writes a consistent copy of the store in a file to another one, which must not be
// there yet: of one moment, whether an instance uses the store or not, and durable when it
// returns. Only the owner may read it. Secrets stay sealed with the store's key, which is not
// in it; KeyFile says where that lies.
func Backup(ctx context.Context, path, to string) (err error) {
	path, err = resolvePath(path, true)
	if err != nil {
		return fmt.Errorf("there is no store to back up: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)")+"&mode=rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if version, err := schemaVersion(ctx, conn, path); err != nil {
		return err
	} else if version == 0 {
		return fmt.Errorf("%s is empty: %w", path, state.ErrCorrupt)
	}
	// VACUUM INTO fills an empty file, which then has the mode it was made with.
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("making the backup: %w", err)
	}
	err = f.Close()
	if err == nil {
		err = fill(ctx, conn, to)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("backing %s up: %w", path, err), os.Remove(to))
	}
	return nil
}

// fill writes what a connection reads to a file, and looks at the result.
func fill(ctx context.Context, conn *sql.Conn, to string) error {
	if _, err := conn.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return err
	}
	if err := errors.Join(syncFile(to), state.SyncDir(filepath.Dir(to))); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(to, "query_only(1)")+"&immutable=1")
	if err != nil {
		return err
	}
	var answer string
	err = db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&answer)
	if err == nil && answer != "ok" {
		err = fmt.Errorf("the copy is not sound: %s: %w", answer, state.ErrCorrupt)
	}
	return errors.Join(err, db.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // some systems sync only what may be written
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
