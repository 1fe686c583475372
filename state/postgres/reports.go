package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// reports implements [state.Reports].
type reports struct{ db *core }

func (s reports) PutReport(ctx context.Context, name, body string) error {
	return s.db.read(ctx, "writing report "+name, func(ctx context.Context, q querier) error {
		var b pgx.Batch
		b.Queue(`INSERT INTO fado.reports (name, body, at) VALUES ($1, $2, extract(epoch FROM clock_timestamp()) * 1000)
			ON CONFLICT (name) DO UPDATE SET body = excluded.body, at = excluded.at`, name, body)
		b.Queue("SELECT pg_notify('fado', $1)", noteReports)
		return q.SendBatch(ctx, &b).Close()
	})
}

func (s reports) ListReports(ctx context.Context, prefix string) (all []state.Report, err error) {
	err = s.db.read(ctx, "reading reports", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, func(rows pgx.Rows) (r state.Report, err error) {
			var at int64
			err = rows.Scan(&r.Name, &r.Body, &at)
			r.At = stored.FromMillis(at)
			return r, err
		}, "SELECT name, body, at FROM fado.reports WHERE name ^@ $1 ORDER BY name", prefix)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (s reports) DeleteReport(ctx context.Context, name string) error {
	return s.db.read(ctx, "removing report "+name, func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, "DELETE FROM fado.reports WHERE name = $1", name)
		return err
	})
}
