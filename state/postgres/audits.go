package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// Audit implements state.Tx.
func (t *tx) Audit(e audit.Entry) error {
	return t.do("writing an audit record", func() error {
		if err := t.audit.Add(e); err != nil {
			return ownError{err}
		}
		return nil
	})
}

// AuditHead implements state.Tx.
func (t *tx) AuditHead() (audit.Head, error) { return t.audit.Head, nil }

// AuditAllowed implements state.Tx.
func (t *tx) AuditAllowed() (all map[string][]string, err error) {
	err = t.do("reading what policies allowed", func() error {
		all = make(map[string][]string)
		_, err := collect(t.ctx, t.db, func(rows pgx.Rows) (struct{}, error) {
			var policy, text string
			if err := rows.Scan(&policy, &text); err != nil {
				return struct{}{}, err
			}
			names, err := stored.DecodeNames(text)
			all[policy] = names
			return struct{}{}, err
		}, "SELECT policy, clusters FROM fado.audit_allowed")
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

// queueAudit stores what Audit collected.
func (t *tx) queueAudit() {
	if len(t.audit.Records) == 0 {
		return
	}
	for _, r := range t.audit.Records {
		t.batch.Queue("INSERT INTO fado.audit (seq, at, node, kind, actor, subject, body, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			r.Seq, r.Millis, r.Node, string(r.Kind), r.Actor, r.Subject, string(r.Body), r.Prev, r.Hash)
	}
	for policy, clusters := range t.audit.Allowed {
		t.batch.Queue("INSERT INTO fado.audit_allowed (policy, clusters) VALUES ($1, $2) ON CONFLICT (policy) DO UPDATE SET clusters = excluded.clusters", policy, clusters)
	}
	t.batch.Queue("UPDATE fado.counters SET audit_seq = $1, audit_hash = $2", t.audit.Head.Seq, t.audit.Head.Hash)
}

// audits implements [state.Audits].
type audits struct{ db *core }

func (s audits) AuditHead(ctx context.Context) (h audit.Head, err error) {
	err = s.db.read(ctx, "reading the end of the audit records", func(ctx context.Context, q querier) error {
		all, err := collect(ctx, q, func(rows pgx.Rows) (h audit.Head, err error) { return h, rows.Scan(&h.Seq, &h.Hash) }, "SELECT audit_seq, audit_hash FROM fado.counters")
		if err == nil && len(all) > 0 {
			h = all[0]
		}
		return err
	})
	return h, err
}

func (s audits) AuditRecords(ctx context.Context, f state.AuditFilter, limit int) (all []audit.Record, err error) {
	err = s.db.read(ctx, "reading audit records", func(ctx context.Context, q querier) (err error) {
		since, until := f.Bounds()
		all, err = collect(ctx, q, scanAudit, `SELECT seq, at, node, kind, actor, body, prev, hash FROM fado.audit
			WHERE seq > $1 AND ($2 = '' OR kind = $2) AND ($3 = '' OR subject = $3) AND at >= $4 AND at < $5 AND ($7::bigint = 0 OR seq < $7) ORDER BY `+f.Order()+` LIMIT $6`,
			f.After, string(f.Kind), f.Subject, since, until, beyond(limit), f.Before)
		return err
	})
	return all, err
}

func scanAudit(rows pgx.Rows) (r audit.Record, err error) {
	var at int64
	var body string
	if err := rows.Scan(&r.Seq, &at, &r.Node, (*string)(&r.Kind), &r.Actor, &body, &r.Prev, &r.Hash); err != nil {
		return r, err
	}
	r.At, r.Body = audit.FormatTime(time.UnixMilli(at)), json.RawMessage(body)
	return r, nil
}

// trimAudit names the kind, so that the index of checkpoints serves it.
const trimAudit = "DELETE FROM fado.audit WHERE seq < (SELECT max(seq) FROM fado.audit WHERE kind = '" + string(audit.Checkpoint) + "' AND at < $1)"

func (s audits) TrimAudit(ctx context.Context, before time.Time) (n int64, err error) {
	err = s.db.read(ctx, "trimming audit records", func(ctx context.Context, q querier) error {
		tag, err := q.Exec(ctx, trimAudit, before.UnixMilli())
		n = tag.RowsAffected()
		return err
	})
	return n, err
}
