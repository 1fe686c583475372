package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const recordColumns = `kind, name, rev, body, refs`

func scanRecord(rows pgx.Rows) (r state.Record, err error) {
	var refs string
	if err := rows.Scan((*string)(&r.Kind), &r.Name, (*int64)(&r.Rev), (*[]byte)(&r.Body), &refs); err != nil {
		return r, err
	}
	r.Refs = stored.DecodeRefs(refs)
	return r, nil
}

// records reads resources and opens their secrets. Where that fails, the key may have
// been rotated between one and the other, so they are read again: until they open, or do
// not with a key that stayed in force.
func (s *core) records(ctx context.Context, q querier, sql string, args ...any) ([]state.Record, error) {
	for same := 0; ; same++ {
		all, err := collect(ctx, q, scanRecord, sql, args...)
		if err != nil {
			return nil, err
		}
		header := s.seal.Load().header
		unsealed, err := s.unseal(all)
		if err == nil {
			return unsealed, nil
		}
		if same == 2 {
			return nil, ownError{err}
		}
		if err := (seals{s}).followSeal(ctx, q); err != nil {
			return nil, err
		}
		if s.seal.Load().header != header { // rotated since: what was read says nothing yet
			same = -1
		}
	}
}

func (s *core) unseal(all []state.Record) ([]state.Record, error) {
	sealer := s.seal.Load().sealer
	for i := range all {
		body, err := sealer.Open(all[i].Kind, all[i].Name, all[i].Body)
		if err != nil {
			return nil, err
		}
		all[i].Body = body
	}
	return all, nil
}
