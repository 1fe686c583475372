package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/state"
)

// EachMeta implements state.Movable.
func (s *Store) EachMeta(ctx context.Context, f func(key, value string) error) error {
	var all [][2]string
	err := s.db.read(ctx, "reading meta values", func(ctx context.Context, q querier) (err error) {
		all, err = collect(ctx, q, func(r pgx.Rows) (kv [2]string, err error) {
			return kv, r.Scan(&kv[0], &kv[1])
		}, "SELECT key, value FROM fado.meta WHERE value <> '' ORDER BY key")
		return err
	})
	if err != nil {
		return err
	}
	for _, kv := range all {
		if err := f(kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

// clearRows is how many rows Clear deletes at a time.
const clearRows = 20_000

// Clear implements state.Movable. Rows are deleted and not truncated, for which an
// instance needs no rights; in steps, because a statement has its time.
func (s *Store) Clear(ctx context.Context) error {
	const doing = "clearing the store"
	for _, table := range []string{"copies", "referrers", "resources", "uploads", "pending", "pulled", "purge_keys", "mismatches", "verifications"} {
		deleteSome := fmt.Sprintf("DELETE FROM fado.%[1]s WHERE ctid = ANY (ARRAY(SELECT ctid FROM fado.%[1]s LIMIT %[2]d))", table, clearRows)
		for n := int64(clearRows); n == clearRows; {
			err := s.db.write(ctx, doing, func(ctx context.Context, q querier) error {
				tag, err := q.Exec(ctx, deleteSome)
				n = tag.RowsAffected()
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	err := s.db.transact(ctx, func(ctx context.Context, tx pgx.Tx) error {
		seq, _, _, err := s.db.begin(ctx, tx)
		if err != nil {
			return err
		}
		var b pgx.Batch
		b.Queue("UPDATE fado.counters SET audit_seq = 0, audit_hash = ''")
		for _, table := range []string{"backlog", "pulled_sums", "copy_sums", "bucket_sums", "changes", "purge_targets", "purges", "resolutions", "delete_allowances", "reports", "passes", "audit", "audit_allowed", "meta"} {
			b.Queue("DELETE FROM fado." + table)
		}
		b.Queue("UPDATE fado.engine SET paused = false, scrub_last = 0, scrub_running = false, scrub_after = ''")
		b.Queue("UPDATE fado.counters SET changes_trimmed = $1", int64(seq)) // followers load everything
		b.Queue("SELECT pg_notify('fado', 'changes')")
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return s.db.wrap(ctx, doing, err)
	}
	s.db.watch.Wake()
	return nil
}

// RaiseSeq implements state.Movable.
func (s *Store) RaiseSeq(ctx context.Context, to state.Seq) error {
	return s.db.write(ctx, "raising the sequence number", func(ctx context.Context, q querier) error {
		_, err := q.Exec(ctx, "UPDATE fado.counters SET seq = greatest(seq, $1)", int64(to))
		return err
	})
}

// Interface guard
var _ state.Movable = (*Store)(nil)
