package stored

import (
	"context"
	"sync"
)

// Watchers are the channels of a store's Watch. The zero value is ready.
type Watchers struct {
	mu     sync.Mutex
	chans  map[chan struct{}]struct{}
	closed bool
}

// Add returns a channel that is woken until ctx ends or the watchers are closed; then it
// is closed.
func (ws *Watchers) Add(ctx context.Context) <-chan struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ch := make(chan struct{}, 1)
	if ws.closed {
		close(ch)
		return ch
	}
	if ws.chans == nil {
		ws.chans = make(map[chan struct{}]struct{})
	}
	ws.chans[ch] = struct{}{}
	context.AfterFunc(ctx, func() { ws.remove(ch) })
	return ch
}

func (ws *Watchers) remove(ch chan struct{}) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if _, ok := ws.chans[ch]; ok {
		delete(ws.chans, ch)
		close(ch)
	}
}

// Wake tells every watcher, unless it has not taken the last value yet.
func (ws *Watchers) Wake() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for ch := range ws.chans {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Close closes all channels, and those added later.
func (ws *Watchers) Close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for ch := range ws.chans {
		delete(ws.chans, ch)
		close(ch)
	}
}
