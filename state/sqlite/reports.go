package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// reports implements [state.Reports].
type reports struct{ db *core }

func (s reports) PutReport(ctx context.Context, name, body string) error {
	return s.db.write(ctx, "writing report "+name, progress, func(w *writer) error {
		_, err := w.exec("INSERT INTO reports (name, body, at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET body = ?2, at = ?3",
			name, body, stored.ToMillis(time.Now()))
		return err
	})
}

func (s reports) ListReports(ctx context.Context, prefix string) ([]state.Report, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Report
		if all, err = collect(s.db.r, func(rows *sql.Rows) (r state.Report, err error) {
			var at int64
			err = rows.Scan(&r.Name, &r.Body, &at)
			r.At = stored.FromMillis(at)
			return r, err
		}, "SELECT name, body, at FROM reports WHERE name >= ? AND name < ? ORDER BY name", prefix, stored.PrefixEnd(prefix)); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("reading reports", err)
}

func (s reports) DeleteReport(ctx context.Context, name string) error {
	return s.db.write(ctx, "removing report "+name, progress, func(w *writer) error {
		_, err := w.exec("DELETE FROM reports WHERE name = ?", name)
		return err
	})
}
