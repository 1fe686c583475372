package control

import (
	"errors"
	"sync"
	"time"

	"github.com/fado-project/fado/state"
)

// troubleFor is how long a write that failed counts when nothing was written since.
const troubleFor = time.Minute

// storeHealth remembers whether the store could be written last.
type storeHealth struct {
	mu  sync.Mutex
	err error
	at  time.Time
}

// note takes the outcome of a write, and passes it on.
func (h *storeHealth) note(err error) error {
	if err != nil && !errors.Is(err, state.ErrUnavailable) {
		return err // the store is well: it refused
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.at = err, time.Now()
	return err
}

// trouble says why the store could not be written lately; nil if it could, or if
// nothing was tried.
func (h *storeHealth) trouble() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) > troubleFor {
		return nil
	}
	return h.err
}
