package replication

import (
	"context"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
)

// pauseOrder keeps the switch and the store's value in step. It is a mutex that can be given
// up, since the store is written while it is held.
type pauseOrder chan struct{}

func (p pauseOrder) store(ctx context.Context, c *core, on bool) error {
	return p.do(ctx, func() error {
		if err := c.ctl.Store().Pauses().SetPaused(ctx, on); err != nil {
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

// switches follows the store's switches, of the pause and of a rebalance.
type switches struct {
	core
	order pauseOrder
	// rebalance looks at the switch of a rebalance.
	rebalance func(ctx context.Context) error
}

// watch follows them until ctx ends.
func (s *switches) watch(ctx context.Context) {
	for s.look(ctx) {
	}
}

// look looks at the store's switch, and waits until it may have been turned again;
// false when it can't be any more: ctx has ended, or no other instance uses the store.
func (s *switches) look(ctx context.Context) bool {
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told := s.ctl.Store().ChangeLog().Watch(wctx) // before the look, so that nothing is missed
	err := s.order.do(ctx, func() error {
		on, err := s.ctl.Store().Pauses().Paused(ctx)
		if err == nil {
			turn(&s.core, on)
		}
		return err
	})
	if err == nil && s.ctl.Members.Shared() {
		err = s.rebalance(ctx)
	}
	s.stored(ctx, "could not read whether replication is paused; trying again in two seconds", err)
	if err == nil && !s.ctl.Members.Shared() {
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
