package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// write is one resource's write on its way through a transaction: preconditions, the new
// value, its validation and its effect on others are all judged inside.
type write struct {
	ref  state.Ref
	pre  Precondition
	next func(now catalog.Resource) (catalog.Resource, error)

	res              catalog.Resource
	item             Item
	rec              state.Record
	created, changed bool
}

// errUnchanged rolls a write back that would change nothing.
var errUnchanged = errors.New("nothing to change")

func unlessUnchanged(err error) error {
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

func (s *Resources) commit(ctx context.Context, w *write) error {
	err := s.c.commit(ctx, change{
		about: []state.Ref{w.ref},
		run:   func(tx state.Tx) error { return s.write(ctx, tx, w) },
		edit: func(e *routing.Editor) {
			if !s.c.declared().has(w.ref) {
				record.Put(e, w.res)
			}
		},
		then: func(seq state.Seq) {
			w.item.ETag, w.rec.Rev = revTag(seq), seq
			s.c.mirror.NoteResource(w.ref, &w.rec)
		},
	})
	return unlessUnchanged(err)
}

func (s *Resources) write(ctx context.Context, tx state.Tx, w *write) error {
	if s.c.declared().has(w.ref) {
		return fmt.Errorf("%s %s: %w", w.ref.Kind, w.ref.Name, ErrConfigOwned)
	}
	now, rec, err := record.Read(tx, w.ref.Kind, w.ref.Name)
	if err != nil {
		return err
	}
	if err := w.pre.check(now != nil, revTag(rec.Rev)); err != nil {
		return fmt.Errorf("%s %s: %w", w.ref.Kind, w.ref.Name, err)
	}
	var given catalog.Resource
	if now != nil {
		given = now.Clone()
	}
	if w.res, err = w.next(given); err != nil {
		return err
	}
	w.res.Normalize()
	w.created, w.changed = now == nil, true
	if w.rec, err = record.Encode(w.res); err != nil {
		return err
	}
	w.item = Item{Resource: w.res.Clone(), Origin: OriginAPI, ETag: revTag(rec.Rev)}
	if now != nil && bytes.Equal(w.rec.Body, rec.Body) {
		w.changed = false
		return errUnchanged
	}
	if err := s.c.validate(tx, w.res); err != nil {
		return err
	}
	if err := s.keepsStorage(now, w.res); err != nil {
		return err
	}
	if err := tx.Put(w.rec); err != nil {
		return err
	}
	return s.audit(s.c.auditor(ctx, tx), w.ref, now, w.res)
}

// audit records a change, which the transaction has, and what it makes policies allow.
func (s *Resources) audit(a *auditor, ref state.Ref, before, after catalog.Resource) error {
	if err := a.changed(ref, before, after); err != nil || ref.Kind == catalog.KindBucket || ref.Kind == catalog.KindKey {
		return err
	}
	return a.allowed()
}

// keepsStorage refuses to take the storage away from a cluster that buckets have copies in, as
// its removal is refused.
func (s *Resources) keepsStorage(now, next catalog.Resource) error {
	was, ok := now.(*catalog.Cluster)
	is, _ := next.(*catalog.Cluster)
	if !ok || is == nil || was.Storage == nil || is.Storage != nil {
		return nil
	}
	if by := s.holding(was.Name); len(by) > 0 {
		return inUse(record.RefTo(was), "keeps in its storage data of", by)
	}
	return nil
}
