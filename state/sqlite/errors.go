package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	driverlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/fado-project/fado/state"
)

// errClosed is what a closed store answers.
var errClosed = fmt.Errorf("the store is closed: %w", state.ErrUnavailable)

// wrap says what was being done and adds the contract's sentinel for what went
// wrong. Errors that already carry one, and those of contexts, keep it.
func (s *core) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if known := classify(err); known != nil {
		return fmt.Errorf("%s: %s: %w: %w", doing, s.path, known, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// classify returns the sentinel that an error of the driver or the system calls for;
// nil when there is none or the error has it.
func classify(err error) error {
	for _, known := range []error{
		state.ErrNotFound, state.ErrNewerSchema, state.ErrCorrupt, state.ErrUnavailable, state.ErrNoKey,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return nil
		}
	}
	if lite, ok := errors.AsType[*driverlite.Error](err); ok {
		return classifyCode(lite.Code())
	}
	var path *fs.PathError
	var errno syscall.Errno
	if errors.As(err, &path) || errors.As(err, &errno) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		return state.ErrUnavailable
	}
	return nil
}

// classifyCode maps SQLite's result codes, https://www.sqlite.org/rescode.html.
func classifyCode(code int) error {
	switch code & 0xff { // the primary code
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return state.ErrCorrupt
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_INTERRUPT:
		return state.ErrUnavailable
	default:
		return nil
	}
}
