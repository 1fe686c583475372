package control

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Catalogue is one version of the catalogue: what the store held at a revision, and the
// configuration in force.
type Catalogue struct {
	*routing.Snapshot
	// Revision changes with every zone, cluster, policy and bucket that the API changes.
	Revision state.Seq

	decl *declared
	// ownDefault: the API made a policy of the name that the built-in one has.
	ownDefault bool
}

// Same reports whether two are of one version: the API changed nothing between them, and neither
// did the configuration.
func (c *Catalogue) Same(other *Catalogue) bool {
	return c.Revision == other.Revision && c.decl == other.decl && c.ownDefault == other.ownDefault
}

// Origin says who declares a resource, "" for nobody: the built-in policy, and what there
// is not.
func (c *Catalogue) Origin(k catalog.Kind, name string) Origin {
	ref := state.Ref{Kind: k, Name: name}
	switch {
	case c.decl.has(ref):
		return OriginConfig
	case !record.Known(c.Snapshot, ref):
		return ""
	case k == catalog.KindPolicy && name == catalog.DefaultPolicyName && !c.ownDefault:
		return ""
	default:
		return OriginAPI
	}
}

// Catalogue returns the catalogue as it is now. Its snapshot may be newer than its revision,
// never older: a change based on it is refused where it might not fit.
func (s *Resources) Catalogue(ctx context.Context) (*Catalogue, error) {
	revision, err := s.c.store().Catalogue().Revision(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.c.members.CatchUp(ctx); err != nil {
		return nil, err
	}
	// Behind this turn, all that this instance committed is published.
	turn, err := s.c.order.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer turn.Drop()
	if err := turn.Enter(ctx); err != nil {
		return nil, err
	}
	c := &Catalogue{Snapshot: s.c.router.Snapshot(), Revision: revision, decl: s.c.declared()}
	_, err = s.c.store().Catalogue().Get(ctx, catalog.KindPolicy, catalog.DefaultPolicyName)
	if c.ownDefault = err == nil; err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, err
	}
	return c, nil
}

// Batch is a change of many resources at once.
type Batch struct {
	// Puts are what is to be there, normalized and valid where all of the batch is done.
	Puts    []catalog.Resource
	Deletes []state.Ref
}

// refs names all that a batch changes.
func (b *Batch) refs() []state.Ref {
	refs := make([]state.Ref, 0, len(b.Puts)+len(b.Deletes))
	for _, r := range b.Puts {
		refs = append(refs, record.RefTo(r))
	}
	return append(refs, b.Deletes...)
}

// Apply makes the changes of a batch that was made for one version of the catalogue, all of
// them or none, and returns the revision they made: ErrPrecondition if the catalogue has
// moved on, *InUseError. The batch must be valid for that version; nothing is validated again.
// Buckets are forgotten: their data stays. An empty batch changes nothing.
func (s *Resources) Apply(ctx context.Context, at *Catalogue, b Batch) (state.Seq, error) {
	if len(b.Puts)+len(b.Deletes) == 0 {
		return at.Revision, s.c.members.Confirm(ctx)
	}
	w := &batchWrite{s: s, at: at, Batch: b}
	err := s.c.commit(ctx, change{about: b.refs(), run: func(tx state.Tx) error { return w.run(ctx, tx) }, edit: w.edit, then: w.then})
	if err != nil {
		return 0, err
	}
	w.forget(ctx)
	s.c.hooks.answering(ctx)
	w.tell()
	return w.seq, s.c.members.Confirm(ctx)
}

// batchWrite is a batch on its way through a transaction.
type batchWrite struct {
	s  *Resources
	at *Catalogue
	Batch
	recs []state.Record // of Puts
	seq  state.Seq
}

func (w *batchWrite) run(ctx context.Context, tx state.Tx) error {
	revision, err := tx.Revision()
	if err != nil {
		return err
	}
	if revision != w.at.Revision || w.s.c.declared() != w.at.decl {
		return fmt.Errorf("the catalogue has changed, its revision is %d now: %w", revision, ErrPrecondition)
	}
	w.recs = w.recs[:0]
	a := w.s.c.auditor(ctx, tx)
	for _, r := range w.Puts {
		if cl, ok := r.(*catalog.Cluster); ok {
			if err := w.s.keepsStorage(orNone(w.at.Cluster(cl.Name)), cl); err != nil {
				return err
			}
		}
		rec, err := record.Encode(r)
		if err != nil {
			return err
		}
		w.recs = append(w.recs, rec)
		if err := tx.Put(rec); err != nil {
			return err
		}
		if err := a.changed(record.RefTo(r), w.before(record.RefTo(r)), r); err != nil {
			return err
		}
	}
	for _, ref := range w.Deletes {
		if err := w.delete(tx, ref); err != nil {
			return err
		}
		if err := a.changed(ref, w.before(ref), nil); err != nil {
			return err
		}
	}
	return a.allowed()
}

// before returns what the API made of a name before the batch.
func (w *batchWrite) before(ref state.Ref) catalog.Resource {
	if w.at.Origin(ref.Kind, ref.Name) == "" {
		return nil
	}
	switch ref.Kind {
	case catalog.KindZone:
		return w.at.Zone(ref.Name)
	case catalog.KindCluster:
		return w.at.Cluster(ref.Name)
	case catalog.KindPolicy:
		return w.at.Policy(ref.Name)
	default:
		return w.at.Bucket(ref.Name)
	}
}

// orNone returns a cluster as a resource that is nil where there is none.
func orNone(c *catalog.Cluster) catalog.Resource {
	if c == nil {
		return nil
	}
	return c
}

func (w *batchWrite) delete(tx state.Tx, ref state.Ref) error {
	if ref.Kind == catalog.KindCluster {
		if by := w.s.holding(ref.Name); len(by) > 0 {
			return inUse(ref, "keeps in its storage data of", by)
		}
	}
	return tx.Delete(ref.Kind, ref.Name)
}

func (w *batchWrite) edit(e *routing.Editor) {
	decl := w.s.c.declared() // a configuration may have come since the transaction began
	for _, r := range w.Puts {
		if !decl.has(record.RefTo(r)) {
			record.Put(e, r)
		}
	}
	for _, ref := range w.Deletes {
		if !decl.has(ref) {
			e.Delete(ref.Kind, ref.Name)
		}
	}
}

func (w *batchWrite) then(seq state.Seq) {
	w.seq = seq
	for i := range w.recs {
		w.recs[i].Rev = seq
		w.s.c.mirror.NoteResource(record.RefTo(w.Puts[i]), &w.recs[i])
	}
	for _, ref := range w.Deletes {
		w.s.c.mirror.NoteResource(ref, nil)
		if ref.Kind == catalog.KindBucket {
			w.s.c.router.Pulled.RemoveAll(ref.Name)
			w.s.issues.forget(ref.Name)
			w.s.c.signals.Fire(ref.Name)
		}
	}
}

// forget drops what memory knows of the objects of deleted buckets.
func (w *batchWrite) forget(ctx context.Context) {
	for _, ref := range w.Deletes {
		if ref.Kind != catalog.KindBucket {
			continue
		}
		if err := w.s.copies.reloadPending(ctx, ref.Name, ""); err != nil {
			w.s.c.log.Warn("could not drop the exceptions of a deleted bucket; they cost memory until the next start",
				zap.String("bucket", ref.Name), zap.Error(err))
		}
	}
}

// maxTold is how many changes of a batch are told one by one.
const maxTold = 1000

// tell tells hooks and watchers what changed.
func (w *batchWrite) tell() {
	if len(w.Puts)+len(w.Deletes) > maxTold {
		w.s.c.anyChanged("applied")
		return
	}
	for _, r := range w.Puts {
		op := OpChanged
		if w.at.Origin(r.ResourceKind(), r.ResourceName()) == "" {
			op = OpCreated
		}
		w.s.c.resourceChanged(ResourceChange{Kind: r.ResourceKind(), Name: r.ResourceName(), Op: op})
	}
	for _, ref := range w.Deletes {
		w.s.c.resourceChanged(ResourceChange{Kind: ref.Kind, Name: ref.Name, Op: OpDeleted})
	}
}

// Holding returns buckets that have a copy, begun at least, in a cluster.
func (s *Resources) Holding(cluster string) (buckets []string) {
	for _, ref := range s.holding(cluster) {
		buckets = append(buckets, ref.Name)
	}
	return buckets
}

// CheckBalance says what is wrong with the JSON of a selection policy.
func (s *Resources) CheckBalance(o catalog.RawObject) error { return s.c.checkBalance(o) }
