package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/follow"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// loader brings a whole store into memory.
type loader struct {
	*core
	pulled *Pulled
}

// use loads a store into memory and works on it from then on. With one that is shared
// this instance is a member from then on.
func (l *loader) use(ctx context.Context, store state.Store, node string) error {
	before := l.stored.Load()
	shared, _ := store.(state.Shared)
	var at follow.Position
	var err error
	if shared != nil {
		if at, err = follow.Start(ctx, shared); err == nil {
			l.exceptions.Follow(true)
		}
	}
	if err == nil {
		err = l.loadAll(ctx, store, &store)
	}
	if err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	if shared == nil {
		if err := store.Queue().ReleaseClaims(ctx, node); err != nil {
			return fmt.Errorf("releasing this node's earlier claims: %w", err)
		}
		return nil
	}
	if err := l.follower.Begin(ctx, shared, at); err != nil {
		l.stored.Store(before)
		return err
	}
	l.mirror.Start() //nolint:contextcheck // runs until Stop
	return nil
}

// loadAll loads exceptions, resources and copies from a store, and makes next the store in
// use in the step that publishes them.
func (l *loader) loadAll(ctx context.Context, from state.Store, next *state.Store) error {
	if err := l.loadObjects(ctx, from); err != nil {
		return err
	}
	return l.load(ctx, from, nil, func() { l.stored.Store(next) })
}

// load publishes all that a store holds. Between runs when that was read; then in the step
// that publishes it.
func (l *loader) load(ctx context.Context, from state.Store, between func(context.Context) error, then func()) error {
	r := l.order.ReadAll()
	defer r.Drop()
	snap, err := l.build(ctx, from)
	if err == nil && between != nil {
		err = between(ctx)
	}
	if err != nil {
		return err
	}
	again := r.PublishAll(snap, l.declared().apply, then)
	return l.order.Refresh(ctx, from.Catalogue(), whole(again), between)
}

// whole returns changes of everything about things.
func whole(refs []state.Ref) (all []*publish.Change) {
	for _, r := range refs {
		all = append(all, &publish.Change{Ref: r, Resource: true})
	}
	return all
}

// loadObjects makes the exceptions and the pulled objects those of the stored rows.
func (l *loader) loadObjects(ctx context.Context, from state.Store) error {
	r := l.exceptions.BeginReload("", "")
	err := from.Queue().EachPending(ctx, func(p state.Pending) error {
		r.Row(p)
		return nil
	})
	l.exceptions.EndReload(r, err)
	if err != nil {
		return err
	}
	return l.pulled.reload(ctx, from)
}

// build makes the snapshot of what a store holds, and of what the configuration in force
// declares. What is alive in the one before (endpoints, storages) stays.
func (l *loader) build(ctx context.Context, from state.Store) (*routing.Snapshot, error) {
	var failed error
	now := l.router.Snapshot()
	snap := now.Edit(func(e *routing.Editor) {
		gone := allNames(now)
		for _, k := range catalog.Kinds {
			failed = errors.Join(failed, from.Catalogue().Each(ctx, k, func(r state.Record) error {
				res, err := record.Decode(r)
				if err != nil {
					return err
				}
				delete(gone, state.Ref{Kind: k, Name: r.Name})
				record.Put(e, res)
				return nil
			}))
		}
		for _, r := range l.declared().cfg.resources() {
			delete(gone, record.RefTo(r))
			record.PutDeclared(e, r)
		}
		for ref := range gone {
			e.Delete(ref.Kind, ref.Name)
		}
		now.Buckets(func(b string) bool {
			e.SetCopies(b, nil) // those that have some get them now
			return true
		})
		failed = errors.Join(failed, loadCopies(ctx, from, e))
		l.declared().apply(e)
	})
	return snap, failed
}

// allNames lists all that a snapshot knows.
func allNames(s *routing.Snapshot) map[state.Ref]struct{} {
	all := make(map[state.Ref]struct{})
	add := func(k catalog.Kind, name string) bool {
		all[state.Ref{Kind: k, Name: strings.Clone(name)}] = struct{}{}
		return true
	}
	s.Zones(func(z *catalog.Zone) bool { return add(catalog.KindZone, z.Name) })
	s.Clusters(func(cl *catalog.Cluster) bool { return add(catalog.KindCluster, cl.Name) })
	s.Policies(func(p *catalog.Policy) bool {
		return p.Name == catalog.DefaultPolicyName || add(catalog.KindPolicy, p.Name)
	})
	s.Buckets(func(b string) bool { return add(catalog.KindBucket, b) })
	s.Keys(func(k *catalog.Key) bool { return add(catalog.KindKey, k.Name) })
	return all
}

// loadCopies streams the copies, which come ordered by bucket.
func loadCopies(ctx context.Context, from state.Store, e *routing.Editor) error {
	var bucket string
	var copies []catalog.Copy
	flush := func() {
		if len(copies) > 0 {
			e.SetCopies(bucket, copies)
		}
		copies = copies[:0]
	}
	err := from.Catalogue().EachCopy(ctx, func(cp state.Copy) error {
		if cp.Bucket != bucket {
			flush()
			bucket = cp.Bucket
		}
		copies = append(copies, cp.Routed())
		return nil
	})
	flush()
	return err
}
