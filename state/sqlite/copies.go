package sqlite

import (
	"context"
	"database/sql"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const copyColumns = `bucket, prefix, cluster, state, flags, cursor, objects, bytes, error, verified_at, scan_cursor, owned_until, drain_since, address, born`

// Copies implements state.Tx.
func (t *tx) Copies(bucket string) (all []state.Copy, err error) {
	err = t.do("reading copies", func() error {
		all, err = copiesOf(t.w, bucket)
		return err
	})
	return all, err
}

// PutCopy implements state.Tx.
func (t *tx) PutCopy(c state.Copy) error {
	return t.do("writing a copy", func() error {
		_, err := t.w.exec(`INSERT INTO copies (`+copyColumns+`) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
			ON CONFLICT (bucket, prefix, cluster) DO UPDATE SET state = ?4, flags = ?5, cursor = ?6, objects = ?7, bytes = ?8,
			error = ?9, verified_at = ?10, scan_cursor = ?11, owned_until = ?12, drain_since = ?13, address = ?14, born = ?15`, copyArgs(c)...)
		t.log.Copies(c.Bucket)
		return err
	})
}

// DeleteCopy implements state.Tx. Pending rows are looked at when f has ended, so that
// the order in which it adds and deletes copies does not matter.
func (t *tx) DeleteCopy(bucket, prefix, cluster string) error {
	return t.do("deleting a copy", func() error {
		n, err := t.w.exec("DELETE FROM copies WHERE bucket = ? AND prefix = ? AND cluster = ?", bucket, prefix, cluster)
		if n > 0 {
			t.log.Copies(bucket)
		}
		t.removed = append(t.removed, stored.CopyKey{Bucket: bucket, Prefix: prefix, Cluster: cluster})
		return err
	})
}

func (s catalogue) SaveCopies(ctx context.Context, copies ...state.Copy) (int, error) {
	if len(copies) == 0 {
		return 0, nil
	}
	written := 0
	err := s.db.write(ctx, "saving copies", progress, func(w *writer) error {
		var log stored.ChangeLog
		for _, c := range copies {
			n, err := w.exec(`UPDATE copies SET state = ?4, flags = ?5, cursor = ?6, objects = ?7, bytes = ?8,
				error = ?9, verified_at = ?10, scan_cursor = ?11, owned_until = ?12, drain_since = ?13, address = ?14, born = ?15
				WHERE bucket = ?1 AND prefix = ?2 AND cluster = ?3`, copyArgs(c)...)
			if err != nil {
				return err
			}
			if n > 0 {
				written++
				log.Copies(c.Bucket)
			}
		}
		if written == 0 {
			return nil
		}
		seq, err := nextSeq(w)
		if err != nil {
			return err
		}
		return writeChanges(w, seq, log.Changes)
	})
	if err != nil {
		return 0, err
	}
	if written > 0 {
		s.db.watch.Wake()
	}
	return written, nil
}

func (s catalogue) CopiesOf(ctx context.Context, buckets ...string) ([]state.Copy, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Copy
		if all, err = copiesOf(s.db.r, buckets...); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("reading copies", err)
}

func (s catalogue) EachCopy(ctx context.Context, f func(state.Copy) error) error {
	var after stored.CopyKey
	return stored.Pages(func() (page []state.Copy, err error) {
		if err = s.db.reading(ctx); err == nil {
			page, err = collect(s.db.r, new(copyRow).scan, `SELECT `+copyColumns+` FROM copies
				WHERE (bucket, prefix, cluster) > (?, ?, ?) ORDER BY bucket, prefix, cluster LIMIT ?`,
				after.Bucket, after.Prefix, after.Cluster, stored.PageRows)
		}
		return page, s.db.wrap("reading copies", err)
	}, func(c state.Copy) error {
		after = stored.CopyKey{Bucket: c.Bucket, Prefix: c.Prefix, Cluster: c.Cluster}
		return f(c)
	})
}

func (s catalogue) CopySums(ctx context.Context) ([]state.CopySum, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.CopySum
		if all, err = collect(s.db.r, scanCopySum, "SELECT cluster, state, copies, objects, bytes FROM copy_sums"); err == nil {
			stored.SortCopySums(all)
			return all, nil
		}
	}
	return nil, s.db.wrap("summing copies", err)
}

func (s catalogue) BucketCounts(ctx context.Context) (map[string]int64, error) {
	return perCluster(ctx, s.db, "counting buckets", "SELECT cluster, buckets FROM bucket_sums")
}

// perCluster reads a number of each cluster.
func perCluster(ctx context.Context, db *core, doing, text string) (map[string]int64, error) {
	type sum struct {
		cluster string
		n       int64
	}
	err := db.reading(ctx)
	var all []sum
	if err == nil {
		all, err = collect(db.r, func(rows *sql.Rows) (v sum, err error) {
			return v, rows.Scan(&v.cluster, &v.n)
		}, text)
	}
	if err != nil {
		return nil, db.wrap(doing, err)
	}
	sums := make(map[string]int64, len(all))
	for _, v := range all {
		sums[v.cluster] = v.n
	}
	return sums, nil
}

func scanCopySum(rows *sql.Rows) (c state.CopySum, err error) {
	var text string
	if err := rows.Scan(&c.Cluster, &text, &c.Copies, &c.Objects, &c.Bytes); err != nil {
		return c, err
	}
	return c, c.State.UnmarshalText([]byte(text))
}

func copiesOf(q querier, buckets ...string) ([]state.Copy, error) {
	if len(buckets) == 1 {
		return collect(q, new(copyRow).scan, `SELECT `+copyColumns+` FROM copies WHERE bucket = ? ORDER BY prefix, cluster`, buckets[0])
	}
	return collect(q, new(copyRow).scan, `SELECT `+copyColumns+` FROM copies WHERE bucket IN (SELECT value FROM json_each(?))
		ORDER BY bucket, prefix, cluster`, stored.EncodeNames(buckets))
}

// copyRow scans rows of copyColumns, reusing what it scans into.
type copyRow struct {
	c                            state.Copy
	state                        string
	flags                        int64
	verified, owned, drain, born int64
	dest                         []any
}

func (r *copyRow) scan(rows *sql.Rows) (state.Copy, error) {
	if r.dest == nil {
		c := &r.c
		r.dest = []any{
			&c.Bucket, &c.Prefix, &c.Cluster, &r.state, &r.flags, &c.Cursor, &c.Objects, &c.Bytes, &c.Error,
			&r.verified, &c.ScanCursor, &r.owned, &r.drain, &c.At, &r.born,
		}
	}
	if err := rows.Scan(r.dest...); err != nil {
		return state.Copy{}, err
	}
	if err := r.c.State.UnmarshalText([]byte(r.state)); err != nil {
		return state.Copy{}, err
	}
	c := r.c
	stored.SetFlags(&c, r.flags)
	c.VerifiedAt, c.OwnedUntil, c.DrainSince = stored.FromMillis(r.verified), stored.FromMillis(r.owned), stored.FromMillis(r.drain)
	c.Born = stored.FromMillis(r.born)
	return c, nil
}

func copyArgs(c state.Copy) []any {
	return []any{
		c.Bucket, c.Prefix, c.Cluster, c.State.String(), stored.Flags(c), c.Cursor, c.Objects, c.Bytes, c.Error,
		stored.ToMillis(c.VerifiedAt), c.ScanCursor, stored.ToMillis(c.OwnedUntil), stored.ToMillis(c.DrainSince), c.At, stored.ToMillis(c.Born),
	}
}

// removeForgotten removes what goes with a deleted copy, and with a bucket's last one.
func removeForgotten(w *writer, removed []stored.CopyKey) error {
	for _, gone := range removed {
		if _, err := w.exec("DELETE FROM delete_allowances WHERE bucket = ? AND prefix = ? AND cluster = ?", gone.Bucket, gone.Prefix, gone.Cluster); err != nil {
			return err
		}
		if _, there, err := one[string](w, "SELECT cluster FROM copies WHERE bucket = ? LIMIT 1", gone.Bucket); err != nil {
			return err
		} else if there {
			continue
		}
		if err := removeIntents(w, gone.Bucket); err != nil {
			return err
		}
	}
	return nil
}

// removeUnneeded removes pending rows of deleted copies. A key belongs to the rule
// with the longest matching prefix, of those the bucket's copies that remain know; its
// row stays only where that rule has a copy in the row's cluster.
func removeUnneeded(w *writer, removed []stored.CopyKey) error {
	for _, gone := range removed {
		left, err := copiesOf(w, gone.Bucket)
		if err != nil {
			return err
		}
		for _, r := range stored.UnneededRanges(gone, left) {
			if _, err := w.exec("DELETE FROM pending WHERE bucket = ? AND key >= ? AND key < ? AND cluster = ?",
				gone.Bucket, r.From, r.To, gone.Cluster); err != nil {
				return err
			}
		}
	}
	return nil
}
