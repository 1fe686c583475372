package guard

import (
	"context"

	"github.com/fado-project/fado/routing"
)

// Carry registers bytes that are read from a cluster for a user, and refuses with
// [ErrForbidden] what a snapshot does not allow to pass here. It needs no lease: nothing is
// written. The context it returns ends when a change forbids them, or when the storage goes
// down; end must be called once no more of them pass.
func (g *Guard) Carry(ctx context.Context, from string, allowed func(*routing.Snapshot) bool) (_ context.Context, end func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &carrying{flight: flight{cancel, make(chan struct{})}, from: from, allowed: allowed}
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
