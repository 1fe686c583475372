package guard

import (
	"context"

	"github.com/fado-project/fado/routing"
)

// carrying is bytes of an object that pass through this instance on their way to a user.
type carrying struct {
	from    string
	allowed func(*routing.Snapshot) bool
	cancel  context.CancelCauseFunc
	ended   chan struct{}
}

// Carry registers bytes that are read from a cluster for a user, and refuses with
// [ErrForbidden] what a snapshot does not allow to pass here. It needs no lease: nothing is
// written. The context it returns ends when a change forbids them, or when the storage goes
// down; end must be called once no more of them pass.
func (g *Guard) Carry(ctx context.Context, from string, allowed func(*routing.Snapshot) bool) (_ context.Context, end func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &carrying{from: from, allowed: allowed, cancel: cancel, ended: make(chan struct{})}
	g.mu.Lock()
	g.carried[c] = struct{}{}
	g.mu.Unlock()
	end = func() {
		g.mu.Lock()
		delete(g.carried, c)
		g.mu.Unlock()
		cancel(nil)
		close(c.ended)
	}
	if !allowed(g.o.Router.Snapshot()) { // after registering, as with operations
		end()
		return nil, nil, ErrForbidden
	}
	return ctx, end, nil
}

// drop ends what passes and is forbidden, and waits for its end, or for ctx's.
func (g *Guard) drop(ctx context.Context, snap *routing.Snapshot) {
	hit := g.carryings(func(c *carrying) bool { return !c.allowed(snap) })
	for _, c := range hit {
		c.cancel(ErrForbidden)
	}
	for _, c := range hit {
		select {
		case <-c.ended:
		case <-ctx.Done():
			return
		}
	}
}

// carryings returns those that match.
func (g *Guard) carryings(match func(*carrying) bool) []*carrying {
	g.mu.Lock()
	defer g.mu.Unlock()
	var found []*carrying
	for c := range g.carried {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}
