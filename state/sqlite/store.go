package sqlite

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

// Store implements [state.Store]: a type for each role, in the file with its statements.
type Store struct{ db *core }

// Open opens or makes a store.
//
// Its errors name the file: ErrNewerSchema, ErrCorrupt (not a store, or damaged),
// ErrNoKey (the key does not open the secrets), and ErrUnavailable for everything the
// system refuses, a file that another process uses among it.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &core{log: o.Log}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return &Store{s}, nil
}

// Kind implements state.Store.
func (*Store) Kind() string { return "sqlite" }

// Close waits for the transaction under way, and releases the file. Later calls
// return an ErrUnavailable, watchers end, and locks are lost.
func (s *Store) Close() error { return s.db.close() }

// Catalogue implements state.Store.
func (s *Store) Catalogue() state.Catalogue { return catalogue{s.db} }

// Queue implements state.Store.
func (s *Store) Queue() state.Queue { return queue{s.db} }

// Pulls implements state.Store.
func (s *Store) Pulls() state.Pulls { return pulls{s.db} }

// Uploads implements state.Store.
func (s *Store) Uploads() state.Uploads { return uploads{s.db} }

// Purges implements state.Store.
func (s *Store) Purges() state.Purges { return purges{s.db} }

// Resolutions implements state.Store.
func (s *Store) Resolutions() state.Resolutions { return resolutions{s.db} }

// Allowances implements state.Store.
func (s *Store) Allowances() state.Allowances { return allowances{s.db} }

// Verifications implements state.Store.
func (s *Store) Verifications() state.Verifications { return verifications{s.db} }

// Pauses implements state.Store.
func (s *Store) Pauses() state.Pauses { return pauses{s.db} }

// Reports implements state.Store.
func (s *Store) Reports() state.Reports { return reports{s.db} }

// Audits implements state.Store.
func (s *Store) Audits() state.Audits { return audits{s.db} }

// Passes implements state.Store.
func (s *Store) Passes() state.Passes { return passes{s.db} }

// Facts implements state.Store.
func (s *Store) Facts() state.Facts { return facts{s.db} }

// ChangeLog implements state.Store.
func (s *Store) ChangeLog() state.ChangeLog { return changeLog{s.db} }

// Locks implements state.Store.
func (s *Store) Locks() state.Locks { return locker{s.db} }

// Interface guard
var _ state.Store = (*Store)(nil)
