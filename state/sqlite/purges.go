package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// AddPurge implements state.Tx.
func (t *tx) AddPurge(p state.Purge) (id int64, err error) {
	err = t.do("noting a purge", func() error {
		id, err = addPurge(t.w, p)
		return err
	})
	return id, err
}

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
const purgeKeyRows = `INSERT OR IGNORE INTO purge_keys (bucket, cluster, key, etag)
	SELECT t.bucket, t.cluster, p.key, '' FROM pending p INDEXED BY pending_held JOIN purge_targets t ON t.bucket = ?1 AND t.cluster = p.cluster
	WHERE p.bucket = ?1 AND p.hold <> '' AND p.hold = 'conflict' AND t.pulled_only = 0
	UNION ALL
	SELECT t.bucket, t.cluster, p.key, p.etag FROM pulled p JOIN purge_targets t ON t.bucket = ?1 AND t.cluster = p.cluster
	WHERE p.bucket = ?1 AND p.key > '' AND t.pulled_only <> 0`

func addPurge(w *writer, p state.Purge) (int64, error) {
	if err := removePurge(w, p.Bucket); err != nil {
		return 0, err
	}
	id, _, err := one[int64](w, "INSERT INTO purges (bucket, mode, primary_cluster, since) VALUES (?, ?, ?, ?) RETURNING id",
		p.Bucket, string(p.Mode), p.Primary, stored.ToMillis(p.Since))
	if err != nil {
		return 0, err
	}
	for _, t := range p.Targets {
		if _, err := w.exec(`INSERT INTO purge_targets (bucket, cluster, is_primary, made_bucket, verified, owned_until, pulled_only, address, born) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.Bucket, t.Cluster, t.Primary, t.MadeBucket, t.Verified, stored.ToMillis(t.OwnedUntil), t.PulledOnly, t.At, stored.ToMillis(t.Born)); err != nil {
			return 0, err
		}
	}
	_, err = w.exec(purgeKeyRows, p.Bucket)
	return id, err
}

// removePurge removes a bucket's purge with all that belongs to it.
func removePurge(w *writer, bucket string) error {
	for _, text := range [...]string{
		"DELETE FROM purge_keys WHERE bucket = ?", "DELETE FROM purge_targets WHERE bucket = ?", "DELETE FROM purges WHERE bucket = ?",
	} {
		if _, err := w.exec(text, bucket); err != nil {
			return err
		}
	}
	return nil
}

func (s purges) Purges(ctx context.Context) ([]state.Purge, error) {
	const doing = "reading the purges under way"
	if err := s.db.reading(ctx); err != nil {
		return nil, s.db.wrap(doing, err)
	}
	all, err := collect(s.db.r, scanPurge, `SELECT p.id, p.bucket, p.mode, p.primary_cluster, p.since, coalesce(t.cluster, ''), coalesce(t.is_primary, 0),
			coalesce(t.made_bucket, 0), coalesce(t.verified, 0), coalesce(t.owned_until, 0), coalesce(t.pulled_only, 0), coalesce(t.address, 0), coalesce(t.born, 0)
		FROM purges p LEFT JOIN purge_targets t ON t.bucket = p.bucket`)
	if err != nil {
		return nil, s.db.wrap(doing, err)
	}
	return stored.MergePurges(all), nil
}

// scanPurge reads a purge with at most one target.
func scanPurge(rows *sql.Rows) (p state.Purge, err error) {
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

func (s purges) PurgeKeys(ctx context.Context, bucket string, after state.PurgeKey, limit int) ([]state.PurgeKey, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.PurgeKey
		if all, err = collect(s.db.r, scanPurgeKey, `SELECT cluster, key, etag FROM purge_keys WHERE bucket = ? AND (cluster, key) > (?, ?)
			ORDER BY cluster, key LIMIT ?`, bucket, after.Cluster, after.Key, noLimit(limit)); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("reading the keys of a purge", err)
}

func scanPurgeKey(rows *sql.Rows) (k state.PurgeKey, err error) {
	return k, rows.Scan(&k.Cluster, &k.Key, &k.ETag)
}

func (s purges) GetPurgeKey(ctx context.Context, bucket, cluster, key string) (state.PurgeKey, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.PurgeKey
		all, err = collect(s.db.r, scanPurgeKey, "SELECT cluster, key, etag FROM purge_keys WHERE bucket = ? AND cluster = ? AND key = ?", bucket, cluster, key)
		if err == nil && len(all) == 1 {
			return all[0], nil
		}
		if err == nil {
			err = fmt.Errorf("%q of bucket %s in %s: %w", key, bucket, cluster, state.ErrNotFound)
		}
	}
	return state.PurgeKey{}, s.db.wrap("reading a key of a purge", err)
}

func (s purges) PutPurgeKeys(ctx context.Context, bucket string, keys ...state.PurgeKey) error {
	return s.db.write(ctx, "noting keys of a purge", durable, func(w *writer) error {
		_, there, err := one[int64](w, "SELECT id FROM purges WHERE bucket = ?", bucket)
		if err == nil && !there {
			err = fmt.Errorf("purge of bucket %s: %w", bucket, state.ErrNotFound)
		}
		if err != nil {
			return err
		}
		for _, k := range keys {
			if _, err := w.exec(`INSERT INTO purge_keys (bucket, cluster, key, etag) VALUES (?1, ?2, ?3, ?4)
				ON CONFLICT (bucket, cluster, key) DO UPDATE SET etag = ?4`, bucket, k.Cluster, k.Key, k.ETag); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s purges) FinishPurgeTarget(ctx context.Context, bucket string, id int64, cluster string) error {
	return s.db.write(ctx, "finishing a part of a purge", progress, func(w *writer) error {
		if now, _, err := one[int64](w, "SELECT id FROM purges WHERE bucket = ?", bucket); err != nil || now != id {
			return err
		}
		for _, text := range [...]string{"DELETE FROM purge_keys WHERE bucket = ? AND cluster = ?", "DELETE FROM purge_targets WHERE bucket = ? AND cluster = ?"} {
			if _, err := w.exec(text, bucket, cluster); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s purges) FinishPurge(ctx context.Context, bucket string, id int64) (finished bool, err error) {
	err = s.db.write(ctx, "finishing a purge", progress, func(w *writer) error {
		now, _, err := one[int64](w, "SELECT id FROM purges WHERE bucket = ?", bucket)
		if finished = now == id; err != nil || !finished {
			return err
		}
		return removePurge(w, bucket)
	})
	return finished && err == nil, err
}
