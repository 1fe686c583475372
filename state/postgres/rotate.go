package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
)

// RotateKey implements state.KeyRotator. Other instances may run: those that have the
// new key among theirs continue. Changes of the catalogue wait for it.
func (s *Store) RotateKey(ctx context.Context, passphrase []byte) (resealed int, err error) {
	const doing = "rotating the encryption key"
	if len(passphrase) == 0 {
		return 0, fmt.Errorf("%s: a PostgreSQL store keeps no key file: expected a new encryption_key: %w", doing, state.ErrNoKey)
	}
	sealer, header, err := state.NewSealer(state.PassphraseKey(passphrase))
	if err != nil {
		return 0, err
	}
	if err := s.db.usable(ctx); err != nil {
		return 0, s.db.wrap(ctx, doing, err)
	}
	err = s.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		if err := s.db.durable(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT FROM fado.counters FOR UPDATE"); err != nil {
			return err
		}
		if err := (seals{s.db}).followSeal(ctx, tx); err != nil {
			return err
		}
		if resealed, err = (seals{s.db}).reseal(ctx, tx, sealer); err != nil {
			return err
		}
		return putHeader(ctx, tx, header)
	})
	if err != nil {
		return 0, s.db.wrap(ctx, doing, err)
	}
	s.db.seal.Store(&seal{header, sealer})
	return resealed, nil
}

// reseal seals what is sealed with another sealer. Revisions stay: to users nothing has
// changed.
func (s seals) reseal(ctx context.Context, tx pgx.Tx, to *state.Sealer) (resealed int, err error) {
	all, err := collect(ctx, tx, scanRecord, "SELECT "+recordColumns+" FROM fado.resources WHERE kind IN ('cluster', 'key')")
	if err != nil {
		return 0, err
	}
	for _, r := range all {
		sealed, err := state.HasSealed(r.Kind, r.Body)
		if err != nil {
			return 0, err
		}
		if !sealed {
			continue
		}
		body, err := s.db.seal.Load().sealer.Open(r.Kind, r.Name, r.Body)
		if err == nil {
			body, err = to.Seal(r.Kind, r.Name, body)
		}
		if err != nil {
			return 0, ownError{err}
		}
		if _, err := tx.Exec(ctx, "UPDATE fado.resources SET body = $1 WHERE kind = $2 AND name = $3", string(body), string(r.Kind), r.Name); err != nil {
			return 0, err
		}
		resealed++
	}
	return resealed, nil
}

// Interface guard
var _ state.KeyRotator = (*Store)(nil)
