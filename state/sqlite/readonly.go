package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

var errReadOnly = fmt.Errorf("the store was opened for reading only: %w", state.ErrUnavailable)

// openReadOnly is open for a store that is not to be changed. The lock file, which keeps
// a FaDO that runs from it and it from a FaDO that starts, is all that is written.
func (s *core) openReadOnly(ctx context.Context, o Options) error {
	s.w = &writer{refuses: errReadOnly}
	if err := s.openReaders(ctx); err != nil {
		return s.wrap("opening the store", s.adviseCorrupt(err))
	}
	var err error
	s.sealer, err = s.openSealerReadOnly(o)
	return s.wrap("opening the secrets of "+s.path, err)
}

// openReaders opens the readers. A log that was not merged, because the last process
// was killed, is read along with the file; without one SQLite needs no file beside it.
func (s *core) openReaders(ctx context.Context) error {
	access := "mode=ro"
	if log, err := os.Stat(s.path + "-wal"); err != nil || log.Size() == 0 {
		access = "immutable=1"
	}
	db, err := sql.Open("sqlite", dsn(s.path, "query_only(1)", "busy_timeout(5000)", "cache_size(-4096)")+"&"+access)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(readerConns)
	db.SetMaxIdleConns(readerConns)
	s.r = &readers{db: db}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return s.checkReadable(ctx, conn)
}

// checkReadable refuses what is not a store of this version's schema.
func (s *core) checkReadable(ctx context.Context, conn *sql.Conn) error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	if err := errors.Join(checkMagic(f), f.Close()); err != nil {
		return err
	}
	version, err := schemaVersion(ctx, conn, s.path)
	switch {
	case err != nil:
		return err
	case version == 0:
		return fmt.Errorf("the file is empty: %w", state.ErrCorrupt)
	case version < stored.SchemaVersion:
		return fmt.Errorf("%s has schema version %d, expected %d: start this version of FaDO on it once, which brings it up to date: %w", s.path, version, stored.SchemaVersion, state.ErrUnavailable)
	default:
		return nil
	}
}
