package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/fado-project/fado/state"
)

// openSealer returns the sealer for the configured key or, without one, for the key
// file. A store without sealed secrets takes any key; one with them only its own.
func (s *core) openSealer(ctx context.Context, o Options) (*state.Sealer, error) {
	header, sealed, err := readSeal(s.w)
	if err != nil {
		return nil, err
	}
	if err := s.finishRotation(header); err != nil {
		return nil, err
	}
	keys, err := sealingKeys(s.keyFile(), o, sealed)
	if err != nil {
		return nil, err
	}
	if header != "" {
		sealer, err := state.OpenSealerWith(header, keys...)
		if err == nil || sealed || !errors.Is(err, state.ErrNoKey) {
			return sealer, err
		}
	}
	sealer, header, err := state.NewSealer(keys[0])
	if err != nil {
		return nil, err
	}
	return sealer, s.w.transact(ctx, durable, func(w *writer) error { return putSealHeader(w, header) })
}

// openSealerReadOnly is openSealer for a store that is not to be changed: it makes no
// key. Without sealed secrets, no key is needed.
func (s *core) openSealerReadOnly(o Options) (*state.Sealer, error) {
	header, sealed, err := readSeal(s.r)
	if err != nil || !sealed {
		return nil, err
	}
	if key, err := state.ReadKeyFile(s.keyFile() + newKeySuffix); err == nil && len(o.Key) == 0 {
		if sealer, err := state.OpenSealer(key, header); err == nil {
			return sealer, nil // a rotation was interrupted before it had put the file in place
		}
	}
	keys, err := sealingKeys(s.keyFile(), o, true)
	if err != nil {
		return nil, err
	}
	return state.OpenSealerWith(header, keys...)
}

// keyFile is where the key lies when none is configured.
func (s *core) keyFile() string { return KeyFile(s.path) }

// readSeal reads the seal's header and says whether there is any sealed secret.
func readSeal(q querier) (header string, sealed bool, err error) {
	if header, _, err = one[string](q, "SELECT header FROM seal"); err != nil {
		return "", false, err
	}
	sealed, err = hasSealed(q)
	return header, sealed, err
}

func putSealHeader(w *writer, header string) error {
	_, err := w.exec("INSERT INTO seal (id, header) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET header = excluded.header", header)
	return err
}

// sealingKeys finds the keys, the one to make a new seal with first. A key file is only
// made where no secret needs the former.
func sealingKeys(keyFile string, o Options, sealed bool) ([]state.Key, error) {
	if len(o.Key) > 0 {
		return state.PassphraseKeys(o.Key, o.FormerKeys...), nil
	}
	key, err := state.ReadKeyFile(keyFile)
	if errors.Is(err, fs.ErrNotExist) && sealed {
		err = fmt.Errorf("key file %s is missing and no encryption_key is configured: put the one back that the secrets were sealed with: %w", keyFile, state.ErrNoKey)
	} else if errors.Is(err, fs.ErrNotExist) {
		key, err = state.CreateKeyFile(keyFile)
	}
	return []state.Key{key}, err
}

// hasSealed says whether any stored resource holds a sealed secret.
func hasSealed(q querier) (bool, error) {
	bodies, err := collect(q, func(rows *sql.Rows) (rec state.Record, err error) {
		return rec, rows.Scan((*string)(&rec.Kind), (*[]byte)(&rec.Body))
	}, "SELECT kind, body FROM resources WHERE kind IN ('cluster', 'key')")
	if err != nil {
		return false, err
	}
	for _, rec := range bodies {
		if found, err := state.HasSealed(rec.Kind, rec.Body); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// KeyFile names the file with the key that seals the secrets of the store at a path where no
// encryption_key is configured.
func KeyFile(path string) string { return path + ".key" }
