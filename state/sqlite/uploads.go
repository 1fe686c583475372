package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// uploads implements [state.Uploads].
type uploads struct{ db *core }

func (s uploads) PutUpload(ctx context.Context, u state.Upload) error {
	return s.db.write(ctx, "noting an upload", progress, func(w *writer) error {
		_, err := w.exec(`INSERT INTO uploads (bucket, key, cluster, token, started) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT (bucket, key, cluster) DO UPDATE SET token = ?4, started = ?5`,
			u.Bucket, u.Key, u.Cluster, u.Token, stored.ToMillis(u.Started))
		return err
	})
}

func (s uploads) GetUpload(ctx context.Context, bucket, key, cluster string) (state.Upload, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Upload
		all, err = collect(s.db.r, scanUpload, "SELECT bucket, key, cluster, token, started FROM uploads WHERE bucket = ? AND key = ? AND cluster = ?", bucket, key, cluster)
		if len(all) == 1 && err == nil {
			return all[0], nil
		}
		if err == nil {
			err = fmt.Errorf("upload of %s/%s to %s: %w", bucket, key, cluster, state.ErrNotFound)
		}
	}
	return state.Upload{}, s.db.wrap("reading an upload", err)
}

func (s uploads) DeleteUpload(ctx context.Context, bucket, key, cluster string) error {
	return s.db.write(ctx, "forgetting an upload", progress, func(w *writer) error {
		_, err := w.exec("DELETE FROM uploads WHERE bucket = ? AND key = ? AND cluster = ?", bucket, key, cluster)
		return err
	})
}

func (s uploads) EachUpload(ctx context.Context, f func(state.Upload) error) error {
	var after state.Upload
	return stored.Pages(func() (page []state.Upload, err error) {
		if err = s.db.reading(ctx); err == nil {
			page, err = collect(s.db.r, scanUpload, `SELECT bucket, key, cluster, token, started FROM uploads
				WHERE (bucket, key, cluster) > (?, ?, ?) ORDER BY bucket, key, cluster LIMIT ?`,
				after.Bucket, after.Key, after.Cluster, stored.PageRows)
		}
		return page, s.db.wrap("reading uploads", err)
	}, func(u state.Upload) error {
		after = u
		return f(u)
	})
}

func scanUpload(rows *sql.Rows) (u state.Upload, err error) {
	var started int64
	err = rows.Scan(&u.Bucket, &u.Key, &u.Cluster, &u.Token, &started)
	u.Started = stored.FromMillis(started)
	return u, err
}
