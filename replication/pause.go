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

// pauseEvery is the time between looks at what other instances did to the switch.
const pauseEvery = 2 * time.Second

// watchPaused follows the store's switch until ctx ends.
func (r *run) watchPaused(ctx context.Context) {
	for ok := true; ok; ok = delay.Sleep(ctx, pauseEvery) {
		err := r.e.setPause.do(ctx, func() error {
			on, err := r.ctl.Store().Paused(ctx)
			if err == nil {
				turn(&r.core, on)
			}
			return err
		})
		r.stored(ctx, "could not read whether replication is paused; trying again in two seconds", err)
		if !r.ctl.Members.Shared() && err == nil {
			return // no other instance turns it
		}
	}
}
