package sqlite

import (
	"errors"
	"os"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// Options of a Store.
type Options struct {
	// Path of the database file. It and its directory are made if missing, for the
	// owner only.
	Path string
	// Key is the configured encryption key. Empty: the key file beside the database.
	// FormerKeys are others that the secrets may be sealed with, while the key is rotated:
	// what they are sealed with is for the file to say.
	Key        []byte
	FormerKeys [][]byte
	// ReadOnly opens a store that is there and changes nothing of it: no schema is brought
	// up to date, no key made, nothing merged. Every call that writes is an ErrUnavailable.
	ReadOnly bool
	// MustExist refuses a path where there is no store, instead of making one.
	MustExist bool
	// Log may be nil.
	Log *zap.Logger
}

// core is what the roles of a Store have in common: the file and its connections.
type core struct {
	path   string
	log    *zap.Logger
	w      *writer
	r      *readers
	sealer *state.Sealer
	watch  stored.Watchers
	locks  locks
	lock   *os.File // keeps other processes out
	// mustExist: a file without a schema is no store.
	mustExist bool
	closed    atomic.Bool
}

func (s *core) close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.watch.Close()
	s.locks.close()
	var errs []error
	if s.r != nil {
		errs = append(errs, s.r.db.Close())
	}
	if s.w != nil { // the last to close merges the write-ahead log into the file
		errs = append(errs, s.w.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return s.wrap("closing the store", errors.Join(errs...))
}
