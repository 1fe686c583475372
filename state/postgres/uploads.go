package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// uploads implements [state.Uploads].
type uploads struct{ db *core }

func (s uploads) PutUpload(ctx context.Context, u state.Upload) error {
	return s.db.read(ctx, "noting an upload", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, `INSERT INTO fado.uploads (bucket, key, cluster, token, started) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (bucket, key, cluster) DO UPDATE SET token = $4, started = $5`,
			u.Bucket, blob(u.Key), u.Cluster, u.Token, stored.ToMillis(u.Started))
		return err
	})
}

func (s uploads) GetUpload(ctx context.Context, bucket, key, cluster string) (u state.Upload, err error) {
	err = s.db.read(ctx, "reading an upload", func(ctx context.Context, q querier) error {
		all, err := collect(ctx, q, scanUpload, "SELECT bucket, key, cluster, token, started FROM fado.uploads WHERE bucket = $1 AND key = $2 AND cluster = $3", bucket, blob(key), cluster)
		if err == nil && len(all) == 0 {
			err = fmt.Errorf("upload of %s/%s to %s: %w", bucket, key, cluster, state.ErrNotFound)
		}
		if err == nil {
			u = all[0]
		}
		return err
	})
	return u, err
}

func (s uploads) DeleteUpload(ctx context.Context, bucket, key, cluster string) error {
	return s.db.read(ctx, "forgetting an upload", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, "DELETE FROM fado.uploads WHERE bucket = $1 AND key = $2 AND cluster = $3", bucket, blob(key), cluster)
		return err
	})
}

func (s uploads) EachUpload(ctx context.Context, f func(state.Upload) error) error {
	var after state.Upload
	return stored.Pages(func() (page []state.Upload, err error) {
		err = s.db.read(ctx, "reading uploads", func(ctx context.Context, q querier) (err error) {
			page, err = collect(ctx, q, scanUpload, `SELECT bucket, key, cluster, token, started FROM fado.uploads
				WHERE (bucket, key, cluster) > ($1, $2, $3) ORDER BY bucket, key, cluster LIMIT $4`,
				after.Bucket, blob(after.Key), after.Cluster, stored.PageRows)
			return err
		})
		return page, err
	}, func(u state.Upload) error {
		after = u
		return f(u)
	})
}

func scanUpload(rows pgx.Rows) (u state.Upload, err error) {
	var started int64
	err = rows.Scan(&u.Bucket, (*blob)(&u.Key), &u.Cluster, &u.Token, &started)
	u.Started = stored.FromMillis(started)
	return u, err
}
