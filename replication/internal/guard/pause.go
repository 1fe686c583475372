package guard

import (
	"context"
	"sync"
)

// Pause holds new work back while it is on. It is asked by who begins work, before Do:
// what has begun is finished.
type Pause struct {
	mu     sync.Mutex
	on     bool
	opened chan struct{} // closed while it is off
}

// NewPause returns one that is off.
func NewPause() *Pause {
	p := &Pause{opened: make(chan struct{})}
	close(p.opened)
	return p
}

// Set turns it on or off and reports whether that changed it.
func (p *Pause) Set(on bool) bool {
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

// On reports whether new work is held back.
func (p *Pause) On() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.on
}

// Wait returns when it is off, or with the context's error.
func (p *Pause) Wait(ctx context.Context) error {
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
