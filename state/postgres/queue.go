package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// notifyFreed tells that rows may be claimed.
const notifyFreed = "SELECT pg_notify('fado', 'freed')"

func (s queue) ReleaseClaims(ctx context.Context, node string) error {
	err := s.db.read(ctx, "releasing claims", func(ctx context.Context, q querier) error {
		var b pgx.Batch
		b.Queue("UPDATE fado.pending SET claimed_by = '', claim_until = 0 WHERE claimed_by <> '' AND claimed_by = $1", node)
		b.Queue(notifyFreed)
		return q.SendBatch(ctx, &b).Close()
	})
	if err == nil {
		s.db.watch.Wake()
	}
	return err
}

// RetryPending implements state.Queue. A row that is due earlier stays so.
func (s queue) RetryPending(ctx context.Context, f state.PendingFilter, now time.Time) (int, error) {
	f.Failed = true
	return s.touch(ctx, "retrying failed objects", "UPDATE fado.pending SET next_attempt = least(next_attempt, $1) WHERE ", f, now)
}

func (s queue) Unhold(ctx context.Context, f state.PendingFilter, now time.Time) (int, error) {
	return s.touch(ctx, "releasing held objects", "UPDATE fado.pending SET hold = '', next_attempt = $1 WHERE hold <> '' AND ", f, now)
}

// touch updates the rows that match, and wakes those who wait for them.
func (s queue) touch(ctx context.Context, doing, update string, f state.PendingFilter, now time.Time) (int, error) {
	where, args := whereOf(f, stored.ToMillis(now))
	var n int64
	if err := s.db.usable(ctx); err != nil {
		return 0, s.db.wrap(ctx, doing, err)
	}
	err := s.db.attempt(ctx, s.db.patience(clearing), false, func(ctx context.Context, conn pooled) error { // there may be millions
		var b pgx.Batch
		b.Queue("SELECT set_config('statement_timeout', $1, true)", millis(s.db.patience(clearing)))
		b.Queue(update+where, args...).Exec(func(tag pgconn.CommandTag) error {
			n = tag.RowsAffected()
			return nil
		})
		b.Queue(notifyFreed)
		return conn.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return 0, s.db.wrap(ctx, doing, err)
	}
	if n > 0 {
		s.db.watch.Wake()
	}
	return int(n), nil
}

// whereOf returns the condition of a filter, whose arguments follow those given. The
// terms about holds and failures are written as those of the partial indexes, which is
// what makes PostgreSQL use them.
func whereOf(f state.PendingFilter, args ...any) (string, []any) {
	terms := []string{"TRUE"}
	add := func(term string, arg ...any) {
		args = append(args, arg...)
		if len(arg) > 0 {
			term += fmt.Sprintf("$%d", len(args))
		}
		terms = append(terms, term)
	}
	if f.Bucket != "" {
		add("bucket = ", f.Bucket)
	}
	if f.Cluster != "" {
		add("cluster = ", f.Cluster)
	}
	if f.Hold != nil {
		if *f.Hold == state.HoldNone {
			add("hold = ''")
		} else {
			add("hold <> ''")
			add("hold = ", string(*f.Hold))
		}
	}
	if f.Failed {
		add("attempts > 0 AND hold = ''")
	}
	if f.Gone {
		add("gone <> ''")
	}
	return strings.Join(terms, " AND "), args
}

func (s queue) ListPending(ctx context.Context, f state.PendingFilter, after state.PendingKey, limit int) (all []state.Pending, err error) {
	where, args := whereOf(f, after.Bucket, blob(after.Key), after.Cluster, noLimit(limit))
	err = s.db.read(ctx, "listing pending objects", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, scanPending, "SELECT "+pendingColumns+" FROM fado.pending p WHERE "+where+
			" AND (bucket, key, cluster) > ($1, $2, $3) ORDER BY bucket, key, cluster LIMIT $4", args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// EachPending implements state.Queue. The order is that in which rows came up.
func (s queue) EachPending(ctx context.Context, f func(state.Pending) error) error {
	after := int64(0)
	return stored.Pages(func() (page []sortedRow, err error) {
		err = s.db.read(ctx, "reading pending objects", func(ctx context.Context, q querier) (err error) {
			page, err = collect(ctx, q, scanSorted, "SELECT "+pendingColumns+" FROM fado.pending p WHERE id > $1 ORDER BY id LIMIT $2", after, stored.PageRows)
			return err
		})
		return page, err
	}, func(r sortedRow) error {
		after = r.id
		return f(r.Pending)
	})
}

// backlogSums walks the causes of a copy from one to the next, so that it looks at no more rows
// than there are causes.
const backlogSums = `SELECT bucket, cluster, objects, bytes, held_deletes, conflicts, failing,
	coalesce((SELECT min(since) FROM fado.pending p WHERE p.bucket = b.bucket AND p.cluster = b.cluster), 0),
	CASE held_deletes WHEN 0 THEN 0 ELSE coalesce((SELECT min(since) FROM fado.pending p WHERE p.bucket = b.bucket AND p.cluster = b.cluster AND hold = 'deletes'), 0) END,
	CASE failing WHEN 0 THEN '' ELSE (
		WITH RECURSIVE oldest AS (
			(SELECT cause, since, error FROM fado.pending p
				WHERE p.bucket = b.bucket AND p.cluster = b.cluster AND attempts > 0 AND hold = '' ORDER BY cause, since LIMIT 1)
			UNION ALL
			SELECT next.* FROM oldest CROSS JOIN LATERAL (SELECT p.cause, p.since, p.error FROM fado.pending p
				WHERE p.bucket = b.bucket AND p.cluster = b.cluster AND attempts > 0 AND hold = '' AND p.cause > oldest.cause ORDER BY p.cause, p.since LIMIT 1) next)
		SELECT coalesce(json_agg(json_build_array(cause, since, error))::text, '') FROM oldest) END
	FROM (SELECT bucket, cluster, sum(objects)::bigint AS objects, sum(bytes)::bigint AS bytes, sum(held_deletes)::bigint AS held_deletes,
		sum(conflicts)::bigint AS conflicts, sum(failing)::bigint AS failing
		FROM fado.backlog %s GROUP BY bucket, cluster HAVING sum(objects) <> 0) b ORDER BY bucket, cluster`

func (s queue) Backlogs(ctx context.Context, buckets ...string) (all []state.Backlog, err error) {
	query, args := fmt.Sprintf(backlogSums, "WHERE bucket <> ''"), []any{}
	switch {
	case len(buckets) != 1:
		query, args = fmt.Sprintf(backlogSums, "WHERE bucket = ANY($1)"), []any{buckets}
	case buckets[0] != "":
		query, args = fmt.Sprintf(backlogSums, "WHERE bucket = $1"), []any{buckets[0]}
	}
	err = s.db.read(ctx, "summing pending objects", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, stored.ScanBacklog[pgx.Rows], query, args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (s queue) BacklogTotal(ctx context.Context) (total state.Backlog, err error) {
	err = s.db.read(ctx, "summing pending objects", func(ctx context.Context, q querier) error {
		all, err := collect(ctx, q, stored.ScanBacklog[pgx.Rows], backlogTotal)
		if err == nil && len(all) > 0 {
			total = all[0]
		}
		return err
	})
	return total, err
}

const backlogTotal = `SELECT '', '', sum(objects)::bigint, sum(bytes)::bigint, sum(held_deletes)::bigint, sum(conflicts)::bigint, sum(failing)::bigint,
	coalesce((SELECT min(since) FROM fado.pending), 0), 0, '' FROM fado.backlog WHERE bucket = '' AND cluster = '' HAVING sum(objects) <> 0`
