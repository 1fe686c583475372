package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

const (
	// keepChanges is how many changes are kept at least, for readers that fell behind.
	keepChanges = 4096
	// keepObjects is the same of object changes.
	keepObjects = 100_000
)

// writeChanges stores what the transaction changed.
func (t *tx) writeChanges() error {
	if t.log.Revises() {
		t.batch.Queue("UPDATE fado.counters SET revision = $1", int64(t.seq))
	}
	queueChanges(&t.batch, int64(t.seq), t.log.Changes)
	return nil
}

// queueChanges stores the changes of a Seq and trims old ones. A transaction of more than
// are kept is trimmed at once: readers load everything anyway.
func queueChanges(b *pgx.Batch, seq int64, changes []state.Change) {
	if len(changes) > keepChanges {
		b.Queue("DELETE FROM fado.changes")
		b.Queue("UPDATE fado.counters SET changes_trimmed = $1", seq)
		return
	}
	if len(changes) == 0 {
		return
	}
	n := len(changes)
	kinds, resources, names, deleted := make([]string, n), make([]string, n), make([]string, n), make([]bool, n)
	for i, c := range changes {
		kinds[i], resources[i], names[i], deleted[i] = string(c.Kind), string(c.Resource), c.Name, c.Deleted
	}
	b.Queue(`INSERT INTO fado.changes (seq, ord, kind, resource, name, deleted)
		SELECT $1, ord, kind, resource, name, deleted
		FROM unnest($2::text[], $3::text[], $4::text[], $5::bool[]) WITH ORDINALITY AS t (kind, resource, name, deleted, ord)`,
		seq, kinds, resources, names, deleted)
	if n > keepChanges/8 || seq%512 == 0 {
		queueTrim(b)
	}
}

// queueTrim removes changes beyond those that are kept, whole Seqs only.
func queueTrim(b *pgx.Batch) {
	b.Queue(`WITH last AS (SELECT seq FROM fado.changes ORDER BY seq DESC, ord DESC OFFSET $1 LIMIT 1),
		gone AS (DELETE FROM fado.changes WHERE seq <= (SELECT seq - 1 FROM last))
		UPDATE fado.counters SET changes_trimmed = last.seq - 1 FROM last WHERE last.seq - 1 > changes_trimmed`, keepChanges)
}

// changeLog implements [state.ChangeLog].
type changeLog struct{ db *core }

func (s changeLog) Changes(ctx context.Context, after state.Seq, limit int) (all []state.Change, err error) {
	const doing = "reading changes"
	err = s.db.read(ctx, doing, func(ctx context.Context, q querier) (err error) {
		// The limit may cut through a Seq, of which all are wanted: those of the first Seq
		// too many come along, and are cut off where they need not.
		all, err = collect(ctx, q, func(rows pgx.Rows) (c state.Change, err error) {
			return c, rows.Scan((*int64)(&c.Seq), (*string)(&c.Kind), (*string)(&c.Resource), &c.Name, &c.Deleted)
		}, `SELECT seq, kind, resource, name, deleted FROM fado.changes
			WHERE seq > $1 AND seq <= coalesce((SELECT seq FROM fado.changes WHERE seq > $1 ORDER BY seq, ord LIMIT 1 OFFSET $2), 9223372036854775807)
			ORDER BY seq, ord`, int64(after), beyond(limit))
		if err != nil {
			return err
		}
		// Read after the rows: what was trimmed before them is known to be.
		trimmed, _, err := one[int64](ctx, q, "SELECT changes_trimmed FROM fado.counters")
		if err == nil && int64(after) < trimmed {
			err = fmt.Errorf("after %d: those up to %d are no longer kept: %w", after, trimmed, state.ErrTrimmed)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored.CutWhole(all, limit), nil
}

// beyond is the offset of the first row too many.
func beyond(limit int) int64 {
	if limit <= 0 {
		return 1 << 40
	}
	return int64(limit)
}

func (s changeLog) Seq(ctx context.Context) (seq state.Seq, err error) {
	err = s.db.read(ctx, "reading the sequence number", func(ctx context.Context, q querier) error {
		n, _, err := one[int64](ctx, q, "SELECT seq FROM fado.counters")
		seq = state.Seq(n)
		return err
	})
	return seq, err
}

func (s catalogue) Revision(ctx context.Context) (seq state.Seq, err error) {
	err = s.db.read(ctx, "reading the catalogue's revision", func(ctx context.Context, q querier) error {
		n, _, err := one[int64](ctx, q, "SELECT revision FROM fado.counters")
		seq = state.Seq(n)
		return err
	})
	return seq, err
}

// Revision implements state.Tx.
func (t *tx) Revision() (seq state.Seq, err error) {
	err = t.do("reading the catalogue's revision", func() error {
		n, _, err := one[int64](t.ctx, t.db, "SELECT revision FROM fado.counters")
		seq = state.Seq(n)
		return err
	})
	return seq, err
}

func (s instances) ObjectChanges(ctx context.Context, after state.Seq, limit int) (all []state.ObjectChange, err error) {
	err = s.db.read(ctx, "reading changes of objects", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, func(rows pgx.Rows) (c state.ObjectChange, err error) {
			return c, rows.Scan((*int64)(&c.Seq), (*string)(&c.Kind), &c.Bucket, (*blob)(&c.Key), &c.Cluster, &c.Gone)
		}, "SELECT seq, kind, bucket, key, cluster, gone FROM fado.object_changes WHERE seq > $1 ORDER BY seq LIMIT $2", int64(after), noLimit(limit))
		if err != nil {
			return err
		}
		trimmed, _, err := one[int64](ctx, q, "SELECT objects_trimmed FROM fado.counters")
		if err == nil && int64(after) < trimmed {
			err = fmt.Errorf("after %d: those up to %d are no longer kept: %w", after, trimmed, state.ErrTrimmed)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

const lastObject = "SELECT greatest(objects_trimmed, (SELECT max(seq) FROM fado.object_changes)) FROM fado.counters"

func (s instances) ObjectSeq(ctx context.Context) (seq state.Seq, err error) {
	err = s.db.read(ctx, "reading the sequence number of objects", func(ctx context.Context, q querier) error {
		n, _, err := one[int64](ctx, q, lastObject)
		seq = state.Seq(n)
		return err
	})
	return seq, err
}

// facts implements [state.Facts].
type facts struct{ db *core }

func (s facts) GetMeta(ctx context.Context, key string) (value string, err error) {
	err = s.db.read(ctx, "reading "+key, func(ctx context.Context, q querier) (err error) {
		value, _, err = one[string](ctx, q, "SELECT value FROM fado.meta WHERE key = $1", key)
		return err
	})
	return value, err
}

// PutMeta implements state.Facts. It is as durable as Update.
func (s facts) PutMeta(ctx context.Context, key, value string) error {
	return s.db.decide(ctx, "writing "+key, func(b *pgx.Batch) {
		b.Queue(`INSERT INTO fado.meta (key, value, version) VALUES ($1, $2, 1)
			ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = meta.version + 1`, key, value)
	})
}
