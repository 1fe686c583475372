package control

import (
	"context"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/publish"
	"github.com/fado-project/fado/state"
)

// host is what Control is to the follower and to the opening of the store: it implements
// follow.Host and mirror.Host.
type host struct {
	*Control
	loader *loader
}

// Use implements mirror.Host.
func (h *host) Use(ctx context.Context, store state.Store) error {
	return h.loader.use(ctx, store, h.node)
}

// StandIn implements mirror.Host.
func (h *host) StandIn(ctx context.Context, mirror, standby state.Store) error {
	return h.loader.loadAll(ctx, mirror, &standby)
}

// Came implements mirror.Host.
func (h *host) Came(ctx context.Context) {
	_ = h.core.health.note(nil)
	h.reloaded(ctx)
	h.Pending.Wake()
}

// Load implements follow.Host.
func (h *host) Load(ctx context.Context, between func(context.Context) error) error {
	return h.loader.load(ctx, h.core.store(), between, h.core.mirror.NoteAll)
}

// LoadObjects implements follow.Host.
func (h *host) LoadObjects(ctx context.Context) error {
	if err := h.loader.loadObjects(ctx, h.core.store()); err != nil {
		return err
	}
	h.core.mirror.NoteAll()
	return nil
}

// FollowPulled implements follow.Host.
func (h *host) FollowPulled(ctx context.Context, changes ...state.ObjectChange) error {
	return h.Pulled.Follow(ctx, changes...)
}

// ObjectsChanged implements follow.Host.
func (h *host) ObjectsChanged(changes []state.ObjectChange) { h.core.mirror.NoteObjects(changes) }

// Regained implements follow.Host.
func (h *host) Regained() {
	_ = h.core.health.note(nil) // what failed meanwhile says nothing about now
	h.Pending.Wake()
}

// Reloaded implements follow.Host.
func (h *host) Reloaded(ctx context.Context) { h.reloaded(ctx) }

func (h *host) reloaded(ctx context.Context) {
	h.Hooks.copies("")
	h.Hooks.answering(ctx)
	h.core.anyChanged("reloaded")
}

// Applied implements follow.Host.
func (h *host) Applied(ctx context.Context, changes []*publish.Change) {
	resources := false
	for _, c := range changes {
		h.core.mirror.NoteChange(c)
		resources = resources || c.Resource
		if c.Ref.Kind == catalog.KindBucket {
			h.Hooks.copies(c.Ref.Name)
		}
	}
	if resources {
		h.Hooks.answering(ctx)
	}
	for _, c := range changes {
		if err := h.notify(ctx, c); err != nil {
			h.core.log.Warn("could not drop the exceptions of what another instance removed; they cost memory until the next start",
				zap.String("kind", string(c.Ref.Kind)), zap.String("name", c.Ref.Name), zap.Error(err))
		}
	}
}

// notify tells hooks and watchers of one change, and drops exceptions that went with it.
func (h *host) notify(ctx context.Context, c *publish.Change) error {
	if c.Resource {
		op := OpChanged
		switch {
		case c.Item == nil:
			op = OpDeleted
		case !c.Known:
			op = OpCreated
		}
		h.core.resourceChanged(ResourceChange{Kind: c.Ref.Kind, Name: c.Ref.Name, Op: op, Elsewhere: true})
	}
	if c.Ref.Kind != catalog.KindBucket {
		return nil
	}
	if c.Resource && c.Item == nil && !h.core.declared().has(c.Ref) {
		h.Issues.forget(c.Ref.Name)
		return h.Copies.reloadPending(ctx, c.Ref.Name, "")
	}
	before := make([]state.Copy, len(c.Before))
	for i, b := range c.Before {
		before[i].Copy = b
	}
	h.Copies.notify(c.Ref.Name, before, c.Rows, true)
	return h.Copies.dropExceptions(ctx, c.Ref.Name, before, c.Rows)
}
