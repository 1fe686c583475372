package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// updating is how many times statement_timeout an Update may take.
const updating = 8

// catalogue implements [state.Catalogue].
type catalogue struct{ db *core }

// Update implements state.Catalogue. Updates of all instances take turns, because each
// begins by raising the number that it holds until its commit.
func (s catalogue) Update(ctx context.Context, f func(tx state.Tx) error) (state.Seq, error) {
	const doing = "changing the catalogue"
	if err := s.db.usable(ctx); err != nil {
		return 0, s.db.wrap(ctx, doing, err)
	}
	var seq state.Seq
	var fErr error
	var xid string
	err := s.db.attempt(ctx, s.db.patience(updating), false, func(turn context.Context, conn pooled) error {
		fErr, xid = nil, ""
		return within(turn, conn, func(dbtx pgx.Tx) (err error) {
			var head audit.Head
			if seq, xid, head, err = s.db.begin(turn, dbtx); err != nil {
				return err
			}
			t := &tx{s: s.db, ctx: turn, db: dbtx, seq: seq, audit: stored.AuditLog{Head: head}}
			defer func() { t.db = nil }() // of no use after f
			if fErr = f(t); fErr != nil && t.err == nil {
				return ownError{fErr}
			}
			if t.err != nil {
				return t.err
			}
			return t.finish()
		})
	})
	if err != nil && fErr != nil && !again(err) {
		return 0, fErr
	}
	if err != nil && xid != "" && s.committed(xid, err) { //nolint:contextcheck // the context may have ended
		err = nil
	}
	if err != nil {
		return 0, s.db.wrap(ctx, doing, err)
	}
	s.db.watch.Wake()
	return seq, nil
}

// begin raises the Seq. xid names the transaction, for committed; head is the end of the audit
// records, which nobody moves until the transaction ends.
func (s *core) begin(ctx context.Context, db pgx.Tx) (seq state.Seq, xid string, head audit.Head, err error) {
	var b pgx.Batch
	b.Queue("SELECT set_config('synchronous_commit', $1, true)", commitOf(db.Conn()))
	b.Queue("UPDATE fado.counters SET seq = seq + 1 RETURNING seq, pg_current_xact_id()::text, audit_seq, audit_hash").QueryRow(func(row pgx.Row) error {
		return row.Scan((*int64)(&seq), &xid, &head.Seq, &head.Hash)
	})
	return seq, xid, head, db.SendBatch(ctx, &b).Close()
}

// committed asks what became of a transaction whose commit was not answered because the
// connection broke: an error must leave the store as it was.
func (s catalogue) committed(xid string, err error) bool {
	if !broken(err) || isOwn(err) {
		return false
	}
	ctx, cancel := context.WithTimeout(s.db.done, s.db.o.ConnectTimeout)
	defer cancel()
	for {
		status, _, err := one[string](ctx, s.db.pool, "SELECT coalesce(pg_xact_status($1::text::xid8), '')", xid)
		if err == nil && status != "in progress" || ctx.Err() != nil {
			return status == "committed"
		}
	}
}

// finish does what has to wait for the last word of f. What touches pending and pulled
// rows comes last: see fado.order_objects.
func (t *tx) finish() error {
	t.queueAudit()
	if err := t.writeChanges(); err != nil {
		return err
	}
	if len(t.buckets) > 0 || len(t.removed) > 0 {
		// Millions of rows may go with a bucket.
		t.batch.Queue("SELECT set_config('statement_timeout', $1, true)", millis(t.s.patience(updating)))
	}
	if len(t.buckets) > 0 {
		queueForgetting(&t.batch, t.buckets)
	}
	if err := t.removeForgotten(); err != nil {
		return err
	}
	if len(t.buckets) > 0 {
		t.batch.Queue("DELETE FROM fado.pending WHERE bucket = ANY ($1)", t.buckets)
		t.batch.Queue("DELETE FROM fado.pulled WHERE bucket = ANY ($1)", t.buckets)
	}
	if err := t.removeUnneeded(); err != nil {
		return err
	}
	t.batch.Queue("SELECT pg_notify('fado', 'changes')")
	return t.flush()
}

// Get implements state.Tx.
func (t *tx) Get(k catalog.Kind, name string) (r state.Record, err error) {
	err = t.do("reading "+string(k), func() error {
		if err := t.flush(); err != nil {
			return err
		}
		r, err = t.s.get(t.ctx, t.db, k, name)
		return err
	})
	return r, err
}

// List implements state.Tx.
func (t *tx) List(k catalog.Kind, after string, limit int) (all []state.Record, err error) {
	err = t.do("listing "+string(k), func() error {
		if err := t.flush(); err != nil {
			return err
		}
		all, err = t.s.records(t.ctx, t.db, pageOfResources, string(k), after, noLimit(limit))
		return err
	})
	return all, err
}

// putRecord writes a resource and brings referrers in line: $6 are its references as
// fado.referrers would name them.
const putRecord = `WITH gone AS (
		DELETE FROM fado.referrers WHERE kind = $1 AND name = $2
			AND (to_kind, to_name) NOT IN (SELECT * FROM unnest($6::text[], $7::text[]))),
	added AS (
		INSERT INTO fado.referrers (to_kind, to_name, kind, name)
		SELECT k, n, $1, $2 FROM unnest($6::text[], $7::text[]) AS t (k, n)
		ON CONFLICT DO NOTHING)
	INSERT INTO fado.resources (kind, name, rev, body, refs) VALUES ($1, $2, $3, $4, $5)
	ON CONFLICT (kind, name) DO UPDATE SET rev = excluded.rev, body = excluded.body, refs = excluded.refs`

// Put implements state.Tx.
func (t *tx) Put(r state.Record) error {
	return t.do("writing "+string(r.Kind), func() error {
		if slices.Contains(catalog.SecretKinds, r.Kind) {
			if err := (seals{t.s}).followSeal(t.ctx, t.db); err != nil {
				return err
			}
		}
		body, err := t.s.seal.Load().sealer.Seal(r.Kind, r.Name, r.Body)
		if err != nil {
			return ownError{err}
		}
		refs, err := stored.EncodeRefs(r.Refs)
		if err != nil {
			return ownError{err}
		}
		kinds, names := make([]string, len(r.Refs)), make([]string, len(r.Refs))
		for i, to := range r.Refs {
			kinds[i], names[i] = string(to.Kind), to.Name
		}
		t.log.Resource(r.Kind, r.Name, false)
		return t.queue(putRecord, string(r.Kind), r.Name, int64(t.seq), string(body), refs, kinds, names)
	})
}

// Delete implements state.Tx.
func (t *tx) Delete(k catalog.Kind, name string) error {
	return t.do("deleting "+string(k), func() error {
		if err := t.flush(); err != nil {
			return err
		}
		tag, err := t.db.Exec(t.ctx, "DELETE FROM fado.resources WHERE kind = $1 AND name = $2", string(k), name)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return notFound(k, name)
		}
		t.log.Resource(k, name, true)
		if err := t.queue("DELETE FROM fado.referrers WHERE kind = $1 AND name = $2", string(k), name); err != nil || k != catalog.KindBucket {
			return err
		}
		tag, err = t.db.Exec(t.ctx, "DELETE FROM fado.copies WHERE bucket = $1", name)
		if err == nil && tag.RowsAffected() > 0 {
			t.log.Copies(name)
		}
		t.buckets = append(t.buckets, name)
		return err
	})
}

// Referrers implements state.Tx.
func (t *tx) Referrers(to state.Ref, limit int) (all []state.Ref, err error) {
	err = t.do("looking for referrers", func() error {
		if err := t.flush(); err != nil {
			return err
		}
		all, err = collect(t.ctx, t.db, func(r pgx.Rows) (ref state.Ref, err error) {
			return ref, r.Scan((*string)(&ref.Kind), &ref.Name)
		}, "SELECT kind, name FROM fado.referrers WHERE to_kind = $1 AND to_name = $2 ORDER BY kind, name LIMIT $3",
			string(to.Kind), to.Name, noLimit(limit))
		return err
	})
	return all, err
}

func (s catalogue) Get(ctx context.Context, k catalog.Kind, name string) (r state.Record, err error) {
	err = s.db.read(ctx, "reading "+string(k), func(ctx context.Context, q querier) (err error) {
		r, err = s.db.get(ctx, q, k, name)
		return err
	})
	if err != nil {
		return state.Record{}, err
	}
	return r, nil
}

func (s catalogue) Records(ctx context.Context, k catalog.Kind, names ...string) (all []state.Record, err error) {
	err = s.db.read(ctx, "reading "+string(k), func(ctx context.Context, q querier) (err error) {
		all, err = s.db.records(ctx, q, "SELECT "+recordColumns+" FROM fado.resources WHERE kind = $1 AND name = ANY($2) ORDER BY name", string(k), names)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (s catalogue) List(ctx context.Context, k catalog.Kind, after string, limit int) (all []state.Record, err error) {
	err = s.db.read(ctx, "listing "+string(k), func(ctx context.Context, q querier) (err error) {
		all, err = s.db.records(ctx, q, pageOfResources, string(k), after, noLimit(limit))
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (s catalogue) Each(ctx context.Context, k catalog.Kind, f func(state.Record) error) error {
	after := ""
	return stored.Pages(func() ([]state.Record, error) { return s.List(ctx, k, after, stored.PageRows) },
		func(r state.Record) error {
			after = r.Name
			return f(r)
		})
}

func (s *core) get(ctx context.Context, q querier, k catalog.Kind, name string) (state.Record, error) {
	all, err := s.records(ctx, q, "SELECT "+recordColumns+" FROM fado.resources WHERE kind = $1 AND name = $2", string(k), name)
	if err != nil {
		return state.Record{}, err
	}
	if len(all) == 0 {
		return state.Record{}, notFound(k, name)
	}
	return all[0], nil
}

// pageOfResources reads those of a kind after a name.
const pageOfResources = "SELECT " + recordColumns + " FROM fado.resources WHERE kind = $1 AND name > $2 ORDER BY name LIMIT $3"

func notFound(k catalog.Kind, name string) error {
	return fmt.Errorf("%s %s: %w", k, name, state.ErrNotFound)
}
