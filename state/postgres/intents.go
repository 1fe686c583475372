package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// lasting runs f in a transaction that is on disk when it returns.
func (s *core) lasting(ctx context.Context, doing string, f func(ctx context.Context, tx pgx.Tx) error) error {
	if err := s.usable(ctx); err != nil {
		return s.wrap(ctx, doing, err)
	}
	return s.wrap(ctx, doing, s.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.durable(ctx, tx); err != nil {
			return err
		}
		return f(ctx, tx)
	}))
}

// decide writes what people asked for: durably, and those who wait are woken.
func (s *core) decide(ctx context.Context, doing string, queue func(b *pgx.Batch)) error {
	err := s.lasting(ctx, doing, func(ctx context.Context, tx pgx.Tx) error {
		var b pgx.Batch
		queue(&b)
		queueNews(&b)
		return tx.SendBatch(ctx, &b).Close()
	})
	if err == nil {
		s.watch.Wake()
	}
	return err
}

// queueNews tells everybody, those who miss the notification too. It comes last: the row
// is held until the commit.
func queueNews(b *pgx.Batch) {
	b.Queue("UPDATE fado.news SET version = version + 1")
	b.Queue("SELECT pg_notify('fado', 'news')")
}

// queueForgetting removes what people asked for about buckets that are gone. Their purges
// stay. Verifications come before their mismatches, as everywhere.
func queueForgetting(b *pgx.Batch, buckets []string) {
	for _, table := range [...]string{"verifications", "mismatches", "resolutions", "delete_allowances"} {
		b.Queue("DELETE FROM fado."+table+" WHERE bucket = ANY ($1)", buckets)
	}
}

// resolutions implements [state.Resolutions].
type resolutions struct{ db *core }

func (s resolutions) AddResolution(ctx context.Context, r state.Resolution) (id int64, err error) {
	err = s.db.decide(ctx, "noting how conflicts are resolved", func(b *pgx.Batch) {
		b.Queue(`INSERT INTO fado.resolutions (bucket, key, winner, discard, asked, after_key, resolved, refused)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
			r.Bucket, blob(r.Key), r.Winner, r.Discard, stored.ToMillis(r.Asked), blob(r.After), r.Resolved, r.Refused).
			QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
	})
	return id, err
}

func (s resolutions) Resolutions(ctx context.Context) (all []state.Resolution, err error) {
	err = s.db.read(ctx, "reading how conflicts are resolved", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, func(rows pgx.Rows) (r state.Resolution, err error) {
			var asked int64
			err = rows.Scan(&r.ID, &r.Bucket, (*blob)(&r.Key), &r.Winner, &r.Discard, &asked, (*blob)(&r.After), &r.Resolved, &r.Refused)
			r.Asked = stored.FromMillis(asked)
			return r, err
		}, "SELECT id, bucket, key, winner, discard, asked, after_key, resolved, refused FROM fado.resolutions ORDER BY id")
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (s resolutions) SaveResolution(ctx context.Context, r state.Resolution) (saved bool, err error) {
	err = s.db.read(ctx, "noting how far a resolution has come", func(ctx context.Context, q querier) error {
		tag, err := q.Exec(ctx, "UPDATE fado.resolutions SET after_key = $1, resolved = $2, refused = $3 WHERE id = $4", blob(r.After), r.Resolved, r.Refused, r.ID)
		saved = tag.RowsAffected() == 1
		return err
	})
	return saved && err == nil, err
}

func (s resolutions) DeleteResolution(ctx context.Context, id int64) error {
	return s.db.lasting(ctx, "removing a resolution", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM fado.resolutions WHERE id = $1", id)
		return err
	})
}

// allowances implements [state.Allowances].
type allowances struct{ db *core }

// AllowDeletes implements state.Allowances. Rows are written in order of their names, so
// that none waits for another in a circle.
func (s allowances) AllowDeletes(ctx context.Context, now time.Time, allowances ...state.DeleteAllowance) error {
	sorted := slices.Clone(allowances)
	slices.SortStableFunc(sorted, func(a, b state.DeleteAllowance) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Cluster, b.Cluster))
	})
	return s.db.decide(ctx, "allowing deletes", func(b *pgx.Batch) {
		for _, a := range sorted {
			b.Queue(`INSERT INTO fado.delete_allowances AS a (bucket, prefix, cluster, remains, until) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (bucket, prefix, cluster) DO UPDATE SET remains = CASE WHEN a.until > $6 THEN a.remains ELSE 0 END + $4, until = $5`,
				a.Bucket, blob(a.Prefix), a.Cluster, a.Left, stored.ToMillis(a.Until), stored.ToMillis(now))
		}
	})
}

func (s allowances) TakeDeletes(ctx context.Context, now time.Time, want state.DeleteAllowance) (taken int64, err error) {
	if want.Left <= 0 {
		return 0, nil
	}
	err = s.db.write(ctx, "counting allowed deletes", func(ctx context.Context, q querier) (err error) {
		taken, _, err = one[int64](ctx, q, `WITH found AS MATERIALIZED (
				SELECT bucket, prefix, cluster, least(remains, $4) AS taken FROM fado.delete_allowances
				WHERE bucket = $1 AND prefix = $2 AND cluster = $3 AND until > $6 AND remains > 0 FOR UPDATE)
			UPDATE fado.delete_allowances a SET remains = a.remains - found.taken, until = greatest(a.until, $5)
			FROM found WHERE a.bucket = found.bucket AND a.prefix = found.prefix AND a.cluster = found.cluster RETURNING found.taken`,
			want.Bucket, blob(want.Prefix), want.Cluster, want.Left, stored.ToMillis(want.Until), stored.ToMillis(now))
		return err
	})
	if err != nil {
		return 0, err
	}
	return taken, nil
}

func (s allowances) DeleteAllowances(ctx context.Context, bucket string) (all []state.DeleteAllowance, err error) {
	where, args := "", []any{}
	if bucket != "" {
		where, args = "WHERE bucket = $1 ", []any{bucket}
	}
	err = s.db.read(ctx, "reading allowed deletes", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, func(rows pgx.Rows) (a state.DeleteAllowance, err error) {
			var until int64
			err = rows.Scan(&a.Bucket, (*blob)(&a.Prefix), &a.Cluster, &a.Left, &until)
			a.Until = stored.FromMillis(until)
			return a, err
		}, "SELECT bucket, prefix, cluster, remains, until FROM fado.delete_allowances "+where+"ORDER BY bucket, prefix, cluster", args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// pauses implements [state.Pauses].
type pauses struct{ db *core }

func (s pauses) Paused(ctx context.Context) (on bool, err error) {
	err = s.db.read(ctx, "reading whether replication is paused", func(ctx context.Context, q querier) (err error) {
		on, _, err = one[bool](ctx, q, "SELECT paused FROM fado.engine")
		return err
	})
	return on, err
}

func (s pauses) SetPaused(ctx context.Context, on bool) error {
	return s.db.decide(ctx, "pausing or resuming replication", func(b *pgx.Batch) {
		b.Queue("UPDATE fado.engine SET paused = $1", on)
	})
}
