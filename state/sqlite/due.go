package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/fado-project/fado/state/internal/stored"
)

// nextDue looks up the first row that may be claimed, of each cluster and class, and the
// claim that runs out first. SQLite does not skip from one cluster to the next by itself.
const nextDue = `WITH RECURSIVE at (cluster) AS (
		SELECT (SELECT cluster FROM pending INDEXED BY pending_queue_cluster WHERE hold = '' AND claimed_by = '' AND cluster >= '' ORDER BY cluster LIMIT 1)
		UNION ALL
		SELECT (SELECT cluster FROM pending INDEXED BY pending_queue_cluster WHERE hold = '' AND claimed_by = '' AND cluster > at.cluster ORDER BY cluster LIMIT 1)
		FROM at WHERE at.cluster IS NOT NULL)
	SELECT cluster, (SELECT due FROM pending INDEXED BY pending_queue_cluster WHERE hold = '' AND claimed_by = '' AND cluster = at.cluster AND background = 0 ORDER BY due LIMIT 1)
		FROM at WHERE cluster IS NOT NULL
	UNION ALL
	SELECT cluster, (SELECT due FROM pending INDEXED BY pending_queue_cluster WHERE hold = '' AND claimed_by = '' AND cluster = at.cluster AND background = 1 ORDER BY due LIMIT 1)
		FROM at WHERE cluster IS NOT NULL
	UNION ALL
	SELECT cluster, claim_until FROM pending INDEXED BY pending_claims WHERE claimed_by <> '' AND hold = ''`

func (s queue) NextDue(ctx context.Context) (map[string]time.Time, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []stored.Due
		if all, err = collect(s.db.r, func(rows *sql.Rows) (d stored.Due, err error) {
			return d, rows.Scan(&d.Cluster, &d.At)
		}, nextDue); err == nil {
			return stored.FirstDue(all), nil
		}
	}
	return nil, s.db.wrap("looking for what is due", err)
}
