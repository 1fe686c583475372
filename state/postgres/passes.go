package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const passColumns = "kind, sum, id, name, role, how, proof, created, used, until" //nolint:gosec // names of columns

// passes implements [state.Passes].
type passes struct{ db *core }

func (s passes) PutPass(ctx context.Context, p state.Pass) error {
	return s.db.lasting(ctx, "adding a pass of the console", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO fado.passes ("+passColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
			ON CONFLICT (sum) DO UPDATE SET kind = $1, id = $3, name = $4, role = $5, how = $6, proof = $7, created = $8, used = $9, until = $10`,
			string(p.Kind), p.Sum, p.ID, text(p.Name), p.Role, text(p.How), p.Proof, stored.ToMillis(p.Created), stored.ToMillis(p.Used), stored.ToMillis(p.Until))
		return err
	})
}

func (s passes) GetPass(ctx context.Context, sum string) (state.Pass, error) {
	var all []state.Pass
	err := s.db.read(ctx, "reading a pass of the console", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, scanPass, "SELECT "+passColumns+" FROM fado.passes WHERE sum = $1", sum)
		return err
	})
	return onePass(all, err)
}

func (s passes) TakePass(ctx context.Context, kind state.PassKind, sum string) (state.Pass, error) {
	var all []state.Pass
	err := s.db.lasting(ctx, "taking a pass of the console", func(ctx context.Context, tx pgx.Tx) (err error) {
		all, err = collect(ctx, tx, scanPass, "DELETE FROM fado.passes WHERE kind = $1 AND sum = $2 RETURNING "+passColumns, string(kind), sum)
		return err
	})
	return onePass(all, err)
}

// onePass is the one pass that was read, if there was one.
func onePass(all []state.Pass, err error) (state.Pass, error) {
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("pass of the console: %w", state.ErrNotFound)
	}
	if err != nil {
		return state.Pass{}, err
	}
	return all[0], nil
}

func (s passes) TouchPass(ctx context.Context, sum string, used time.Time) error {
	return s.db.read(ctx, "noting the use of a pass", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, "UPDATE fado.passes SET used = greatest(used, $2) WHERE sum = $1", sum, stored.ToMillis(used))
		return err
	})
}

func (s passes) DeletePass(ctx context.Context, kind state.PassKind, id string) (gone bool, err error) {
	err = s.db.lasting(ctx, "removing a pass of the console", func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM fado.passes WHERE kind = $1 AND id = $2", string(kind), id)
		gone = tag.RowsAffected() > 0
		return err
	})
	return gone && err == nil, err
}

func (s passes) ListPasses(ctx context.Context, kind state.PassKind) (all []state.Pass, err error) {
	err = s.db.read(ctx, "reading the passes of the console", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, scanPass, "SELECT "+passColumns+" FROM fado.passes WHERE $1 IN ('', kind) ORDER BY name, id", string(kind))
		return err
	})
	return all, err
}

func (s passes) ExpirePasses(ctx context.Context, now, idle time.Time) error {
	return s.db.read(ctx, "removing void passes", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, "DELETE FROM fado.passes WHERE until < $1 OR kind = $2 AND used < $3", stored.ToMillis(now), string(state.PassSession), stored.ToMillis(idle))
		return err
	})
}

func scanPass(rows pgx.Rows) (p state.Pass, err error) {
	var created, used, until int64
	err = rows.Scan((*string)(&p.Kind), &p.Sum, &p.ID, &p.Name, &p.Role, &p.How, &p.Proof, &created, &used, &until)
	p.Created, p.Used, p.Until = stored.FromMillis(created), stored.FromMillis(used), stored.FromMillis(until)
	return p, err
}
