package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
)

const selectHeader = "SELECT coalesce((SELECT header FROM fado.seal), '')"

// seals finds the seal in force, and makes one where there is none.
type seals struct{ db *core }

// openSeal returns the seal in force. A database without sealed secrets takes any key;
// one with them only its own, or a former one of ours while keys are rotated.
func (s seals) openSeal(ctx context.Context, tx pgx.Tx) (seal, error) {
	sealed, err := hasSealed(ctx, tx)
	if err != nil {
		return seal{}, err
	}
	if len(s.db.o.Key) == 0 {
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
	if s.db.o.ReadOnly {
		return seal{}, nil
	}
	return s.newSeal(ctx, tx, header)
}

// deriveSeal derives what openSeal is going to need.
func (s seals) deriveSeal(ctx context.Context) error {
	if len(s.db.o.Key) == 0 {
		return nil
	}
	var header string
	err := s.db.attempt(ctx, s.db.patience(1), true, func(ctx context.Context, conn pooled) (err error) {
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
	case s.db.o.ReadOnly:
		return nil
	}
	_, err = s.freshSeal()
	return err
}

// openHeader opens a header with the key that fits.
func (s seals) openHeader(header string) (*state.Sealer, error) {
	s.db.derived.mu.Lock()
	defer s.db.derived.mu.Unlock()
	if s.db.derived.opened.sealer != nil && s.db.derived.opened.header == header {
		return s.db.derived.opened.sealer, nil
	}
	sealer, err := state.OpenSealerWith(header, state.PassphraseKeys(s.db.o.Key, s.db.o.FormerKeys...)...)
	if err == nil {
		s.db.derived.opened = seal{header, sealer}
	}
	return sealer, err
}

// freshSeal returns a new seal by this instance's key.
func (s seals) freshSeal() (seal, error) {
	s.db.derived.mu.Lock()
	defer s.db.derived.mu.Unlock()
	if s.db.derived.fresh.sealer == nil {
		sealer, header, err := state.NewSealer(state.PassphraseKey(s.db.o.Key))
		if err != nil {
			return seal{}, err
		}
		s.db.derived.fresh = seal{header, sealer}
	}
	return s.db.derived.fresh, nil
}

// newSeal makes a seal, unless another instance was first. The row of counters keeps
// other instances from storing secrets meanwhile.
func (s seals) newSeal(ctx context.Context, tx pgx.Tx, former string) (seal, error) {
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
func (s seals) followSeal(ctx context.Context, q querier) error {
	header, _, err := one[string](ctx, q, selectHeader)
	if err != nil || len(s.db.o.Key) == 0 || header == s.db.seal.Load().header {
		return err
	}
	sealer, err := s.openHeader(header)
	if err != nil {
		return ownError{fmt.Errorf("the secrets of the database were sealed with another key since this instance started: %w", err)}
	}
	s.db.seal.Store(&seal{header, sealer})
	return nil
}
