package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const copyColumns = `bucket, prefix, cluster, state, flags, cursor, objects, bytes, error, verified_at, scan_cursor, owned_until, drain_since, address, born`

// Copies implements state.Tx.
func (t *tx) Copies(bucket string) (all []state.Copy, err error) {
	err = t.do("reading copies", func() error {
		if err := t.flush(); err != nil {
			return err
		}
		all, err = copiesOf(t.ctx, t.db, bucket)
		return err
	})
	return all, err
}

// PutCopy implements state.Tx.
func (t *tx) PutCopy(c state.Copy) error {
	return t.do("writing a copy", func() error {
		t.log.Copies(c.Bucket)
		return t.queue(`INSERT INTO fado.copies (`+copyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
			ON CONFLICT (bucket, prefix, cluster) DO UPDATE SET state = $4, flags = $5, cursor = $6, objects = $7, bytes = $8,
			error = $9, verified_at = $10, scan_cursor = $11, owned_until = $12, drain_since = $13, address = $14, born = $15`,
			c.Bucket, blob(c.Prefix), c.Cluster, c.State.String(), stored.Flags(c), blob(c.Cursor), c.Objects, c.Bytes, text(c.Error),
			stored.ToMillis(c.VerifiedAt), blob(c.ScanCursor), stored.ToMillis(c.OwnedUntil), stored.ToMillis(c.DrainSince), c.At, stored.ToMillis(c.Born))
	})
}

// DeleteCopy implements state.Tx. Pending rows are looked at when f has ended, so that
// the order in which it adds and deletes copies does not matter.
func (t *tx) DeleteCopy(bucket, prefix, cluster string) error {
	return t.do("deleting a copy", func() error {
		if err := t.flush(); err != nil {
			return err
		}
		tag, err := t.db.Exec(t.ctx, "DELETE FROM fado.copies WHERE bucket = $1 AND prefix = $2 AND cluster = $3", bucket, blob(prefix), cluster)
		if err == nil && tag.RowsAffected() > 0 {
			t.log.Copies(bucket)
		}
		t.removed = append(t.removed, stored.CopyKey{Bucket: bucket, Prefix: prefix, Cluster: cluster})
		return err
	})
}

// removeForgotten removes what goes with deleted copies, and with buckets' last ones.
func (t *tx) removeForgotten() error {
	if len(t.removed) == 0 {
		return nil
	}
	var buckets []string
	for _, gone := range t.removed {
		buckets = append(buckets, gone.Bucket)
		if err := t.queue("DELETE FROM fado.delete_allowances WHERE bucket = $1 AND prefix = $2 AND cluster = $3", gone.Bucket, blob(gone.Prefix), gone.Cluster); err != nil {
			return err
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	empty, err := collect(t.ctx, t.db, func(rows pgx.Rows) (b string, err error) { return b, rows.Scan(&b) },
		"SELECT DISTINCT b FROM unnest($1::text[]) AS b WHERE NOT EXISTS (SELECT FROM fado.copies c WHERE c.bucket = b)", buckets)
	if err == nil && len(empty) > 0 {
		queueForgetting(&t.batch, empty)
	}
	return err
}

// removeUnneeded removes the pending rows that deleted copies take along.
func (t *tx) removeUnneeded() error {
	if len(t.removed) == 0 {
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, gone := range t.removed {
		left, err := copiesOf(t.ctx, t.db, gone.Bucket)
		if err != nil {
			return err
		}
		for _, r := range stored.UnneededRanges(gone, left) {
			if err := t.queue("DELETE FROM fado.pending WHERE bucket = $1 AND key >= $2 AND key < $3 AND cluster = $4",
				gone.Bucket, blob(r.From), blob(r.To), gone.Cluster); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyArrays holds copies column by column, for unnest.
type copyArrays struct {
	bucket, cluster, state, error                                          []string
	prefix, cursor, scan                                                   []blob
	flags, objects, bytes, verified, ownedUntil, drainSince, address, born []int64
}

func (a *copyArrays) add(c state.Copy) {
	a.bucket, a.cluster, a.state, a.error = append(a.bucket, c.Bucket), append(a.cluster, c.Cluster), append(a.state, c.State.String()), append(a.error, text(c.Error))
	a.prefix, a.cursor, a.scan = append(a.prefix, blob(c.Prefix)), append(a.cursor, blob(c.Cursor)), append(a.scan, blob(c.ScanCursor))
	a.flags, a.objects, a.bytes = append(a.flags, stored.Flags(c)), append(a.objects, c.Objects), append(a.bytes, c.Bytes)
	a.verified = append(a.verified, stored.ToMillis(c.VerifiedAt))
	a.ownedUntil, a.drainSince = append(a.ownedUntil, stored.ToMillis(c.OwnedUntil)), append(a.drainSince, stored.ToMillis(c.DrainSince))
	a.address, a.born = append(a.address, c.At), append(a.born, stored.ToMillis(c.Born))
}

// saveCopies takes its turn with Updates before it touches a row, so that neither waits
// for the other with something in hand.
const saveCopies = `UPDATE fado.copies c SET state = n.state, flags = n.flags, cursor = n.cursor, objects = n.objects, bytes = n.bytes,
		error = n.error, verified_at = n.verified_at, scan_cursor = n.scan_cursor, owned_until = n.owned_until, drain_since = n.drain_since,
		address = n.address, born = n.born
	FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::bigint[], $8::bigint[], $9::text[],
		$10::bigint[], $11::bytea[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[]) AS n (` + copyColumns + `)
	WHERE c.bucket = n.bucket AND c.prefix = n.prefix AND c.cluster = n.cluster
	RETURNING c.bucket, c.prefix, c.cluster`

func (s catalogue) SaveCopies(ctx context.Context, copies ...state.Copy) (int, error) {
	if len(copies) == 0 {
		return 0, nil
	}
	const doing = "saving copies"
	if err := s.db.usable(ctx); err != nil {
		return 0, s.db.wrap(ctx, doing, err)
	}
	last := make(map[stored.CopyKey]state.Copy, len(copies)) // of a copy given twice the later counts
	for _, c := range copies {
		last[stored.CopyKey{Bucket: c.Bucket, Prefix: c.Prefix, Cluster: c.Cluster}] = c
	}
	var a copyArrays
	for _, c := range last {
		a.add(c)
	}
	var saved map[stored.CopyKey]bool
	err := s.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		saved, err = a.save(ctx, tx)
		return err
	})
	if err != nil {
		return 0, s.db.wrap(ctx, doing, err)
	}
	written := 0
	for _, c := range copies {
		if saved[stored.CopyKey{Bucket: c.Bucket, Prefix: c.Prefix, Cluster: c.Cluster}] {
			written++
		}
	}
	if written > 0 {
		s.db.watch.Wake()
	}
	return written, nil
}

// save updates the rows that exist, and makes a change of it.
func (a *copyArrays) save(ctx context.Context, tx pgx.Tx) (map[stored.CopyKey]bool, error) {
	saved := make(map[stored.CopyKey]bool)
	var log stored.ChangeLog
	// Durable, because readers continue after its Seq, which a crash must not reuse.
	var b pgx.Batch
	b.Queue("SELECT set_config('synchronous_commit', $1, true)", commitOf(tx.Conn()))
	b.Queue("SELECT FROM fado.counters FOR UPDATE")
	b.Queue(saveCopies, a.bucket, a.prefix, a.cluster, a.state, a.flags, a.cursor, a.objects, a.bytes, a.error,
		a.verified, a.scan, a.ownedUntil, a.drainSince, a.address, a.born).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var k stored.CopyKey
			if err := rows.Scan(&k.Bucket, (*blob)(&k.Prefix), &k.Cluster); err != nil {
				return err
			}
			saved[k] = true
			log.Copies(k.Bucket)
		}
		return rows.Err()
	})
	if err := tx.SendBatch(ctx, &b).Close(); err != nil || len(saved) == 0 {
		return nil, err
	}
	var seq int64
	if err := tx.QueryRow(ctx, "UPDATE fado.counters SET seq = seq + 1 RETURNING seq").Scan(&seq); err != nil {
		return nil, err
	}
	var out pgx.Batch
	queueChanges(&out, seq, log.Changes)
	out.Queue("SELECT pg_notify('fado', 'changes')")
	return saved, tx.SendBatch(ctx, &out).Close()
}

func (s catalogue) CopiesOf(ctx context.Context, buckets ...string) (all []state.Copy, err error) {
	err = s.db.read(ctx, "reading copies", func(ctx context.Context, q querier) (err error) {
		all, err = copiesOf(ctx, q, buckets...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (s catalogue) EachCopy(ctx context.Context, f func(state.Copy) error) error {
	var after state.Copy
	return stored.Pages(func() (page []state.Copy, err error) {
		err = s.db.read(ctx, "reading copies", func(ctx context.Context, q querier) (err error) {
			page, err = collect(ctx, q, scanCopy, `SELECT `+copyColumns+` FROM fado.copies
				WHERE (bucket, prefix, cluster) > ($1, $2, $3) ORDER BY bucket, prefix, cluster LIMIT $4`,
				after.Bucket, blob(after.Prefix), after.Cluster, stored.PageRows)
			return err
		})
		return page, err
	}, func(c state.Copy) error {
		after = c
		return f(c)
	})
}

func (s catalogue) CopySums(ctx context.Context) (all []state.CopySum, err error) {
	err = s.db.read(ctx, "summing copies", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, scanCopySum, `SELECT cluster, state, sum(copies)::bigint, sum(objects)::bigint, sum(bytes)::bigint
			FROM fado.copy_sums GROUP BY cluster, state HAVING sum(copies) <> 0`)
		return err
	})
	if err != nil {
		return nil, err
	}
	stored.SortCopySums(all)
	return all, nil
}

func (s catalogue) BucketCounts(ctx context.Context) (map[string]int64, error) {
	return perCluster(ctx, s.db, "counting buckets", "SELECT cluster, sum(buckets)::bigint FROM fado.bucket_sums GROUP BY cluster HAVING sum(buckets) <> 0")
}

// perCluster reads a number of each cluster.
func perCluster(ctx context.Context, db *core, doing, sql string) (map[string]int64, error) {
	sums := make(map[string]int64)
	err := db.read(ctx, doing, func(ctx context.Context, q querier) error {
		clear(sums) // it may be tried again
		_, err := collect(ctx, q, func(rows pgx.Rows) (cluster string, err error) {
			var n int64
			err = rows.Scan(&cluster, &n)
			sums[cluster] = n
			return cluster, err
		}, sql)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sums, nil
}

func scanCopySum(rows pgx.Rows) (c state.CopySum, err error) {
	var text string
	if err := rows.Scan(&c.Cluster, &text, &c.Copies, &c.Objects, &c.Bytes); err != nil {
		return c, err
	}
	if err := c.State.UnmarshalText([]byte(text)); err != nil {
		return c, ownError{err}
	}
	return c, nil
}

func copiesOf(ctx context.Context, q querier, buckets ...string) ([]state.Copy, error) {
	if len(buckets) == 1 {
		return collect(ctx, q, scanCopy, `SELECT `+copyColumns+` FROM fado.copies WHERE bucket = $1 ORDER BY prefix, cluster`, buckets[0])
	}
	return collect(ctx, q, scanCopy, `SELECT `+copyColumns+` FROM fado.copies WHERE bucket = ANY($1) ORDER BY bucket, prefix, cluster`, buckets)
}

func scanCopy(rows pgx.Rows) (c state.Copy, err error) {
	var st string
	var flags, verified, owned, drain, born int64
	if err := rows.Scan(&c.Bucket, (*blob)(&c.Prefix), &c.Cluster, &st, &flags, (*blob)(&c.Cursor), &c.Objects, &c.Bytes, &c.Error,
		&verified, (*blob)(&c.ScanCursor), &owned, &drain, &c.At, &born); err != nil {
		return c, err
	}
	if err := c.State.UnmarshalText([]byte(st)); err != nil {
		return c, ownError{err}
	}
	stored.SetFlags(&c, flags)
	c.VerifiedAt, c.OwnedUntil, c.DrainSince = stored.FromMillis(verified), stored.FromMillis(owned), stored.FromMillis(drain)
	c.Born = stored.FromMillis(born)
	return c, nil
}
