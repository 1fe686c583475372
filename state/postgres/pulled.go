package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const pulledColumns = `id, bucket, key, cluster, size, etag, used_at, until`

// pulledArrays holds rows column by column, for unnest, in the order of their keys.
type pulledArrays struct {
	bucket, cluster, etag []string
	key                   []blob
	size, used, until     []int64
}

// pulledColumnsOf gives one row per place, as merge makes of those given twice.
func pulledColumnsOf(rows []state.Pulled, merge func(old, p state.Pulled) state.Pulled) (a pulledArrays) {
	sum := make(map[state.PulledKey]state.Pulled, len(rows))
	for _, p := range rows {
		k := state.PulledKey{Bucket: p.Bucket, Key: p.Key, Cluster: p.Cluster}
		if old, twice := sum[k]; twice {
			p = merge(old, p)
		}
		sum[k] = p
	}
	keys := make([]state.PulledKey, 0, len(sum))
	for k := range sum {
		keys = append(keys, k)
	}
	for _, k := range sortedPulled(keys) {
		p := sum[k]
		a.bucket, a.key, a.cluster = append(a.bucket, k.Bucket), append(a.key, blob(k.Key)), append(a.cluster, k.Cluster)
		a.size, a.etag = append(a.size, p.Size), append(a.etag, p.ETag)
		a.used, a.until = append(a.used, stored.ToMillis(p.UsedAt)), append(a.until, stored.ToMillis(p.Until))
	}
	return a
}

func sortedPulled(keys []state.PulledKey) []state.PulledKey {
	slices.SortFunc(keys, func(a, b state.PulledKey) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Cluster, b.Cluster))
	})
	return slices.Compact(keys)
}

// pulls implements [state.Pulls].
type pulls struct{ db *core }

func (s pulls) PutPulled(ctx context.Context, rows ...state.Pulled) error {
	if len(rows) == 0 {
		return nil
	}
	a := pulledColumnsOf(rows, func(_, p state.Pulled) state.Pulled { return p })
	err := s.db.read(ctx, "noting objects copied on demand", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, `INSERT INTO fado.pulled (bucket, key, cluster, size, etag, used_at, until)
			SELECT n.bucket, n.key, n.cluster, n.size, n.etag, n.used_at, n.until
			FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
				WITH ORDINALITY AS n (bucket, key, cluster, size, etag, used_at, until, ord) ORDER BY n.ord
			ON CONFLICT (bucket, key, cluster) DO UPDATE SET size = excluded.size, etag = excluded.etag, used_at = excluded.used_at, until = excluded.until`,
			a.bucket, a.key, a.cluster, a.size, a.etag, a.used, a.until)
		if err != nil {
			return err
		}
		return flush(ctx, q.(pooled).Conn())
	})
	if err == nil {
		s.db.watch.Wake()
	}
	return err
}

// namedPulled locks the rows named, in order.
const namedPulled = `WITH named AS MATERIALIZED (
		SELECT p.id, n.* FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[]) WITH ORDINALITY AS n (bucket, key, cluster, used_at, until, ord)
		JOIN fado.pulled p ON p.bucket = n.bucket AND p.key = n.key AND p.cluster = n.cluster
		ORDER BY n.ord FOR UPDATE OF p) `

func (s pulls) TouchPulled(ctx context.Context, rows ...state.Pulled) error {
	if len(rows) == 0 {
		return nil
	}
	a := pulledColumnsOf(rows, func(old, p state.Pulled) state.Pulled {
		if old.UsedAt.After(p.UsedAt) {
			p.UsedAt = old.UsedAt
		}
		if old.Until.After(p.Until) {
			p.Until = old.Until
		}
		return p
	})
	return s.db.read(ctx, "noting the use of objects copied on demand", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, namedPulled+`UPDATE fado.pulled p SET used_at = greatest(p.used_at, named.used_at), until = greatest(p.until, named.until)
			FROM named WHERE p.id = named.id`, a.bucket, a.key, a.cluster, a.used, a.until)
		return err
	})
}

func (s pulls) DeletePulled(ctx context.Context, rows ...state.PulledKey) error {
	for part := range slices.Chunk(sortedPulled(slices.Clone(rows)), finishRows) {
		var a pulledArrays
		for _, k := range part {
			a.bucket, a.key, a.cluster = append(a.bucket, k.Bucket), append(a.key, blob(k.Key)), append(a.cluster, k.Cluster)
			a.used, a.until = append(a.used, 0), append(a.until, 0)
		}
		err := s.db.read(ctx, "forgetting objects copied on demand", func(ctx context.Context, q querier) error {
			_, err := q.Exec(ctx, namedPulled+"DELETE FROM fado.pulled p USING named WHERE p.id = named.id", a.bucket, a.key, a.cluster, a.used, a.until)
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(rows) == 0 {
		return nil
	}
	s.db.watch.Wake()
	return nil
}

func (s pulls) ListPulled(ctx context.Context, f state.PulledFilter, limit int) (all []state.Pulled, err error) {
	where, args := "TRUE", []any{noLimit(limit)}
	add := func(term string, arg any) {
		args = append(args, arg)
		where += fmt.Sprintf(" AND %s $%d", term, len(args))
	}
	if f.Bucket != "" {
		add("bucket =", f.Bucket)
	}
	if f.Cluster != "" {
		add("cluster =", f.Cluster)
	}
	if !f.Expired.IsZero() {
		add("until <=", stored.ToMillis(f.Expired))
	}
	err = s.db.read(ctx, "listing objects copied on demand", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, scanPulled, "SELECT "+pulledColumns+" FROM fado.pulled WHERE "+where+" ORDER BY used_at, id LIMIT $1", args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (s pulls) EachPulled(ctx context.Context, f func(state.Pulled) error) error {
	type row struct {
		state.Pulled
		id int64
	}
	after := int64(0)
	return stored.Pages(func() (page []row, err error) {
		err = s.db.read(ctx, "reading objects copied on demand", func(ctx context.Context, q querier) (err error) {
			page, err = collect(ctx, q, func(rows pgx.Rows) (r row, err error) {
				r.Pulled, r.id, err = scanPulledID(rows)
				return r, err
			}, "SELECT "+pulledColumns+" FROM fado.pulled WHERE id > $1 ORDER BY id LIMIT $2", after, stored.PageRows)
			return err
		})
		return page, err
	}, func(r row) error {
		after = r.id
		return f(r.Pulled)
	})
}

func (s pulls) PulledBytes(ctx context.Context) (map[string]int64, error) {
	return perCluster(ctx, s.db, "summing objects copied on demand",
		"SELECT cluster, sum(bytes)::bigint FROM fado.pulled_sums GROUP BY cluster HAVING sum(objects) <> 0")
}

func scanPulled(rows pgx.Rows) (state.Pulled, error) {
	p, _, err := scanPulledID(rows)
	return p, err
}

func scanPulledID(rows pgx.Rows) (p state.Pulled, id int64, err error) {
	var used, until int64
	err = rows.Scan(&id, &p.Bucket, (*blob)(&p.Key), &p.Cluster, &p.Size, &p.ETag, &used, &until)
	p.UsedAt, p.Until = stored.FromMillis(used), stored.FromMillis(until)
	return p, id, err
}
