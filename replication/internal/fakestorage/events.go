package fakestorage

import (
	"context"
	"fmt"
	"sync"

	"github.com/fado-project/fado/storage"
)

// Events is what becomes of a storage's events on their way to its listener.
type Events struct {
	mu     sync.Mutex
	hears  func(storage.Event) // nil: nobody listens
	hangUp chan struct{}       // ends the listener
}

// listener returns what tells the listener there is now, if there is one.
func (e *Events) listener() func(storage.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hears == nil {
		return func(storage.Event) {}
	}
	return e.hears
}

// listen has a listener hear of events until ctx ends or it is cut off.
func (e *Events) listen(ctx context.Context, ready func(), tell func(storage.Event)) error {
	e.mu.Lock()
	e.hears, e.hangUp = tell, make(chan struct{})
	hangUp := e.hangUp
	e.mu.Unlock()
	ready()
	select {
	case <-ctx.Done():
	case <-hangUp:
		return fmt.Errorf("the connection was cut: %w", storage.ErrUnavailable)
	}
	e.mu.Lock()
	e.hears = nil
	e.mu.Unlock()
	return ctx.Err()
}

// Tell has the listener hear of an event.
func (e *Events) Tell(ev storage.Event) { e.listener()(ev) }

// Cut ends the listener: what happens from now on is not notified until there is another.
func (e *Events) Cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hears != nil {
		e.hears = nil
		close(e.hangUp)
	}
}

// Deafen drops events until hear is called, without the listener's notice.
func (e *Events) Deafen() (hear func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	tell := e.hears
	e.hears = nil
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.hears = tell
	}
}

// Listened reports whether there is a listener.
func (e *Events) Listened() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hears != nil
}
