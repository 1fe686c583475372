package sqlite

import (
	"context"
	"database/sql"

	"github.com/fado-project/fado/state"
)

// EachMeta implements state.Movable.
func (s *Store) EachMeta(ctx context.Context, f func(key, value string) error) error {
	const doing = "reading meta values"
	if err := s.db.reading(ctx); err != nil {
		return s.db.wrap(doing, err)
	}
	all, err := collect(s.db.r, func(rows *sql.Rows) (kv [2]string, err error) {
		return kv, rows.Scan(&kv[0], &kv[1])
	}, "SELECT key, value FROM meta WHERE value <> '' ORDER BY key")
	if err != nil {
		return s.db.wrap(doing, err)
	}
	for _, kv := range all {
		if err := f(kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

// Clear implements state.Movable. The sums go first, so that the triggers that
// keep them have nothing to do.
func (s *Store) Clear(ctx context.Context) error {
	err := s.db.write(ctx, "clearing the store", durable, func(w *writer) error {
		for _, table := range []string{
			"backlog", "pulled_sums", "copy_sums", "bucket_sums", "pending", "copies", "referrers", "resources", "pulled", "uploads",
			"purges", "purge_targets", "purge_keys", "resolutions", "delete_allowances", "mismatches", "verifications", "reports", "passes", "audit", "audit_allowed", "meta",
		} {
			if _, err := w.exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
		if _, err := w.exec("UPDATE counters SET audit_seq = 0, audit_hash = ''"); err != nil {
			return err
		}
		if _, err := w.exec("UPDATE engine SET paused = 0, scrub_last = 0, scrub_running = 0, scrub_after = ''"); err != nil {
			return err
		}
		seq, err := nextSeq(w)
		if err != nil {
			return err
		}
		return trimChanges(w, int64(seq)) // followers load everything
	})
	if err == nil {
		s.db.watch.Wake()
	}
	return err
}

// RaiseSeq implements state.Movable.
func (s *Store) RaiseSeq(ctx context.Context, to state.Seq) error {
	return s.db.write(ctx, "raising the sequence number", durable, func(w *writer) error {
		_, err := w.exec("UPDATE counters SET seq = max(seq, ?)", int64(to))
		return err
	})
}

// Interface guard
var _ state.Movable = (*Store)(nil)
