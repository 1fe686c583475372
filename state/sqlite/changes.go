package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// keepChanges is how many changes are kept at least, for readers that fell behind.
const keepChanges = 4096

// nextSeq raises the store's Seq within a transaction.
func nextSeq(w *writer) (state.Seq, error) {
	seq, _, err := begin(w)
	return seq, err
}

// begin raises the store's Seq within a transaction, and returns the end of the audit records.
func begin(w *writer) (seq state.Seq, head audit.Head, err error) {
	_, err = collect(w, func(rows *sql.Rows) (struct{}, error) {
		return struct{}{}, rows.Scan((*int64)(&seq), &head.Seq, &head.Hash)
	}, "UPDATE counters SET seq = seq + 1 RETURNING seq, audit_seq, audit_hash")
	return seq, head, err
}

// writeChanges stores the changes of a transaction and trims old ones. A transaction of more than are kept
// is trimmed at once: readers load everything anyway.
func writeChanges(w *writer, seq state.Seq, changes []state.Change) error {
	if len(changes) > keepChanges {
		return trimChanges(w, int64(seq))
	}
	for _, c := range changes {
		if _, err := w.exec("INSERT INTO changes (seq, kind, resource, name, deleted) VALUES (?, ?, ?, ?, ?)",
			int64(seq), string(c.Kind), string(c.Resource), c.Name, c.Deleted); err != nil {
			return err
		}
	}
	last, _, err := one[int64](w, "SELECT coalesce(max(id), 0) FROM changes")
	if err != nil {
		return err
	}
	first, _, err := one[int64](w, "SELECT coalesce(min(id), 0) FROM changes")
	if err != nil || last-first < 2*keepChanges {
		return err
	}
	upTo, _, err := one[int64](w, "SELECT seq FROM changes WHERE id <= ? ORDER BY id DESC LIMIT 1", last-keepChanges)
	if err != nil {
		return err
	}
	return trimChanges(w, upTo)
}

func trimChanges(w *writer, upTo int64) error {
	if _, err := w.exec("DELETE FROM changes WHERE seq <= ?", upTo); err != nil {
		return err
	}
	_, err := w.exec("UPDATE counters SET trimmed = ?", upTo)
	return err
}

// changeLog implements [state.ChangeLog].
type changeLog struct{ db *core }

func (s changeLog) Changes(ctx context.Context, after state.Seq, limit int) ([]state.Change, error) {
	const doing = "reading changes"
	if err := s.db.reading(ctx); err != nil {
		return nil, s.db.wrap(doing, err)
	}
	beyond := limit // the first change too many
	if limit <= 0 {
		beyond = math.MaxInt32
	}
	all, err := collect(s.db.r, scanChange, `SELECT seq, kind, resource, name, deleted FROM changes
		WHERE seq > ?1 AND seq <= coalesce((SELECT seq FROM changes WHERE seq > ?1 ORDER BY seq LIMIT 1 OFFSET ?2), 9223372036854775807)
		ORDER BY seq, id`, int64(after), beyond)
	if err != nil {
		return nil, s.db.wrap(doing, err)
	}
	trimmed, _, err := one[int64](s.db.r, "SELECT trimmed FROM counters")
	if err != nil {
		return nil, s.db.wrap(doing, err)
	}
	if int64(after) < trimmed {
		return nil, fmt.Errorf("%s after %d: those up to %d are no longer kept: %w", doing, after, trimmed, state.ErrTrimmed)
	}
	return stored.CutWhole(all, limit), nil
}

func scanChange(rows *sql.Rows) (c state.Change, err error) {
	return c, rows.Scan((*int64)(&c.Seq), (*string)(&c.Kind), (*string)(&c.Resource), &c.Name, &c.Deleted)
}

func (s changeLog) Seq(ctx context.Context) (state.Seq, error) {
	err := s.db.reading(ctx)
	var seq int64
	if err == nil {
		seq, _, err = one[int64](s.db.r, "SELECT seq FROM counters")
	}
	return state.Seq(seq), s.db.wrap("reading the sequence number", err)
}

func (s catalogue) Revision(ctx context.Context) (state.Seq, error) {
	err := s.db.reading(ctx)
	var seq int64
	if err == nil {
		seq, _, err = one[int64](s.db.r, "SELECT revision FROM counters")
	}
	return state.Seq(seq), s.db.wrap("reading the catalogue's revision", err)
}

// Revision implements state.Tx.
func (t *tx) Revision() (seq state.Seq, err error) {
	err = t.do("reading the catalogue's revision", func() error {
		n, _, err := one[int64](t.w, "SELECT revision FROM counters")
		seq = state.Seq(n)
		return err
	})
	return seq, err
}

// facts implements [state.Facts].
type facts struct{ db *core }

func (s facts) GetMeta(ctx context.Context, key string) (string, error) {
	err := s.db.reading(ctx)
	var value string
	if err == nil {
		value, _, err = one[string](s.db.r, "SELECT value FROM meta WHERE key = ?", key)
	}
	return value, s.db.wrap("reading "+key, err)
}

// PutMeta implements state.Facts. It is as durable as Update.
func (s facts) PutMeta(ctx context.Context, key, value string) error {
	err := s.db.write(ctx, "writing "+key, durable, func(w *writer) error {
		_, err := w.exec("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
		return err
	})
	if err == nil {
		s.db.watch.Wake()
	}
	return err
}

// Watch implements state.ChangeLog. The channel also closes with the store.
func (s changeLog) Watch(ctx context.Context) <-chan struct{} { return s.db.watch.Add(ctx) }
