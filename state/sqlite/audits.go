package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// Audit implements state.Tx.
func (t *tx) Audit(e audit.Entry) error {
	return t.do("writing an audit record", func() error { return t.audit.Add(e) })
}

// AuditHead implements state.Tx.
func (t *tx) AuditHead() (h audit.Head, err error) { return t.audit.Head, nil }

// AuditAllowed implements state.Tx.
func (t *tx) AuditAllowed() (all map[string][]string, err error) {
	err = t.do("reading what policies allowed", func() error {
		all, err = auditAllowed(t.w)
		if err != nil {
			return err
		}
		for policy, text := range t.audit.Allowed {
			if all[policy], err = stored.DecodeNames(text); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// writeAudit stores what Audit collected.
func (t *tx) writeAudit() error {
	for _, r := range t.audit.Records {
		if _, err := t.w.exec("INSERT INTO audit (seq, at, node, kind, actor, subject, body, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			r.Seq, r.Millis, r.Node, string(r.Kind), r.Actor, r.Subject, string(r.Body), r.Prev, r.Hash); err != nil {
			return err
		}
	}
	for policy, clusters := range t.audit.Allowed {
		if _, err := t.w.exec("INSERT INTO audit_allowed (policy, clusters) VALUES (?, ?) ON CONFLICT (policy) DO UPDATE SET clusters = excluded.clusters", policy, clusters); err != nil {
			return err
		}
	}
	return nil
}

func auditHead(q querier) (audit.Head, error) {
	all, err := collect(q, func(rows *sql.Rows) (h audit.Head, err error) { return h, rows.Scan(&h.Seq, &h.Hash) }, "SELECT audit_seq, audit_hash FROM counters")
	if err != nil || len(all) == 0 {
		return audit.Head{}, err
	}
	return all[0], nil
}

func auditAllowed(q querier) (map[string][]string, error) {
	all := make(map[string][]string)
	_, err := collect(q, func(rows *sql.Rows) (struct{}, error) {
		var policy, text string
		if err := rows.Scan(&policy, &text); err != nil {
			return struct{}{}, err
		}
		names, err := stored.DecodeNames(text)
		all[policy] = names
		return struct{}{}, err
	}, "SELECT policy, clusters FROM audit_allowed")
	return all, err
}

// audits implements [state.Audits].
type audits struct{ db *core }

func (s audits) AuditHead(ctx context.Context) (h audit.Head, err error) {
	if err = s.db.reading(ctx); err == nil {
		h, err = auditHead(s.db.r)
	}
	return h, s.db.wrap("reading the end of the audit records", err)
}

func (s audits) AuditRecords(ctx context.Context, f state.AuditFilter, limit int) ([]audit.Record, error) {
	err := s.db.reading(ctx)
	var all []audit.Record
	if err == nil {
		since, until := f.Bounds()
		all, err = collect(s.db.r, scanAudit, `SELECT seq, at, node, kind, actor, body, prev, hash FROM audit
			WHERE seq > ?1 AND (?2 = '' OR kind = ?2) AND (?3 = '' OR subject = ?3) AND at >= ?4 AND at < ?5 AND (?7 = 0 OR seq < ?7) ORDER BY `+f.Order()+` LIMIT ?6`,
			f.After, string(f.Kind), f.Subject, since, until, noLimit(limit), f.Before)
	}
	return all, s.db.wrap("reading audit records", err)
}

func scanAudit(rows *sql.Rows) (r audit.Record, err error) {
	var at int64
	var body string
	if err := rows.Scan(&r.Seq, &at, &r.Node, (*string)(&r.Kind), &r.Actor, &body, &r.Prev, &r.Hash); err != nil {
		return r, err
	}
	r.At, r.Body = audit.FormatTime(time.UnixMilli(at)), json.RawMessage(body)
	return r, nil
}

// lastCheckpoint names the kind, so that the index of checkpoints serves it.
const lastCheckpoint = "SELECT coalesce(max(seq), 0) FROM audit WHERE kind = '" + string(audit.Checkpoint) + "' AND at < ?"

func (s audits) TrimAudit(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.db.write(ctx, "trimming audit records", durable, func(w *writer) error {
		root, _, err := one[int64](w, lastCheckpoint, before.UnixMilli())
		if err != nil {
			return err
		}
		removed, err := w.exec("DELETE FROM audit WHERE seq < ?", root)
		n = removed
		if err != nil {
			return fmt.Errorf("removing those before record %d: %w", root, err)
		}
		return nil
	})
	return n, err
}
