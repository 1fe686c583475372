package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

// newKeySuffix marks the key file that a rotation is about to put in place.
const newKeySuffix = ".new"

// RotateKey implements state.KeyRotator. With an empty passphrase the store gets a new
// key file.
//
// The new key file lies beside the former one, on disk, before the one transaction that
// seals everything with it, and takes its place after it. A crash before the commit leaves
// a file of no use; one after it is seen when the store is opened, which then puts the
// file in place.
func (s *Store) RotateKey(ctx context.Context, passphrase []byte) (int, error) {
	const doing = "rotating the encryption key"
	key := state.PassphraseKey(passphrase)
	if len(passphrase) == 0 {
		var err error
		if err = os.Remove(s.db.keyFile() + newKeySuffix); err == nil || errors.Is(err, fs.ErrNotExist) {
			key, err = state.CreateKeyFile(s.db.keyFile() + newKeySuffix)
		}
		if err != nil {
			return 0, s.db.wrap(doing, err)
		}
	}
	sealer, header, err := state.NewSealer(key)
	if err != nil {
		return 0, s.db.wrap(doing, err)
	}
	if err := s.db.w.take(ctx); err != nil {
		return 0, s.db.wrap(doing, err)
	}
	defer s.db.w.give()
	resealed, err := s.db.reseal(ctx, sealer, header)
	if err != nil {
		return 0, s.db.wrap(doing, err)
	}
	return resealed, s.db.wrap(doing, s.db.finishRotation(header))
}

// reseal seals every secret again in one transaction. SQLite overwrites the values sealed
// with the former key in the file where it can.
func (s *core) reseal(ctx context.Context, sealer *state.Sealer, header string) (resealed int, err error) {
	if _, err := s.w.conn.ExecContext(bg, "PRAGMA secure_delete = ON"); err != nil {
		return 0, err
	}
	err = s.w.transact(ctx, durable, func(w *writer) error {
		all, err := collect(w, scanRecord, "SELECT kind, name, rev, body, refs FROM resources WHERE kind IN ('cluster', 'key')")
		if err != nil {
			return err
		}
		resealed = 0
		for _, r := range all {
			changed, err := resealOne(w, s.sealer, sealer, r)
			if err != nil {
				return err
			}
			if changed {
				resealed++
			}
		}
		return putSealHeader(w, header)
	})
	if err != nil {
		return 0, err
	}
	s.sealer = sealer
	return resealed, readThrough(bg, s.w.conn, "PRAGMA wal_checkpoint(TRUNCATE)")
}

func resealOne(w *writer, from, to *state.Sealer, r state.Record) (changed bool, err error) {
	if changed, err = state.HasSealed(r.Kind, r.Body); err != nil || !changed {
		return false, err
	}
	body, err := from.Open(r.Kind, r.Name, r.Body)
	if err == nil {
		body, err = to.Seal(r.Kind, r.Name, body)
	}
	if err != nil {
		return false, err
	}
	_, err = w.exec("UPDATE resources SET body = ? WHERE kind = ? AND name = ?", string(body), string(r.Kind), r.Name)
	return true, err
}

// finishRotation puts a new key file in place whose transaction has committed: the one
// that opens the seal. Any other is left over from a rotation that did not get as far,
// and of no use.
func (s *core) finishRotation(header string) error {
	file := s.keyFile() + newKeySuffix
	key, err := state.ReadKeyFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := state.OpenSealer(key, header); errors.Is(err, state.ErrNoKey) {
		return os.Remove(file)
	} else if err != nil {
		return err
	}
	if err := state.PlaceKeyFile(file, s.keyFile()); err != nil {
		return err
	}
	s.log.Info("the store's secrets are sealed with a new key file now", zap.String("file", s.keyFile()))
	return nil
}

// Interface guard
var _ state.KeyRotator = (*Store)(nil)
