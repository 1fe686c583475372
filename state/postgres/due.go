package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state/internal/stored"
)

// nextDue looks up the first row that may be claimed, of each cluster and class, and the
// claims. PostgreSQL does not skip from one cluster to the next by itself.
const nextDue = `WITH RECURSIVE at AS (
		(SELECT cluster FROM fado.pending WHERE hold = '' AND claimed_by = '' ORDER BY cluster LIMIT 1)
		UNION ALL
		SELECT (SELECT p.cluster FROM fado.pending p WHERE p.hold = '' AND p.claimed_by = '' AND p.cluster > at.cluster ORDER BY p.cluster LIMIT 1)
		FROM at WHERE at.cluster IS NOT NULL)
	SELECT at.cluster, (SELECT due FROM fado.pending p WHERE p.hold = '' AND p.claimed_by = '' AND p.cluster = at.cluster AND p.background = class.background
			ORDER BY due LIMIT 1)
		FROM at, (VALUES (false), (true)) AS class (background) WHERE at.cluster IS NOT NULL
	UNION ALL
	SELECT cluster, min(claim_until) FROM fado.pending WHERE claimed_by <> '' AND hold = '' GROUP BY cluster`

func (s queue) NextDue(ctx context.Context) (map[string]time.Time, error) {
	var all []stored.Due
	err := s.db.read(ctx, "looking for what is due", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, func(rows pgx.Rows) (d stored.Due, err error) {
			return d, rows.Scan(&d.Cluster, &d.At)
		}, nextDue)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored.FirstDue(all), nil
}
