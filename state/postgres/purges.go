package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// purges implements [state.Purges].
type purges struct{ db *core }

func (s purges) AddPurge(ctx context.Context, p state.Purge) (id int64, err error) {
	_, err = catalogue(s).Update(ctx, func(tx state.Tx) error {
		id, err = tx.AddPurge(p)
		return err
	})
	return id, err
}

// purgeKeyRows are the keys that a purge has to know of once the bucket's rows are gone.
const purgeKeyRows = `INSERT INTO fado.purge_keys (bucket, cluster, key, etag)
	SELECT t.bucket, t.cluster, p.key, '' FROM fado.pending p JOIN fado.purge_targets t ON t.bucket = p.bucket AND t.cluster = p.cluster
	WHERE p.bucket = $1 AND p.hold <> '' AND p.hold = 'conflict' AND NOT t.pulled_only
	UNION ALL
	SELECT t.bucket, t.cluster, p.key, p.etag FROM fado.pulled p JOIN fado.purge_targets t ON t.bucket = p.bucket AND t.cluster = p.cluster
	WHERE p.bucket = $1 AND p.key <> '' AND t.pulled_only
	ON CONFLICT DO NOTHING`

// AddPurge implements state.Tx. The bucket's rows are there until finish.
func (t *tx) AddPurge(p state.Purge) (id int64, err error) {
	err = t.do("noting a purge", func() error {
		if err := t.flush(); err != nil {
			return err
		}
		queueRemoval(&t.batch, p.Bucket)
		t.batch.Queue("INSERT INTO fado.purges (bucket, mode, primary_cluster, since) VALUES ($1, $2, $3, $4) RETURNING id",
			p.Bucket, string(p.Mode), p.Primary, stored.ToMillis(p.Since)).QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
		for _, g := range p.Targets {
			t.batch.Queue(`INSERT INTO fado.purge_targets (bucket, cluster, is_primary, made_bucket, verified, owned_until, pulled_only, address, born)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
				p.Bucket, g.Cluster, g.Primary, g.MadeBucket, g.Verified, stored.ToMillis(g.OwnedUntil), g.PulledOnly, g.At, stored.ToMillis(g.Born))
		}
		t.batch.Queue(purgeKeyRows, p.Bucket)
		return t.flush()
	})
	return id, err
}

// queueRemoval removes a bucket's purge with all that belongs to it.
func queueRemoval(b *pgx.Batch, bucket string) {
	for _, table := range [...]string{"purges", "purge_targets", "purge_keys"} {
		b.Queue("DELETE FROM fado."+table+" WHERE bucket = $1", bucket)
	}
}

func (s purges) Purges(ctx context.Context) (all []state.Purge, err error) {
	err = s.db.read(ctx, "reading the purges under way", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, scanPurge, `SELECT p.id, p.bucket, p.mode, p.primary_cluster, p.since, coalesce(t.cluster, ''), coalesce(t.is_primary, false),
				coalesce(t.made_bucket, false), coalesce(t.verified, false), coalesce(t.owned_until, 0), coalesce(t.pulled_only, false), coalesce(t.address, 0), coalesce(t.born, 0)
			FROM fado.purges p LEFT JOIN fado.purge_targets t ON t.bucket = p.bucket`)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored.MergePurges(all), nil
}

// scanPurge reads a purge with at most one target.
func scanPurge(rows pgx.Rows) (p state.Purge, err error) {
	var t state.PurgeTarget
	var since, owned, born int64
	err = rows.Scan(&p.ID, &p.Bucket, (*string)(&p.Mode), &p.Primary, &since,
		&t.Cluster, &t.Primary, &t.MadeBucket, &t.Verified, &owned, &t.PulledOnly, &t.At, &born)
	p.Since, t.OwnedUntil, t.Born = stored.FromMillis(since), stored.FromMillis(owned), stored.FromMillis(born)
	if t.Cluster != "" {
		p.Targets = []state.PurgeTarget{t}
	}
	return p, err
}

func (s purges) PurgeKeys(ctx context.Context, bucket string, after state.PurgeKey, limit int) (all []state.PurgeKey, err error) {
	err = s.db.read(ctx, "reading the keys of a purge", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, scanPurgeKey, `SELECT cluster, key, etag FROM fado.purge_keys WHERE bucket = $1 AND (cluster, key) > ($2, $3)
			ORDER BY cluster, key LIMIT $4`, bucket, after.Cluster, blob(after.Key), noLimit(limit))
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func scanPurgeKey(rows pgx.Rows) (k state.PurgeKey, err error) {
	return k, rows.Scan(&k.Cluster, (*blob)(&k.Key), &k.ETag)
}

func (s purges) GetPurgeKey(ctx context.Context, bucket, cluster, key string) (k state.PurgeKey, err error) {
	err = s.db.read(ctx, "reading a key of a purge", func(ctx context.Context, q querier) error {
		all, err := collect(ctx, q, scanPurgeKey, "SELECT cluster, key, etag FROM fado.purge_keys WHERE bucket = $1 AND cluster = $2 AND key = $3", bucket, cluster, blob(key))
		if err == nil && len(all) == 0 {
			return fmt.Errorf("%q of bucket %s in %s: %w", key, bucket, cluster, state.ErrNotFound)
		}
		if err == nil {
			k = all[0]
		}
		return err
	})
	return k, err
}

// PutPurgeKeys implements state.Purges. The purge's row keeps it from being finished
// meanwhile.
func (s purges) PutPurgeKeys(ctx context.Context, bucket string, keys ...state.PurgeKey) error {
	last := make(map[[2]string]string, len(keys)) // of a key given twice the later counts
	for _, k := range keys {
		last[[2]string{k.Cluster, k.Key}] = k.ETag
	}
	var clusters, etags []string
	var names []blob
	for k, etag := range last {
		clusters, names, etags = append(clusters, k[0]), append(names, blob(k[1])), append(etags, etag)
	}
	return s.db.lasting(ctx, "noting keys of a purge", func(ctx context.Context, tx pgx.Tx) error {
		_, there, err := one[int64](ctx, tx, "SELECT id FROM fado.purges WHERE bucket = $1 FOR SHARE", bucket)
		if err == nil && !there {
			err = fmt.Errorf("purge of bucket %s: %w", bucket, state.ErrNotFound)
		}
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO fado.purge_keys (bucket, cluster, key, etag)
				SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::text[])
				ON CONFLICT (bucket, cluster, key) DO UPDATE SET etag = excluded.etag`, bucket, clusters, names, etags)
		}
		return err
	})
}

func (s purges) FinishPurgeTarget(ctx context.Context, bucket string, id int64, cluster string) error {
	const doing = "finishing a part of a purge"
	if err := s.db.usable(ctx); err != nil {
		return s.db.wrap(ctx, doing, err)
	}
	return s.db.wrap(ctx, doing, s.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, there, err := one[int64](ctx, tx, "SELECT id FROM fado.purges WHERE bucket = $1 AND id = $2 FOR SHARE", bucket, id)
		if err != nil || !there {
			return err
		}
		var b pgx.Batch
		for _, table := range [...]string{"purge_targets", "purge_keys"} {
			b.Queue("DELETE FROM fado."+table+" WHERE bucket = $1 AND cluster = $2", bucket, cluster)
		}
		return tx.SendBatch(ctx, &b).Close()
	}))
}

func (s purges) FinishPurge(ctx context.Context, bucket string, id int64) (finished bool, err error) {
	const doing = "finishing a purge"
	if err := s.db.usable(ctx); err != nil {
		return false, s.db.wrap(ctx, doing, err)
	}
	err = s.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM fado.purges WHERE bucket = $1 AND id = $2", bucket, id)
		if finished = tag.RowsAffected() == 1; err != nil || !finished {
			return err
		}
		var b pgx.Batch
		queueRemoval(&b, bucket)
		return tx.SendBatch(ctx, &b).Close()
	})
	return finished && err == nil, s.db.wrap(ctx, doing, err)
}
