package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// decide writes what people asked for: durably, and those who wait are woken.
func (s *core) decide(ctx context.Context, doing string, f func(w *writer) error) error {
	err := s.write(ctx, doing, durable, f)
	if err == nil {
		s.watch.Wake()
	}
	return err
}

// removeIntents removes what people asked for about a bucket that is gone. Its purge
// stays.
func removeIntents(w *writer, bucket string) error {
	for _, text := range [...]string{
		"DELETE FROM mismatches WHERE bucket = ?", "DELETE FROM verifications WHERE bucket = ?",
		"DELETE FROM resolutions WHERE bucket = ?", "DELETE FROM delete_allowances WHERE bucket = ?",
	} {
		if _, err := w.exec(text, bucket); err != nil {
			return err
		}
	}
	return nil
}

// resolutions implements [state.Resolutions].
type resolutions struct{ db *core }

func (s resolutions) AddResolution(ctx context.Context, r state.Resolution) (id int64, err error) {
	err = s.db.decide(ctx, "noting how conflicts are resolved", func(w *writer) error {
		id, _, err = one[int64](w, `INSERT INTO resolutions (bucket, key, winner, discard, asked, after_key, resolved, refused)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			r.Bucket, r.Key, r.Winner, r.Discard, stored.ToMillis(r.Asked), r.After, r.Resolved, r.Refused)
		return err
	})
	return id, err
}

func (s resolutions) Resolutions(ctx context.Context) ([]state.Resolution, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Resolution
		if all, err = collect(s.db.r, func(rows *sql.Rows) (r state.Resolution, err error) {
			var asked int64
			err = rows.Scan(&r.ID, &r.Bucket, &r.Key, &r.Winner, &r.Discard, &asked, &r.After, &r.Resolved, &r.Refused)
			r.Asked = stored.FromMillis(asked)
			return r, err
		}, "SELECT id, bucket, key, winner, discard, asked, after_key, resolved, refused FROM resolutions ORDER BY id"); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("reading how conflicts are resolved", err)
}

func (s resolutions) SaveResolution(ctx context.Context, r state.Resolution) (saved bool, err error) {
	err = s.db.write(ctx, "noting how far a resolution has come", progress, func(w *writer) error {
		n, err := w.exec("UPDATE resolutions SET after_key = ?, resolved = ?, refused = ? WHERE id = ?", r.After, r.Resolved, r.Refused, r.ID)
		saved = n > 0
		return err
	})
	return saved && err == nil, err
}

func (s resolutions) DeleteResolution(ctx context.Context, id int64) error {
	return s.db.write(ctx, "removing a resolution", durable, func(w *writer) error {
		_, err := w.exec("DELETE FROM resolutions WHERE id = ?", id)
		return err
	})
}

// allowances implements [state.Allowances].
type allowances struct{ db *core }

func (s allowances) AllowDeletes(ctx context.Context, now time.Time, allowances ...state.DeleteAllowance) error {
	return s.db.decide(ctx, "allowing deletes", func(w *writer) error {
		for _, a := range allowances {
			if _, err := w.exec(`INSERT INTO delete_allowances (bucket, prefix, cluster, remains, until) VALUES (?1, ?2, ?3, ?4, ?5)
				ON CONFLICT (bucket, prefix, cluster) DO UPDATE SET remains = CASE WHEN until > ?6 THEN remains ELSE 0 END + ?4, until = ?5`,
				a.Bucket, a.Prefix, a.Cluster, a.Left, stored.ToMillis(a.Until), stored.ToMillis(now)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s allowances) TakeDeletes(ctx context.Context, now time.Time, want state.DeleteAllowance) (taken int64, err error) {
	err = s.db.write(ctx, "counting allowed deletes", progress, func(w *writer) error {
		left, _, err := one[int64](w, "SELECT remains FROM delete_allowances WHERE bucket = ? AND prefix = ? AND cluster = ? AND until > ?",
			want.Bucket, want.Prefix, want.Cluster, stored.ToMillis(now))
		if taken = max(0, min(left, want.Left)); err != nil || taken == 0 {
			return err
		}
		_, err = w.exec("UPDATE delete_allowances SET remains = remains - ?, until = max(until, ?) WHERE bucket = ? AND prefix = ? AND cluster = ?",
			taken, stored.ToMillis(want.Until), want.Bucket, want.Prefix, want.Cluster)
		return err
	})
	if err != nil {
		return 0, err
	}
	return taken, nil
}

func (s allowances) DeleteAllowances(ctx context.Context, bucket string) ([]state.DeleteAllowance, error) {
	text, args := "SELECT bucket, prefix, cluster, remains, until FROM delete_allowances ORDER BY bucket, prefix, cluster", []any{}
	if bucket != "" {
		text, args = "SELECT bucket, prefix, cluster, remains, until FROM delete_allowances WHERE bucket = ? ORDER BY prefix, cluster", []any{bucket}
	}
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.DeleteAllowance
		if all, err = collect(s.db.r, func(rows *sql.Rows) (a state.DeleteAllowance, err error) {
			var until int64
			err = rows.Scan(&a.Bucket, &a.Prefix, &a.Cluster, &a.Left, &until)
			a.Until = stored.FromMillis(until)
			return a, err
		}, text, args...); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("reading allowed deletes", err)
}

// pauses implements [state.Pauses].
type pauses struct{ db *core }

func (s pauses) Paused(ctx context.Context) (on bool, err error) {
	if err = s.db.reading(ctx); err == nil {
		on, _, err = one[bool](s.db.r, "SELECT paused <> 0 FROM engine")
	}
	return on, s.db.wrap("reading whether replication is paused", err)
}

func (s pauses) SetPaused(ctx context.Context, on bool) error {
	return s.db.decide(ctx, "pausing or resuming replication", func(w *writer) error {
		_, err := w.exec("UPDATE engine SET paused = ?", on)
		return err
	})
}
