package replication

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
)

// metaPaused is the store's value that pauses replication on every instance.
const metaPaused = "replication/paused"

// pauseSwitch holds new work back while it is on.
type pauseSwitch struct {
	stored sync.Mutex // keeps the switch and the store's value in step

	mu     sync.Mutex
	on     bool
	opened chan struct{} // closed while the switch is off
}

func newPauseSwitch() *pauseSwitch {
	p := &pauseSwitch{opened: make(chan struct{})}
	close(p.opened)
	return p
}

// set turns the switch and says whether that changed it.
func (p *pauseSwitch) set(on bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on == on {
		return false
	}
	p.on = on
	if on {
		p.opened = make(chan struct{})
	} else {
		close(p.opened)
	}
	return true
}

func (p *pauseSwitch) paused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on
}

// wait returns when the switch is off, or with the context's error.
func (p *pauseSwitch) wait(ctx context.Context) error {
	p.mu.Lock()
	opened := p.opened
	p.mu.Unlock()
	select {
	case <-opened:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Pause stops new work, durably and on every instance; objects on their way are
// finished. Resume goes on.
func (e *Engine) Pause(ctx context.Context) error { return e.setPaused(ctx, true) }

// Resume ends a Pause.
func (e *Engine) Resume(ctx context.Context) error { return e.setPaused(ctx, false) }

func (e *Engine) setPaused(ctx context.Context, on bool) error {
	e.pause.stored.Lock()
	defer e.pause.stored.Unlock()
	value := ""
	if on {
		value = "1"
	}
	if err := e.ctl.Store().PutMeta(ctx, metaPaused, value); err != nil {
		return err
	}
	e.turn(on)
	return nil
}

func (e *Engine) turn(on bool) {
	if e.pause.set(on) && !on {
		e.ctl.WakeWorkers()
	}
}

// loadPaused takes the switch from the store.
func (e *Engine) loadPaused(ctx context.Context) {
	e.pause.stored.Lock()
	defer e.pause.stored.Unlock()
	v, err := e.ctl.Store().GetMeta(ctx, metaPaused)
	if err != nil {
		if ctx.Err() == nil {
			e.log.Warn("reading whether replication is paused", zap.Error(err))
		}
		return
	}
	e.turn(v != "")
}

// watchPaused follows what other instances do to the switch.
func (r *run) watchPaused(ctx context.Context) {
	for sleep(ctx, 2*time.Second) {
		r.loadPaused(ctx)
	}
}
