package sqlite

import (
	"context"
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

// Store implements [state.Store].
type Store struct {
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

// Open opens or makes a store.
//
// Its errors name the file: ErrNewerSchema, ErrCorrupt (not a store, or damaged),
// ErrNoKey (the key does not open the secrets), and ErrUnavailable for everything the
// system refuses, a file that another process uses among it.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{log: o.Log}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Kind implements state.Store.
func (*Store) Kind() string { return "sqlite" }

// Close waits for the transaction under way, and releases the file. Later calls
// return an ErrUnavailable, watchers end, and locks are lost.
func (s *Store) Close() error {
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

var _ state.Store = (*Store)(nil)
