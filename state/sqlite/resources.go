package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/internal/stored"
)

// catalogue implements [state.Catalogue].
type catalogue struct{ db *core }

// Update implements state.Catalogue. f must not call Update or another writing method of
// the store: there is one writer, and f has it.
func (s catalogue) Update(ctx context.Context, f func(tx state.Tx) error) (state.Seq, error) {
	return s.update(ctx, durable, f)
}

// UpdateProgress is Update for what a power cut may take back, though a crash may not.
func (s catalogue) UpdateProgress(ctx context.Context, f func(tx state.Tx) error) (state.Seq, error) {
	return s.update(ctx, progress, f)
}

func (s catalogue) update(ctx context.Context, d durability, f func(tx state.Tx) error) (state.Seq, error) {
	const doing = "changing the catalogue"
	if err := s.db.w.take(ctx); err != nil {
		return 0, s.db.wrap(doing, err)
	}
	defer s.db.w.give()
	var seq state.Seq
	var fErr error
	err := s.db.w.transact(ctx, d, func(w *writer) (err error) {
		t := &tx{s: s.db, w: w}
		if t.seq, t.audit.Head, err = begin(w); err != nil {
			return err
		}
		seq = t.seq
		defer func() { t.w = nil }() // of no use after f
		if fErr = f(t); fErr != nil {
			return fErr
		}
		return t.finish()
	})
	switch {
	case fErr != nil:
		return 0, fErr
	case err != nil:
		return 0, s.db.wrap(doing, err)
	}
	s.db.watch.Wake()
	return seq, nil
}

// tx implements state.Tx within Update.
type tx struct {
	s       *core
	w       *writer
	seq     state.Seq
	log     stored.ChangeLog
	removed []stored.CopyKey // copies deleted, whose pending rows finish looks at
	audit   stored.AuditLog
	err     error // the first failure: a transaction that had one can't commit
}

var errTxEnded = errors.New("the transaction has ended")

// do runs a step of the transaction and remembers its failure, so that an f that
// drops an error can't commit half of what it meant.
func (t *tx) do(doing string, f func() error) error {
	if t.w == nil {
		return errTxEnded
	}
	err := f()
	if err == nil || errors.Is(err, state.ErrNotFound) {
		return err
	}
	err = t.s.wrap(doing, err)
	t.err = errors.Join(t.err, err)
	return err
}

// finish does what has to wait for the last word of f.
func (t *tx) finish() error {
	if t.err != nil {
		return t.err
	}
	if err := removeUnneeded(t.w, t.removed); err != nil {
		return err
	}
	if err := removeForgotten(t.w, t.removed); err != nil {
		return err
	}
	if err := t.writeAudit(); err != nil {
		return err
	}
	if err := t.writeCounters(); err != nil {
		return err
	}
	return writeChanges(t.w, t.seq, t.log.Changes)
}

// writeCounters stores the catalogue's revision and the end of the audit records, where the
// transaction moved them.
func (t *tx) writeCounters() error {
	var err error
	switch recorded := len(t.audit.Records) > 0; {
	case recorded && t.log.Revises():
		_, err = t.w.exec("UPDATE counters SET revision = ?, audit_seq = ?, audit_hash = ?", int64(t.seq), t.audit.Head.Seq, t.audit.Head.Hash)
	case recorded:
		_, err = t.w.exec("UPDATE counters SET audit_seq = ?, audit_hash = ?", t.audit.Head.Seq, t.audit.Head.Hash)
	case t.log.Revises():
		_, err = t.w.exec("UPDATE counters SET revision = ?", int64(t.seq))
	}
	return err
}

// Get implements state.Tx.
func (t *tx) Get(k catalog.Kind, name string) (r state.Record, err error) {
	err = t.do("reading "+string(k), func() error {
		all, err := t.s.records(t.w, oneResource, string(k), name)
		r, err = only(all, err, k, name)
		return err
	})
	return r, err
}

// List implements state.Tx.
func (t *tx) List(k catalog.Kind, after string, limit int) (all []state.Record, err error) {
	err = t.do("listing "+string(k), func() error {
		all, err = t.s.records(t.w, pageOfResources, string(k), after, noLimit(limit))
		return err
	})
	return all, err
}

// Put implements state.Tx.
func (t *tx) Put(r state.Record) error {
	return t.do("writing "+string(r.Kind), func() error {
		body, err := t.s.sealer.Seal(r.Kind, r.Name, r.Body)
		if err != nil {
			return err
		}
		refs, err := stored.EncodeRefs(r.Refs)
		if err != nil {
			return err
		}
		if err := t.replaceReferrers(r, refs); err != nil {
			return err
		}
		_, err = t.w.exec(`INSERT INTO resources (kind, name, rev, body, refs) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (kind, name) DO UPDATE SET rev = excluded.rev, body = excluded.body, refs = excluded.refs`,
			string(r.Kind), r.Name, int64(t.seq), string(body), refs)
		t.log.Resource(r.Kind, r.Name, false)
		return err
	})
}

// replaceReferrers brings the referrers table in line with a record's references.
func (t *tx) replaceReferrers(r state.Record, refs string) error {
	old, _, err := one[string](t.w, "SELECT refs FROM resources WHERE kind = ? AND name = ?", string(r.Kind), r.Name)
	if err != nil || old == refs {
		return err
	}
	if err := removeReferrers(t.w, r.Kind, r.Name, old); err != nil {
		return err
	}
	for _, to := range r.Refs {
		if _, err := t.w.exec("INSERT OR IGNORE INTO referrers (to_kind, to_name, kind, name) VALUES (?, ?, ?, ?)",
			string(to.Kind), to.Name, string(r.Kind), r.Name); err != nil {
			return err
		}
	}
	return nil
}

func removeReferrers(w *writer, k catalog.Kind, name, refs string) error {
	for _, to := range stored.DecodeRefs(refs) {
		if _, err := w.exec("DELETE FROM referrers WHERE to_kind = ? AND to_name = ? AND kind = ? AND name = ?",
			string(to.Kind), to.Name, string(k), name); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements state.Tx.
func (t *tx) Delete(k catalog.Kind, name string) error {
	return t.do("deleting "+string(k), func() error {
		refs, ok, err := one[string](t.w, "DELETE FROM resources WHERE kind = ? AND name = ? RETURNING refs", string(k), name)
		if err != nil {
			return err
		}
		if !ok {
			return notFound(k, name)
		}
		t.log.Resource(k, name, true)
		if err := removeReferrers(t.w, k, name, refs); err != nil || k != catalog.KindBucket {
			return err
		}
		for _, text := range [...]string{"DELETE FROM pending WHERE bucket = ?", "DELETE FROM pulled WHERE bucket = ?"} {
			if _, err := t.w.exec(text, name); err != nil {
				return err
			}
		}
		if err := removeIntents(t.w, name); err != nil {
			return err
		}
		n, err := t.w.exec("DELETE FROM copies WHERE bucket = ?", name)
		if n > 0 {
			t.log.Copies(name)
		}
		return err
	})
}

// Referrers implements state.Tx.
func (t *tx) Referrers(to state.Ref, limit int) (all []state.Ref, err error) {
	err = t.do("looking for referrers", func() error {
		all, err = collect(t.w, func(rows *sql.Rows) (r state.Ref, err error) {
			return r, rows.Scan((*string)(&r.Kind), &r.Name)
		}, "SELECT kind, name FROM referrers WHERE to_kind = ? AND to_name = ? ORDER BY kind, name LIMIT ?",
			string(to.Kind), to.Name, noLimit(limit))
		return err
	})
	return all, err
}

func (s catalogue) Get(ctx context.Context, k catalog.Kind, name string) (state.Record, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Record
		all, err = s.db.records(s.db.r, oneResource, string(k), name)
		var r state.Record
		if r, err = only(all, err, k, name); err == nil {
			return r, nil
		}
	}
	return state.Record{}, s.db.wrap("reading "+string(k), err)
}

func (s catalogue) Records(ctx context.Context, k catalog.Kind, names ...string) ([]state.Record, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Record
		if all, err = s.db.records(s.db.r, namedResources, string(k), stored.EncodeNames(names)); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("reading "+string(k), err)
}

func (s catalogue) List(ctx context.Context, k catalog.Kind, after string, limit int) ([]state.Record, error) {
	err := s.db.reading(ctx)
	if err == nil {
		var all []state.Record
		if all, err = s.db.records(s.db.r, pageOfResources, string(k), after, noLimit(limit)); err == nil {
			return all, nil
		}
	}
	return nil, s.db.wrap("listing "+string(k), err)
}

func (s catalogue) Each(ctx context.Context, k catalog.Kind, f func(state.Record) error) error {
	after := ""
	return stored.Pages(func() ([]state.Record, error) { return s.List(ctx, k, after, stored.PageRows) },
		func(r state.Record) error {
			after = r.Name
			return f(r)
		})
}

// What is read of resources.
const (
	oneResource    = "SELECT kind, name, rev, body, refs FROM resources WHERE kind = ? AND name = ?"
	namedResources = `SELECT kind, name, rev, body, refs FROM resources
		WHERE kind = ? AND name IN (SELECT value FROM json_each(?)) ORDER BY name`
	pageOfResources = "SELECT kind, name, rev, body, refs FROM resources WHERE kind = ? AND name > ? ORDER BY name LIMIT ?"
)

// records reads resources, their secrets opened.
func (s *core) records(q querier, text string, args ...any) ([]state.Record, error) {
	all, err := collect(q, scanRecord, text, args...)
	if err != nil {
		return nil, err
	}
	return all, s.unseal(all)
}

// only returns the record of a resource that was read by its name.
func only(all []state.Record, err error, k catalog.Kind, name string) (state.Record, error) {
	switch {
	case err != nil:
		return state.Record{}, err
	case len(all) == 0:
		return state.Record{}, notFound(k, name)
	default:
		return all[0], nil
	}
}

func (s *core) unseal(all []state.Record) error {
	for i := range all {
		body, err := s.sealer.Open(all[i].Kind, all[i].Name, all[i].Body)
		if err != nil {
			return err
		}
		all[i].Body = body
	}
	return nil
}

func scanRecord(rows *sql.Rows) (r state.Record, err error) {
	var refs string
	if err := rows.Scan((*string)(&r.Kind), &r.Name, (*int64)(&r.Rev), (*[]byte)(&r.Body), &refs); err != nil {
		return r, err
	}
	r.Refs = stored.DecodeRefs(refs)
	return r, nil
}

func notFound(k catalog.Kind, name string) error {
	return fmt.Errorf("%s %s: %w", k, name, state.ErrNotFound)
}

// noLimit turns the contract's 0 into SQLite's -1.
func noLimit(limit int) int {
	if limit <= 0 {
		return -1
	}
	return limit
}
