package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// List returns items of a kind sorted by name, after a name, at most limit (0: all).
func (c *Control) List(ctx context.Context, k catalog.Kind, after string, limit int) ([]Item, error) {
	cfg := c.config()
	recs, err := c.Store().List(ctx, k, after, limit)
	if err != nil {
		return nil, err
	}
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
		if name > after {
			items = append(items, configItem(res))
		}
	}
	slices.SortFunc(items, func(a, b Item) int {
		return strings.Compare(a.Resource.ResourceName(), b.Resource.ResourceName())
	})
	if limit > 0 && len(items) > limit {
		items = items[:limit]
	}
	return items, nil
}

// Get returns one item, or ErrNotFound.
func (c *Control) Get(ctx context.Context, k catalog.Kind, name string) (Item, error) {
	if res, ok := c.config().byName[k][name]; ok {
		return configItem(res), nil
	}
	r, err := c.Store().Get(ctx, k, name)
	if err != nil {
		return Item{}, err
	}
	return itemOf(r)
}

// Create adds a resource; ErrExists if there is one of that name.
func (c *Control) Create(ctx context.Context, r catalog.Resource) (Item, error) {
	it, _, err := c.Replace(ctx, r, Precondition{IfNoneMatchAny: true}, nil)
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
func (c *Control) Replace(ctx context.Context, r catalog.Resource, pre Precondition,
	complete func(r, now catalog.Resource) error,
) (it Item, created bool, err error) {
	it, created, err = c.change(ctx, r.ResourceKind(), r.ResourceName(), pre, func(now catalog.Resource) (catalog.Resource, error) {
		next := r.Clone()
		if complete == nil {
			return next, nil
		}
		return next, complete(next, now)
	})
	return it, created, err
}

// Modify changes the item that is there by f, which returns its replacement.
func (c *Control) Modify(ctx context.Context, k catalog.Kind, name string, pre Precondition,
	f func(now catalog.Resource) (catalog.Resource, error),
) (Item, error) {
	it, _, err := c.change(ctx, k, name, pre, func(now catalog.Resource) (catalog.Resource, error) {
		if now == nil {
			return nil, fmt.Errorf("%s %s: %w", k, name, ErrNotFound)
		}
		return f(now)
	})
	return it, err
}

// change runs one write: preconditions, the new value, its validation and its effect
// on others are all judged inside the transaction that stores it.
func (c *Control) change(ctx context.Context, k catalog.Kind, name string, pre Precondition,
	next func(now catalog.Resource) (catalog.Resource, error),
) (it Item, created bool, err error) {
	w := &write{kind: k, name: name, pre: pre, next: next}
	if err = c.commit(ctx, w); err != nil {
		return Item{}, false, err
	}
	if w.changed {
		c.beforeAnswer(ctx)
		op := "changed"
		if w.created {
			op = "created"
		}
		c.bus.Emit(Event{Type: EventResource, Op: op, Kind: string(k), Name: name})
	}
	if err := c.Confirm(ctx); err != nil {
		return Item{}, false, err
	}
	return w.item, w.created, nil
}

// write is one resource write on its way through a transaction.
type write struct {
	kind catalog.Kind
	name string
	pre  Precondition
	next func(now catalog.Resource) (catalog.Resource, error)

	res              catalog.Resource
	item             Item
	rec              state.Record
	created, changed bool
}

func (c *Control) commit(ctx context.Context, w *write) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.inForce.byName[w.kind][w.name]; ok {
		return fmt.Errorf("%s %s: %w", w.kind, w.name, ErrConfigOwned)
	}
	seq, err := c.Store().Update(ctx, func(tx state.Tx) error { return w.run(tx, c) })
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if c.trouble.note(err) != nil {
		return err
	}
	w.item.ETag = revTag(seq)
	c.publish(func(e *routing.Editor) { put(e, w.res) })
	c.followed.made(seq)
	w.rec.Rev = seq
	c.mirrorResource(state.Ref{Kind: w.kind, Name: w.name}, &w.rec)
	return nil
}

// errUnchanged rolls a write back that would change nothing.
var errUnchanged = errors.New("nothing to change")

func (w *write) run(tx state.Tx, c *Control) error {
	now, rec, err := readRecord(tx, w.kind, w.name)
	if err != nil {
		return err
	}
	if err := w.pre.check(now != nil, revTag(rec.Rev)); err != nil {
		return fmt.Errorf("%s %s: %w", w.kind, w.name, err)
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
	body, err := json.Marshal(w.res)
	if err != nil {
		return fmt.Errorf("encoding %s %s: %w", w.kind, w.name, err)
	}
	w.item = Item{Resource: w.res.Clone(), Origin: OriginAPI, ETag: revTag(rec.Rev)}
	if now != nil && bytes.Equal(body, rec.Body) {
		w.changed = false
		return errUnchanged
	}
	if err := c.validateChange(tx, w.res); err != nil {
		return err
	}
	w.rec = state.Record{Kind: w.kind, Name: w.name, Body: body, Refs: refsOf(w.res)}
	return tx.Put(w.rec)
}

// Delete removes a resource: ErrNotFound, ErrConfigOwned, ErrPrecondition,
// *InUseError. A bucket is forgotten: its data stays.
func (c *Control) Delete(ctx context.Context, k catalog.Kind, name string, pre Precondition) error {
	if err := c.delete(ctx, k, name, pre); err != nil {
		return err
	}
	c.beforeAnswer(ctx)
	c.bus.Emit(Event{Type: EventResource, Op: "deleted", Kind: string(k), Name: name})
	return c.Confirm(ctx)
}

func (c *Control) delete(ctx context.Context, k catalog.Kind, name string, pre Precondition) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.inForce.byName[k][name]; ok {
		return fmt.Errorf("%s %s: %w", k, name, ErrConfigOwned)
	}
	seq, err := c.Store().Update(ctx, func(tx state.Tx) error {
		now, rec, err := readRecord(tx, k, name)
		if err != nil {
			return err
		}
		if now == nil {
			return fmt.Errorf("%s %s: %w", k, name, ErrNotFound)
		}
		if err := pre.check(true, revTag(rec.Rev)); err != nil {
			return fmt.Errorf("%s %s: %w", k, name, err)
		}
		if err := c.checkUnused(tx, k, name); err != nil {
			return err
		}
		return tx.Delete(k, name)
	})
	if c.trouble.note(err) != nil {
		return err
	}
	c.publish(func(e *routing.Editor) { e.Delete(k, name) })
	c.followed.made(seq)
	c.mirrorResource(state.Ref{Kind: k, Name: name}, nil)
	if k == catalog.KindBucket {
		c.router.Pulled.RemoveAll(name)
		c.issues.forget(name)
		if err := c.reloadPending(ctx, name, ""); err != nil {
			c.log.Warn("dropping the exceptions of a deleted bucket", zap.String("bucket", name), zap.Error(err))
		}
	}
	return nil
}

// maxNamed bounds how many referring resources an error lists.
const maxNamed = 20

// checkUnused refuses the removal of what others refer to, or what a bucket has a
// copy in.
func (c *Control) checkUnused(tx state.Tx, k catalog.Kind, name string) error {
	to := state.Ref{Kind: k, Name: name}
	by, err := tx.Referrers(to, maxNamed+1)
	if err != nil {
		return err
	}
	by = slices.DeleteFunc(by, func(r state.Ref) bool { return c.inForce.has(r) })
	by = append(by, c.inForce.referrers(to)...)
	if len(by) == 0 && k == catalog.KindCluster {
		by = c.holding(name)
	}
	if len(by) == 0 {
		return nil
	}
	inUse := &InUseError{What: string(k) + " " + name, Why: "is referred to by", By: by}
	if len(by) > maxNamed {
		inUse.By, inUse.More = by[:maxNamed], true
	}
	return inUse
}

// holding returns buckets that have a copy, begun at least, in a cluster: data that
// FaDO answers for would be left behind unwatched. Drain the cluster first.
func (c *Control) holding(cluster string) (by []state.Ref) {
	snap := c.router.Snapshot()
	if cl := snap.Cluster(cluster); cl == nil || cl.Storage == nil {
		return nil
	}
	snap.Buckets(func(b string) bool {
		for _, cp := range snap.Copies(b) {
			if cp.Cluster == cluster && cp.State != catalog.CopyWaiting {
				by = append(by, state.Ref{Kind: catalog.KindBucket, Name: b})
				break
			}
		}
		return len(by) <= maxNamed
	})
	for _, o := range c.router.Pulled.List(func(_, _, in string) bool { return in == cluster }) {
		if ref := (state.Ref{Kind: catalog.KindBucket, Name: o.Bucket}); !slices.Contains(by, ref) && len(by) <= maxNamed {
			by = append(by, ref)
		}
	}
	slices.SortFunc(by, func(a, b state.Ref) int { return strings.Compare(a.Name, b.Name) })
	return by
}

// check evaluates the condition for an item with an entity tag, or none.
func (p Precondition) check(exists bool, etag string) error {
	if p.IfNoneMatchAny && exists {
		return ErrPrecondition
	}
	if p.IfMatch == nil {
		return nil
	}
	if exists && (slices.Contains(p.IfMatch, "*") || slices.Contains(p.IfMatch, etag)) {
		return nil
	}
	return ErrPrecondition
}

func readRecord(tx state.Tx, k catalog.Kind, name string) (catalog.Resource, state.Record, error) {
	rec, err := tx.Get(k, name)
	if errors.Is(err, state.ErrNotFound) {
		return nil, state.Record{}, nil
	}
	if err != nil {
		return nil, state.Record{}, err
	}
	res, err := decodeRecord(rec)
	return res, rec, err
}

func decodeRecord(r state.Record) (catalog.Resource, error) {
	res := catalog.NewResource(r.Kind)
	if res == nil {
		return nil, fmt.Errorf("the store has a resource of unknown kind %q: %w", r.Kind, state.ErrCorrupt)
	}
	if err := json.Unmarshal(r.Body, res); err != nil {
		return nil, fmt.Errorf("reading %s %s from the store: %w: %w", r.Kind, r.Name, state.ErrCorrupt, err)
	}
	res.Normalize()
	return res, nil
}

func itemOf(r state.Record) (Item, error) {
	res, err := decodeRecord(r)
	return Item{Resource: res, Origin: OriginAPI, ETag: revTag(r.Rev)}, err
}

func revTag(s state.Seq) string { return `"` + strconv.FormatInt(int64(s), 36) + `"` }

// refsOf lists what a resource refers to, without repeats.
func refsOf(r catalog.Resource) []state.Ref {
	var refs []state.Ref
	add := func(k catalog.Kind, names ...string) {
		for _, n := range names {
			if ref := (state.Ref{Kind: k, Name: n}); n != "" && !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	switch r := r.(type) {
	case *catalog.Zone:
		add(catalog.KindZone, r.Parent)
	case *catalog.Cluster:
		add(catalog.KindZone, r.Zones...)
	case *catalog.Policy:
		add(catalog.KindZone, r.Zones...)
		add(catalog.KindZone, r.ExcludeZones...)
		add(catalog.KindCluster, r.Clusters...)
		add(catalog.KindCluster, r.Prefer...)
	case *catalog.Bucket:
		add(catalog.KindPolicy, r.Policy)
		add(catalog.KindCluster, r.Primary)
		for _, p := range r.Prefixes {
			add(catalog.KindPolicy, p.Policy)
		}
	}
	return refs
}
