package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
)

const selectHeader = "SELECT coalesce((SELECT header FROM fado.seal), '')"

// openSeal returns the seal in force. A database without sealed secrets takes any key;
// one with them only its own, or a former one of ours while keys are rotated.
func (s *Store) openSeal(ctx context.Context, tx pgx.Tx) (seal, error) {
	sealed, err := hasSealed(ctx, tx)
	if err != nil {
		return seal{}, err
	}
	if len(s.o.Key) == 0 {
		if sealed {
			return seal{}, fmt.Errorf("the database holds sealed secrets: configure the encryption_key they were sealed with: %w", state.ErrNoKey)
		}
		return seal{}, nil
	}
	var header string
	if err := tx.QueryRow(ctx, selectHeader).Scan(&header); err != nil {
		return seal{}, err
	}
	if header != "" {
		sealer, err := s.openHeader(header)
		if err == nil || sealed || !errors.Is(err, state.ErrNoKey) {
			return seal{header, sealer}, err
		}
	}
	if s.o.ReadOnly {
		return seal{}, nil
	}
	return s.newSeal(ctx, tx, header)
}

// deriveSeal derives what openSeal is going to need.
func (s *Store) deriveSeal(ctx context.Context) error {
	if len(s.o.Key) == 0 {
		return nil
	}
	var header string
	err := s.attempt(ctx, s.patience(1), true, func(ctx context.Context, conn pooled) (err error) {
		header, _, err = one[string](ctx, conn, selectHeader)
		return err
	})
	switch {
	case err != nil:
		return err
	case header != "":
		_, err = s.openHeader(header)
		if errors.Is(err, state.ErrNoKey) {
			return nil // openSeal knows whether another key will do
		}
		return err
	case s.o.ReadOnly:
		return nil
	}
	_, err = s.freshSeal()
	return err
}

// openHeader opens a header with the key that fits.
func (s *Store) openHeader(header string) (*state.Sealer, error) {
	s.derived.mu.Lock()
	defer s.derived.mu.Unlock()
	if s.derived.opened.sealer != nil && s.derived.opened.header == header {
		return s.derived.opened.sealer, nil
	}
	sealer, err := state.OpenSealerWith(header, state.PassphraseKeys(s.o.Key, s.o.FormerKeys...)...)
	if err == nil {
		s.derived.opened = seal{header, sealer}
	}
	return sealer, err
}

// freshSeal returns a new seal by this instance's key.
func (s *Store) freshSeal() (seal, error) {
	s.derived.mu.Lock()
	defer s.derived.mu.Unlock()
	if s.derived.fresh.sealer == nil {
		sealer, header, err := state.NewSealer(state.PassphraseKey(s.o.Key))
		if err != nil {
			return seal{}, err
		}
		s.derived.fresh = seal{header, sealer}
	}
	return s.derived.fresh, nil
}

// newSeal makes a seal, unless another instance was first. The row of counters keeps
// other instances from storing secrets meanwhile.
func (s *Store) newSeal(ctx context.Context, tx pgx.Tx, former string) (seal, error) {
	var now string
	if _, err := tx.Exec(ctx, "SELECT FROM fado.counters FOR UPDATE"); err != nil {
		return seal{}, err
	}
	if err := tx.QueryRow(ctx, selectHeader).Scan(&now); err != nil {
		return seal{}, err
	}
	if now != former {
		sealer, err := s.openHeader(now)
		return seal{now, sealer}, err
	}
	fresh, err := s.freshSeal()
	if err != nil {
		return seal{}, err
	}
	return fresh, putHeader(ctx, tx, fresh.header)
}

func putHeader(ctx context.Context, tx pgx.Tx, header string) error {
	_, err := tx.Exec(ctx, "INSERT INTO fado.seal (id, header) VALUES (true, $1) ON CONFLICT (id) DO UPDATE SET header = excluded.header", header)
	return err
}

// hasSealed says whether any stored resource holds a sealed secret.
func hasSealed(ctx context.Context, tx pgx.Tx) (bool, error) {
	all, err := collect(ctx, tx, scanRecord, "SELECT "+recordColumns+" FROM fado.resources WHERE kind IN ('cluster', 'key')")
	for _, r := range all {
		if found, err := state.HasSealed(r.Kind, r.Body); err != nil || found {
			return found, err
		}
	}
	return false, err
}

// followSeal makes the seal in force this instance's own.
func (s *Store) followSeal(ctx context.Context, q querier) error {
	header, _, err := one[string](ctx, q, selectHeader)
	if err != nil || len(s.o.Key) == 0 || header == s.seal.Load().header {
		return err
	}
	sealer, err := s.openHeader(header)
	if err != nil {
		return ownError{fmt.Errorf("the secrets of the database were sealed with another key since this instance started: %w", err)}
	}
	s.seal.Store(&seal{header, sealer})
	return nil
}

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
	if err := s.usable(ctx); err != nil {
		return 0, s.wrap(ctx, doing, err)
	}
	err = s.transact(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		if err := s.durable(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT FROM fado.counters FOR UPDATE"); err != nil {
			return err
		}
		if err := s.followSeal(ctx, tx); err != nil {
			return err
		}
		if resealed, err = s.reseal(ctx, tx, sealer); err != nil {
			return err
		}
		return putHeader(ctx, tx, header)
	})
	if err != nil {
		return 0, s.wrap(ctx, doing, err)
	}
	s.seal.Store(&seal{header, sealer})
	return resealed, nil
}

// reseal seals what is sealed with another sealer. Revisions stay: to users nothing has
// changed.
func (s *Store) reseal(ctx context.Context, tx pgx.Tx, to *state.Sealer) (resealed int, err error) {
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
		body, err := s.seal.Load().sealer.Open(r.Kind, r.Name, r.Body)
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
