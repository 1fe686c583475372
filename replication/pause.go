package replication

import (
	"context"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
)

// pauseOrder keeps the switch and the store's value in step. It is a mutex that can be given
// up, since the store is written while it is held.
type pauseOrder chan struct{}

// Pause stops new work, durably and on every instance; objects on their way are
// finished. Resume ends it.
func (e *Engine) Pause(ctx context.Context) error { return e.setPause.store(ctx, &e.core, true) }

// Paused says whether replication is paused, as far as this instance knows.
func (e *Engine) Paused() bool { return e.core.pause.On() }

// Resume ends a Pause.
func (e *Engine) Resume(ctx context.Context) error { return e.setPause.store(ctx, &e.core, false) }

func (p pauseOrder) store(ctx context.Context, c *core, on bool) error {
	return p.do(ctx, func() error {
		if err := c.ctl.Store().SetPaused(ctx, on); err != nil {
			return err
		}
		turn(c, on)
		return nil
	})
}

func (p pauseOrder) do(ctx context.Context, f func() error) error {
	select {
	case p <- struct{}{}:
		defer func() { <-p }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn turns the switch of this process.
func turn(c *core, on bool) {
	if c.pause.Set(on) && !on {
		c.ctl.Pending.Wake()
	}
}

// What other instances did to the switch is looked at when the store tells of something, at
// most every pauseEvery, and every pauseMost.
const (
	pauseEvery = 2 * time.Second
	pauseMost  = time.Minute
)

// watchPaused follows the store's switches, of the pause and of a rebalance, until ctx ends.
func (r *run) watchPaused(ctx context.Context) {
	for r.lookPaused(ctx) {
	}
}

// lookPaused looks at the store's switch, and waits until it may have been turned again;
// false when it can't be any more: ctx has ended, or no other instance uses the store.
func (r *run) lookPaused(ctx context.Context) bool {
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told := r.ctl.Store().Watch(wctx) // before the look, so that nothing is missed
	err := r.e.setPause.do(ctx, func() error {
		on, err := r.ctl.Store().Paused(ctx)
		if err == nil {
			turn(&r.core, on)
		}
		return err
	})
	if err == nil && r.ctl.Members.Shared() {
		err = r.e.rebalances.look(ctx)
	}
	r.stored(ctx, "could not read whether replication is paused; trying again in two seconds", err)
	if err == nil && !r.ctl.Members.Shared() {
		return false
	}
	if !delay.Sleep(ctx, pauseEvery) || err != nil {
		return ctx.Err() == nil
	}
	t := time.NewTimer(pauseMost)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-told:
	case <-t.C:
	}
	return true
}
