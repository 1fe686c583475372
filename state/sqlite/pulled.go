package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const pulledColumns = `id, bucket, key, cluster, size, etag, used_at, until`

// pulls implements [state.Pulls].
type pulls struct{ db *core }

func (s pulls) PutPulled(ctx context.Context, rows ...state.Pulled) error {
	return s.eachPulled(ctx, "noting objects copied on demand", rows, func(w *writer, p state.Pulled) error {
		_, err := w.exec(`INSERT INTO pulled (bucket, key, cluster, size, etag, used_at, until) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
			ON CONFLICT (bucket, key, cluster) DO UPDATE SET size = ?4, etag = ?5, used_at = ?6, until = ?7`,
			p.Bucket, p.Key, p.Cluster, p.Size, p.ETag, stored.ToMillis(p.UsedAt), stored.ToMillis(p.Until))
		return err
	})
}

func (s pulls) TouchPulled(ctx context.Context, rows ...state.Pulled) error {
	return s.eachPulled(ctx, "noting the use of objects copied on demand", rows, func(w *writer, p state.Pulled) error {
		_, err := w.exec(`UPDATE pulled SET used_at = max(used_at, ?4), until = max(until, ?5) WHERE bucket = ?1 AND key = ?2 AND cluster = ?3`,
			p.Bucket, p.Key, p.Cluster, stored.ToMillis(p.UsedAt), stored.ToMillis(p.Until))
		return err
	})
}

func (s pulls) eachPulled(ctx context.Context, doing string, rows []state.Pulled, f func(*writer, state.Pulled) error) error {
	if len(rows) == 0 {
		return nil
	}
	return s.db.write(ctx, doing, progress, func(w *writer) error {
		for _, p := range rows {
			if err := f(w, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s pulls) DeletePulled(ctx context.Context, rows ...state.PulledKey) error {
	if len(rows) == 0 {
		return nil
	}
	return s.db.write(ctx, "forgetting objects copied on demand", progress, func(w *writer) error {
		for _, k := range rows {
			if _, err := w.exec("DELETE FROM pulled WHERE bucket = ? AND key = ? AND cluster = ?", k.Bucket, k.Key, k.Cluster); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s pulls) ListPulled(ctx context.Context, f state.PulledFilter, limit int) ([]state.Pulled, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Pulled
		text, args := pulledQuery(f, limit)
		if all, err = collect(s.db.r, scanPulled, text, args...); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("listing objects copied on demand", err)
}

// pulledQuery names the index that holds what matches already in order, so that a page
// costs a page. Expired rows are few among those that are not, and are sorted.
func pulledQuery(f state.PulledFilter, limit int) (string, []any) {
	index := "pulled_used"
	terms := []string{"TRUE"}
	var args []any
	if f.Bucket != "" {
		index, terms, args = "pulled_used_bucket", append(terms, "bucket = ?"), append(args, f.Bucket)
	}
	if f.Cluster != "" {
		if f.Bucket == "" {
			index = "pulled_used_cluster"
		}
		terms, args = append(terms, "cluster = ?"), append(args, f.Cluster)
	}
	if !f.Expired.IsZero() {
		index, terms, args = "pulled_until", append(terms, "until <= ?"), append(args, stored.ToMillis(f.Expired))
	}
	return "SELECT " + pulledColumns + " FROM pulled INDEXED BY " + index + " WHERE " + strings.Join(terms, " AND ") +
		" ORDER BY used_at, id LIMIT ?", append(args, noLimit(limit))
}

func (s pulls) EachPulled(ctx context.Context, f func(state.Pulled) error) error {
	type row struct {
		state.Pulled
		id int64
	}
	after := int64(0)
	return stored.Pages(func() (page []row, err error) {
		if err = s.db.reading(ctx); err == nil {
			page, err = collect(s.db.r, func(rows *sql.Rows) (r row, err error) {
				r.Pulled, r.id, err = scanPulledID(rows)
				return r, err
			}, "SELECT "+pulledColumns+" FROM pulled WHERE id > ? ORDER BY id LIMIT ?", after, stored.PageRows)
		}
		return page, s.db.wrap("reading objects copied on demand", err)
	}, func(r row) error {
		after = r.id
		return f(r.Pulled)
	})
}

func (s pulls) PulledBytes(ctx context.Context) (map[string]int64, error) {
	return perCluster(ctx, s.db, "summing objects copied on demand", "SELECT cluster, bytes FROM pulled_sums")
}

func scanPulled(rows *sql.Rows) (state.Pulled, error) {
	p, _, err := scanPulledID(rows)
	return p, err
}

func scanPulledID(rows *sql.Rows) (p state.Pulled, id int64, err error) {
	var used, until int64
	err = rows.Scan(&id, &p.Bucket, &p.Key, &p.Cluster, &p.Size, &p.ETag, &used, &until)
	p.UsedAt, p.Until = stored.FromMillis(used), stored.FromMillis(until)
	return p, id, err
}
