package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Resources reads and changes zones, clusters, policies, buckets and keys. An answer to a change
// comes when every instance that is alive routes by it.
type Resources struct {
	c      *core
	copies *Copies
	issues *Issues
}

// Origin says who declares a resource that there is.
func (s *Resources) Origin(k catalog.Kind, name string) Origin {
	if s.c.declared().byName[k][name] != nil {
		return OriginConfig
	}
	return OriginAPI
}

// List returns items of a kind sorted by name, after a name, at most limit (0: all).
func (s *Resources) List(ctx context.Context, k catalog.Kind, after string, limit int) ([]Item, error) {
	recs, err := s.c.store().Catalogue().List(ctx, k, after, limit)
	if err != nil {
		return nil, err
	}
	items, err := s.items(k, recs, func(name string) bool { return name > after })
	if limit > 0 && len(items) > limit {
		items = items[:limit]
	}
	return items, err
}

// Named returns the items of some names, sorted by name; those that are not there are left out.
// names is sorted.
func (s *Resources) Named(ctx context.Context, k catalog.Kind, names []string) ([]Item, error) {
	recs, err := s.c.store().Catalogue().Records(ctx, k, names...)
	if err != nil {
		return nil, err
	}
	return s.items(k, recs, func(name string) bool {
		_, found := slices.BinarySearch(names, name)
		return found
	})
}

// items are those of records, and the ones of the configuration that are asked for, sorted.
func (s *Resources) items(k catalog.Kind, recs []state.Record, asked func(name string) bool) ([]Item, error) {
	cfg := s.c.declared()
	items := make([]Item, 0, len(recs))
	for _, r := range recs {
		if _, ok := cfg.byName[k][r.Name]; ok {
			continue
		}
		it, err := itemOf(r)
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	for name, res := range cfg.byName[k] {
		if asked(name) {
			items = append(items, configItem(res))
		}
	}
	slices.SortFunc(items, func(a, b Item) int {
		return strings.Compare(a.Resource.ResourceName(), b.Resource.ResourceName())
	})
	return items, nil
}

// Get returns one item, or ErrNotFound. It waits for no change.
func (s *Resources) Get(ctx context.Context, k catalog.Kind, name string) (Item, error) {
	if res, ok := s.c.declared().byName[k][name]; ok {
		return configItem(res), nil
	}
	r, err := s.c.store().Catalogue().Get(ctx, k, name)
	if err != nil {
		return Item{}, err
	}
	return itemOf(r)
}

// Create adds a resource; ErrExists if there is one of that name.
func (s *Resources) Create(ctx context.Context, r catalog.Resource) (Item, error) {
	it, _, err := s.Replace(ctx, r, Precondition{IfNoneMatchAny: true}, nil)
	if errors.Is(err, ErrPrecondition) || errors.Is(err, ErrConfigOwned) {
		err = fmt.Errorf("%s %s: %w", r.ResourceKind(), r.ResourceName(), ErrExists)
	}
	return it, err
}

// Replace creates or replaces a resource and says whether it was created. complete,
// when given, is called within the change with a copy of r and the resource that is
// there now (nil for none) and may complete the copy from it: the admin API fills
// "***" in with the stored secret. Replacing a resource with an equal one changes
// nothing, its ETag included.
func (s *Resources) Replace(ctx context.Context, r catalog.Resource, pre Precondition,
	complete func(r, now catalog.Resource) error,
) (it Item, created bool, err error) {
	w := &write{ref: record.RefTo(r), pre: pre, next: func(now catalog.Resource) (catalog.Resource, error) {
		next := r.Clone()
		if complete == nil {
			return next, nil
		}
		return next, complete(next, now)
	}}
	return s.change(ctx, w)
}

// Modify changes the item that is there by f, which returns its replacement.
func (s *Resources) Modify(ctx context.Context, k catalog.Kind, name string, pre Precondition,
	f func(now catalog.Resource) (catalog.Resource, error),
) (Item, error) {
	w := &write{ref: state.Ref{Kind: k, Name: name}, pre: pre, next: func(now catalog.Resource) (catalog.Resource, error) {
		if now == nil {
			return nil, fmt.Errorf("%s %s: %w", k, name, ErrNotFound)
		}
		return f(now)
	}}
	it, _, err := s.change(ctx, w)
	return it, err
}

// change runs one write to its answer.
func (s *Resources) change(ctx context.Context, w *write) (it Item, created bool, err error) {
	if err = s.commit(ctx, w); err != nil {
		return Item{}, false, err
	}
	if w.changed {
		op := OpChanged
		if w.created {
			op = OpCreated
		}
		s.c.hooks.answering(ctx)
		s.c.resourceChanged(ResourceChange{Kind: w.ref.Kind, Name: w.ref.Name, Op: op})
	}
	if err := s.c.members.Confirm(ctx); err != nil {
		return Item{}, false, err
	}
	return w.item, w.created, nil
}

// Delete removes a resource: ErrNotFound, ErrConfigOwned, ErrPrecondition,
// *InUseError. A bucket is forgotten: its data stays.
func (s *Resources) Delete(ctx context.Context, k catalog.Kind, name string, pre Precondition) error {
	return s.DeleteWith(ctx, k, name, pre, nil)
}

// DeleteWith is Delete with something to be stored in the same transaction: within runs
// right before the resource goes, and its error keeps the resource.
func (s *Resources) DeleteWith(ctx context.Context, k catalog.Kind, name string, pre Precondition, within func(state.Tx) error) error {
	ref := state.Ref{Kind: k, Name: name}
	if err := s.remove(ctx, ref, pre, within); err != nil {
		return err
	}
	s.c.hooks.answering(ctx)
	s.c.resourceChanged(ResourceChange{Kind: k, Name: name, Op: OpDeleted})
	return s.c.members.Confirm(ctx)
}

func (s *Resources) remove(ctx context.Context, ref state.Ref, pre Precondition, within func(state.Tx) error) error {
	err := s.c.commit(ctx, change{
		about: []state.Ref{ref},
		run:   func(tx state.Tx) error { return s.removeIn(ctx, tx, ref, pre, within) },
		edit: func(e *routing.Editor) {
			if !s.c.declared().has(ref) {
				e.Delete(ref.Kind, ref.Name)
			}
		},
		then: func(state.Seq) {
			s.c.mirror.NoteResource(ref, nil)
			if ref.Kind == catalog.KindBucket {
				s.c.router.Pulled.RemoveAll(ref.Name)
				s.issues.forget(ref.Name)
				s.c.signals.Fire(ref.Name)
			}
		},
	})
	if err != nil || ref.Kind != catalog.KindBucket {
		return err
	}
	// Its rows went with it.
	if err := s.copies.reloadPending(ctx, ref.Name, ""); err != nil {
		s.c.log.Warn("could not drop the exceptions of a deleted bucket; they cost memory until the next start",
			zap.String("bucket", ref.Name), zap.Error(err))
	}
	return nil
}

func (s *Resources) removeIn(ctx context.Context, tx state.Tx, ref state.Ref, pre Precondition, within func(state.Tx) error) error {
	if s.c.declared().has(ref) {
		return fmt.Errorf("%s %s: %w", ref.Kind, ref.Name, ErrConfigOwned)
	}
	now, rec, err := record.Read(tx, ref.Kind, ref.Name)
	if err != nil {
		return err
	}
	if now == nil {
		return fmt.Errorf("%s %s: %w", ref.Kind, ref.Name, ErrNotFound)
	}
	if err := pre.check(true, revTag(rec.Rev)); err != nil {
		return fmt.Errorf("%s %s: %w", ref.Kind, ref.Name, err)
	}
	if err := s.checkUnused(tx, ref); err != nil {
		return err
	}
	if within != nil {
		if err := within(tx); err != nil {
			return err
		}
	}
	if err := tx.Delete(ref.Kind, ref.Name); err != nil {
		return err
	}
	return s.audit(s.c.auditor(ctx, tx), ref, now, nil)
}

// checkUnused refuses the removal of what others refer to, or what a bucket has a
// copy in.
func (s *Resources) checkUnused(tx state.Tx, to state.Ref) error {
	by, err := tx.Referrers(to, maxNamed+1)
	if err != nil {
		return err
	}
	cfg := s.c.declared()
	by = slices.DeleteFunc(by, cfg.has)
	by = append(by, cfg.referrers(to)...)
	if len(by) == 0 && to.Kind == catalog.KindCluster {
		by = s.holding(to.Name)
	}
	if len(by) == 0 {
		return nil
	}
	refusal := inUse(to, "is referred to by", by)
	if to.Kind == catalog.KindCluster && slices.ContainsFunc(by, func(r state.Ref) bool { return r.Kind == catalog.KindBucket }) {
		refusal.Hint = "drain the cluster first, or, if its storage is lost for good, delete it with ?abandon=true"
	}
	return refusal
}

// holding returns buckets that have a copy, begun at least, in a cluster: data that
// FaDO answers for would be left behind unwatched. Drain the cluster first.
func (s *Resources) holding(cluster string) (by []state.Ref) {
	snap := s.c.router.Snapshot()
	if cl := snap.Cluster(cluster); cl == nil || cl.Storage == nil {
		return nil
	}
	snap.Buckets(func(b string) bool {
		for _, cp := range snap.Of(b).Copies() {
			if cp.Cluster == cluster && cp.State != catalog.CopyWaiting {
				by = append(by, record.Bucket(strings.Clone(b)))
				break
			}
		}
		return len(by) <= maxNamed
	})
	for _, o := range s.c.router.Pulled.List(func(_, _, in string) bool { return in == cluster }) {
		if ref := record.Bucket(o.Bucket); !slices.Contains(by, ref) && len(by) <= maxNamed {
			by = append(by, ref)
		}
	}
	slices.SortFunc(by, func(a, b state.Ref) int { return strings.Compare(a.Name, b.Name) })
	return by
}
