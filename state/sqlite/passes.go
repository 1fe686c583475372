package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const passColumns = "kind, sum, id, name, role, how, proof, created, used, until" //nolint:gosec // names of columns

// passes implements [state.Passes].
type passes struct{ db *core }

func (s passes) PutPass(ctx context.Context, p state.Pass) error {
	return s.db.write(ctx, "adding a pass of the console", durable, func(w *writer) error {
		_, err := w.exec("INSERT OR REPLACE INTO passes ("+passColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			string(p.Kind), p.Sum, p.ID, p.Name, p.Role, p.How, p.Proof, stored.ToMillis(p.Created), stored.ToMillis(p.Used), stored.ToMillis(p.Until))
		return err
	})
}

func (s passes) GetPass(ctx context.Context, sum string) (p state.Pass, err error) {
	const doing = "reading a pass of the console"
	if err := s.db.reading(ctx); err != nil {
		return p, s.db.wrap(doing, err)
	}
	all, err := collect(s.db.r, scanPass, "SELECT "+passColumns+" FROM passes WHERE sum = ?", sum)
	return onePass(all, s.db.wrap(doing, err))
}

func (s passes) TakePass(ctx context.Context, kind state.PassKind, sum string) (p state.Pass, err error) {
	var all []state.Pass
	err = s.db.write(ctx, "taking a pass of the console", durable, func(w *writer) (err error) {
		all, err = collect(w, scanPass, "DELETE FROM passes WHERE kind = ? AND sum = ? RETURNING "+passColumns, string(kind), sum)
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
	return s.db.write(ctx, "noting the use of a pass", progress, func(w *writer) error {
		_, err := w.exec("UPDATE passes SET used = max(used, ?) WHERE sum = ?", stored.ToMillis(used), sum)
		return err
	})
}

func (s passes) DeletePass(ctx context.Context, kind state.PassKind, id string) (gone bool, err error) {
	err = s.db.write(ctx, "removing a pass of the console", durable, func(w *writer) error {
		n, err := w.exec("DELETE FROM passes WHERE kind = ? AND id = ?", string(kind), id)
		gone = n > 0
		return err
	})
	return gone && err == nil, err
}

func (s passes) ListPasses(ctx context.Context, kind state.PassKind) (all []state.Pass, err error) {
	if err = s.db.reading(ctx); err == nil {
		all, err = collect(s.db.r, scanPass, "SELECT "+passColumns+" FROM passes WHERE ?1 IN ('', kind) ORDER BY name, id", string(kind))
	}
	return all, s.db.wrap("reading the passes of the console", err)
}

func (s passes) ExpirePasses(ctx context.Context, now, idle time.Time) error {
	return s.db.write(ctx, "removing void passes", progress, func(w *writer) error {
		_, err := w.exec("DELETE FROM passes WHERE until < ? OR kind = ? AND used < ?", stored.ToMillis(now), string(state.PassSession), stored.ToMillis(idle))
		return err
	})
}

func scanPass(rows *sql.Rows) (p state.Pass, err error) {
	var created, used, until int64
	err = rows.Scan((*string)(&p.Kind), &p.Sum, &p.ID, &p.Name, &p.Role, &p.How, &p.Proof, &created, &used, &until)
	p.Created, p.Used, p.Until = stored.FromMillis(created), stored.FromMillis(used), stored.FromMillis(until)
	return p, err
}
