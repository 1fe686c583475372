package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Attachment is a configuration's hold on the catalogue.
type Attachment struct {
	of   *attachments
	decl *declared
}

// attachments are the configurations that are attached. The most recent one is in force.
type attachments struct {
	*core
	copies *Copies
	pulled *Pulled
	issues *Issues

	turn chan struct{} // held while one is attached or detached
	list []*Attachment
}

// attach makes a configuration the one in force. An error changes nothing.
func (s *attachments) attach(ctx context.Context, decl *declared) (*Attachment, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another configuration's change: %w", ctx.Err())
	}
	if err := s.checkAgainstStore(ctx, decl); err != nil {
		return nil, err
	}
	if err := s.checkHere(decl); err != nil {
		return nil, err
	}
	s.auditConfigured(ctx, decl)
	if err := s.enforce(ctx, decl); err != nil {
		return nil, err
	}
	a := &Attachment{of: s, decl: decl}
	s.list = append(s.list, a)
	return a, nil
}

// Detach takes the configuration's resources back. It may be called more than once.
func (a *Attachment) Detach() {
	ctx := context.Background()
	if a.of.detach(ctx, a) {
		a.of.hooks.answering(ctx)
		a.of.anyChanged("detached")
	}
}

func (s *attachments) detach(ctx context.Context, a *Attachment) bool {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	i := slices.Index(s.list, a)
	if i < 0 {
		return false
	}
	last := i == len(s.list)-1
	s.list = slices.Delete(s.list, i, i+1)
	switch {
	case len(s.list) == 0:
		// The process ends, or another store replaces this one: what was declared stays in
		// memory until then, so that the last requests still find their way.
	case last:
		s.auditConfigured(ctx, s.list[len(s.list)-1].decl)
		if err := s.enforce(ctx, s.list[len(s.list)-1].decl); err != nil {
			s.log.Error("could not return to the former configuration; the resources of the ended one stay until the next", zap.Error(err))
			break
		}
		s.forgetUndeclared(ctx, a.decl)
	default:
		s.forgetUndeclared(ctx, a.decl)
	}
	return true
}

// enforce makes next's resources those in the snapshot, in place of the ones in force
// now. The caller holds the turn.
func (s *attachments) enforce(ctx context.Context, next *declared) error {
	r := s.order.Read(append(s.declared().refs(), next.refs()...)...)
	defer r.Drop()
	left, err := s.undeclared(ctx, next)
	if err != nil {
		return err
	}
	copies, err := s.copiesOf(ctx, next.cfg.Buckets)
	if err != nil {
		return err
	}
	again := r.Publish(func(e *routing.Editor, stale func(state.Ref) bool) {
		for ref, res := range left {
			switch {
			case stale(ref):
			case res == nil:
				e.Delete(ref.Kind, ref.Name)
			default:
				record.Put(e, res)
			}
		}
		for _, res := range next.cfg.resources() {
			record.PutDeclared(e, res)
		}
		for b, cs := range copies {
			if !stale(record.Bucket(b)) {
				e.SetCopies(b, cs)
			}
		}
		next.apply(e)
	}, func() { s.inForce.Store(next) })
	if err := s.order.Refresh(ctx, s.store().Catalogue(), whole(again), nil); err != nil {
		return err
	}
	s.warnOfMissing(ctx, left)
	return s.loadObjectsOf(ctx, next.cfg.Buckets)
}

// warnOfMissing logs what is declared no more although resources of the API refer to it.
func (s *attachments) warnOfMissing(ctx context.Context, left map[state.Ref]catalog.Resource) {
	if len(left) == 0 {
		return
	}
	_, err := s.store().Catalogue().Update(ctx, func(tx state.Tx) error {
		for ref, res := range left {
			if res != nil {
				continue
			}
			by, err := tx.Referrers(ref, maxNamed+1)
			if err != nil {
				return err
			}
			if len(by) > 0 {
				s.log.Warn("the configuration no longer declares what resources of the API refer to; what depends on it is refused, and keeps its copies, until it is declared again",
					zap.String("kind", string(ref.Kind)), zap.String("name", ref.Name), zap.String("reason", inUse(ref, "is referred to by", by).Error()))
			}
		}
		return nil
	})
	if err != nil {
		s.log.Warn("could not look for what refers to what is no longer declared", zap.Error(err))
	}
}

// undeclared says what each name is to be that the configuration in force declares and the
// next one does not: the API's resource, or nothing.
func (s *attachments) undeclared(ctx context.Context, next *declared) (map[state.Ref]catalog.Resource, error) {
	left := make(map[state.Ref]catalog.Resource)
	for _, ref := range s.declared().refs() {
		if next.has(ref) {
			continue
		}
		rec, err := s.store().Catalogue().Get(ctx, ref.Kind, ref.Name)
		if errors.Is(err, state.ErrNotFound) {
			left[ref] = nil
			continue
		}
		if err != nil {
			return nil, err
		}
		if left[ref], err = record.Decode(rec); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// checkHere refuses a configuration that says that this instance is in a cluster which neither
// it declares nor the API has made.
func (s *attachments) checkHere(d *declared) error {
	here := d.cfg.Here
	if here == "" || d.has(state.Ref{Kind: catalog.KindCluster, Name: here}) {
		return nil
	}
	if s.router.Snapshot().Cluster(here) != nil && !s.declared().has(state.Ref{Kind: catalog.KindCluster, Name: here}) {
		return nil
	}
	return &catalog.ValidationError{Violations: []catalog.Violation{{
		Field: "node: cluster", Value: here, Expected: "a cluster that is declared, here or through the API",
	}}}
}

func (s *attachments) copiesOf(ctx context.Context, buckets []*catalog.Bucket) (map[string][]catalog.Copy, error) {
	copies := make(map[string][]catalog.Copy)
	for _, b := range buckets {
		rows, err := s.store().Catalogue().CopiesOf(ctx, b.Name)
		if err != nil {
			return nil, fmt.Errorf("loading the copies of bucket %s: %w", b.Name, err)
		}
		copies[b.Name] = record.Routed(rows)
	}
	return copies, nil
}

// loadObjectsOf makes the stored rows of buckets exceptions again, and takes in what was
// pulled of them.
func (s *attachments) loadObjectsOf(ctx context.Context, buckets []*catalog.Bucket) error {
	for _, b := range buckets {
		if err := s.copies.reloadPending(ctx, b.Name, ""); err != nil {
			return err
		}
	}
	return s.pulled.loadOf(ctx, buckets)
}

// checkAgainstStore compares a configuration with what the API made: a name in both
// is a warning (the configuration wins), a storage shared with an API-made cluster an
// error.
func (s *attachments) checkAgainstStore(ctx context.Context, d *declared) error {
	for _, ref := range d.refs() {
		if _, err := s.store().Catalogue().Get(ctx, ref.Kind, ref.Name); err == nil {
			s.log.Warn("declared by the configuration and made by the API: the configuration wins",
				zap.String("kind", string(ref.Kind)), zap.String("name", ref.Name))
		} else if !errors.Is(err, state.ErrNotFound) {
			return err
		}
	}
	recs, err := s.store().Catalogue().List(ctx, catalog.KindCluster, "", 0)
	if err != nil {
		return err
	}
	var all []catalog.Violation
	for _, rec := range recs {
		res, err := record.Decode(rec)
		if err != nil {
			return err
		}
		if cl := res.(*catalog.Cluster); !d.has(record.RefTo(cl)) {
			if other := catalog.SharedStorage(cl, configLookup{d}); other != "" {
				all = append(all, catalog.Violation{
					Field: "cluster " + other + ": storage", Value: cl.Storage.Endpoint,
					Expected: "a storage and bucket prefix that no other cluster has; the API-made cluster " + cl.Name + " has them",
				})
			}
		}
	}
	if len(all) > 0 {
		return &catalog.ValidationError{Violations: all}
	}
	return nil
}

// forgetUndeclared is called when a configuration has gone for good: the copies of
// buckets that no longer exist are not watched from now on, so that, were the bucket
// declared again, they must be compared before they count as synced.
func (s *attachments) forgetUndeclared(ctx context.Context, gone *declared) {
	for _, b := range gone.cfg.Buckets {
		if s.router.Snapshot().Bucket(b.Name) != nil {
			continue
		}
		if err := s.copies.unwatch(ctx, b.Name); err != nil {
			s.log.Error("could not mark the copies of an undeclared bucket; they are not compared if it is declared again",
				zap.String("bucket", b.Name), zap.Error(err))
		}
		s.router.Pulled.RemoveAll(b.Name)
		s.issues.forget(b.Name)
	}
}
