package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// news is what became of one thing that others changed.
type news struct {
	ref  state.Ref        // of a resource, and of a bucket whose copies changed
	res  bool             // the resource itself changed
	rec  *state.Record    // nil: there is none
	item catalog.Resource // what rec holds
	rows []state.Copy     // of a bucket
	// before is what routing knew of the bucket's copies.
	before []catalog.Copy
	known  bool // routing knew the resource
}

// apply brings memory up to changes. Values are read, not carried by a change, and both
// reading and publishing happen under mu: so what is published is never older than what
// was published before, whoever made it.
func (f *follower) apply(ctx context.Context, changes []state.Change) error {
	all, err := f.publish(ctx, changes)
	if err != nil {
		return err
	}
	f.c.told(ctx, all)
	p := *f.position.Load()
	p.changes = changes[len(changes)-1].Seq
	f.position.Store(&p)
	f.passed(p.changes)
	return nil
}

func (f *follower) publish(ctx context.Context, changes []state.Change) ([]*news, error) {
	c := f.c
	c.mu.Lock()
	defer c.mu.Unlock()
	all := f.gather(changes)
	for _, n := range all {
		if err := c.readNews(ctx, n); err != nil {
			return nil, err
		}
	}
	// Rows that were added before these values were written are exceptions before the
	// values are routed by.
	if _, err := f.readObjects(ctx); err != nil {
		return nil, err
	}
	if len(all) > 0 {
		c.publish(func(e *routing.Editor) {
			for _, n := range all {
				c.edit(e, n)
			}
		})
	}
	return all, nil
}

// gather lists what changed, each thing once, without what was changed here only.
func (f *follower) gather(changes []state.Change) []*news {
	return f.gatherAll(slices.DeleteFunc(slices.Clone(changes), func(ch state.Change) bool { return f.isOwn(ch.Seq) }))
}

func (f *follower) gatherAll(changes []state.Change) []*news {
	var all []*news
	at := make(map[state.Ref]*news)
	for _, ch := range changes {
		ref := state.Ref{Kind: ch.Resource, Name: ch.Name}
		if ch.Kind == state.ChangeCopies {
			ref.Kind = catalog.KindBucket
		}
		n := at[ref]
		if n == nil {
			n = &news{ref: ref}
			at[ref] = n
			all = append(all, n)
		}
		n.res = n.res || ch.Kind == state.ChangeResource
	}
	return all
}

// readNews reads what a changed thing is now. The caller holds mu.
func (c *Control) readNews(ctx context.Context, n *news) error {
	snap := c.router.Snapshot()
	if n.res {
		rec, err := c.Store().Get(ctx, n.ref.Kind, n.ref.Name)
		switch {
		case errors.Is(err, state.ErrNotFound):
		case err != nil:
			return err
		default:
			if n.item, err = decodeRecord(rec); err != nil {
				return err
			}
			n.rec = &rec
		}
		n.known = knows(snap, n.ref)
	}
	if n.ref.Kind != catalog.KindBucket {
		return nil
	}
	n.before = snap.Copies(n.ref.Name)
	var err error
	n.rows, err = c.Store().CopiesOf(ctx, n.ref.Name)
	return err
}

func knows(snap *routing.Snapshot, r state.Ref) bool {
	switch r.Kind {
	case catalog.KindZone:
		return snap.Zone(r.Name) != nil
	case catalog.KindCluster:
		return snap.Cluster(r.Name) != nil
	case catalog.KindPolicy:
		return snap.Policy(r.Name) != nil
	default:
		return snap.Bucket(r.Name) != nil
	}
}

// edit makes the snapshot's part of one change. What the configuration declares stays.
func (c *Control) edit(e *routing.Editor, n *news) {
	if n.res && !c.inForce.has(n.ref) {
		if n.item == nil {
			e.Delete(n.ref.Kind, n.ref.Name)
		} else {
			put(e, n.item)
		}
	}
	if n.ref.Kind == catalog.KindBucket {
		e.SetCopies(n.ref.Name, routed(n.rows))
	}
}

// told has everybody react to what others changed: what it forbids ends before this
// returns, so that whoever made the change may answer for this instance.
func (c *Control) told(ctx context.Context, all []*news) {
	resources := false
	for _, n := range all {
		c.mirrorNews(n)
		resources = resources || n.res
		if n.ref.Kind == catalog.KindBucket {
			c.copiesChanged(n.ref.Name)
		}
	}
	if resources {
		c.beforeAnswer(ctx)
	}
	for _, n := range all {
		if err := c.tellOf(ctx, n); err != nil {
			c.log.Warn("dropping the exceptions of what others removed: " + err.Error())
		}
	}
}

// tellOf tells watchers of one change, and drops exceptions that went with it.
func (c *Control) tellOf(ctx context.Context, n *news) error {
	if n.res {
		op := "changed"
		switch {
		case n.item == nil:
			op = "deleted"
		case !n.known:
			op = "created"
		}
		c.bus.Emit(Event{Type: EventResource, Op: op, Kind: string(n.ref.Kind), Name: n.ref.Name, Elsewhere: true})
	}
	if n.ref.Kind != catalog.KindBucket {
		return nil
	}
	if n.res && n.item == nil && !c.config().has(n.ref) {
		c.issues.forget(n.ref.Name)
		return c.reloadPending(ctx, n.ref.Name, "")
	}
	for _, r := range n.rows {
		i := slices.IndexFunc(n.before, func(b catalog.Copy) bool { return b.Prefix == r.Prefix && b.Cluster == r.Cluster })
		if i < 0 || n.before[i].State != r.State || n.before[i].Primary != r.Primary {
			c.bus.Emit(Event{
				Type: EventCopy, Bucket: n.ref.Name, Prefix: r.Prefix, Cluster: r.Cluster, State: r.State.String(),
				Reason: r.Error, Elsewhere: true,
			})
		}
	}
	for _, b := range n.before {
		if findCopy(n.rows, state.Copy{Copy: b}) >= 0 {
			continue
		}
		c.bus.Emit(Event{Type: EventCopy, Bucket: n.ref.Name, Prefix: b.Prefix, Cluster: b.Cluster, State: "gone", Elsewhere: true})
		if err := c.reloadPending(ctx, n.ref.Name, b.Cluster); err != nil {
			return err
		}
	}
	return nil
}

// reload loads everything anew, because changes were missed. Routing goes on by what it
// knew until the next snapshot is complete.
func (c *Control) reload(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // it takes as long as it takes
	if err := c.loadAnew(ctx); err != nil {
		return fmt.Errorf("loading the catalogue anew: %w", err)
	}
	c.copiesChanged("")
	c.beforeAnswer(ctx)
	c.bus.Emit(Event{Type: EventConfiguration, Op: "reloaded"})
	return nil
}

func (c *Control) loadAnew(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	seq, err := c.Store().Seq(ctx)
	if err != nil {
		return err
	}
	snap, err := c.build(ctx, c.Store())
	if err != nil {
		return err
	}
	if _, err := c.followed.readObjects(ctx); err != nil {
		return err
	}
	c.swap(snap)
	c.followed.position.Store(&position{changes: seq, objects: c.followed.position.Load().objects})
	c.mirrorAll()
	return nil
}

// reloadObjects makes the exceptions those of the stored rows.
func (c *Control) reloadObjects(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	seq, err := c.followed.store().ObjectSeq(ctx)
	if err != nil {
		return err
	}
	if err := c.loadPending(ctx, c.Store()); err != nil {
		return err
	}
	p := *c.followed.position.Load()
	p.objects = seq
	c.followed.position.Store(&p)
	c.mirrorAll()
	return nil
}
