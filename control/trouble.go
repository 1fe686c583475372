package control

import (
	"errors"
	"sync"
	"time"

	"github.com/fado-project/fado/state"
)

// troubleFor is how long a write that failed counts when nothing was written since.
const troubleFor = time.Minute

// trouble remembers whether the store could be written last.
type trouble struct {
	mu  sync.Mutex
	err error
	at  time.Time
}

// note takes the outcome of a write, and passes it on.
func (t *trouble) note(err error) error {
	if err != nil && !errors.Is(err, state.ErrUnavailable) {
		return err // the store is well: it refused
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err, t.at = err, time.Now()
	return err
}

// StoreTrouble returns why the store could not be written lately; nil if it could, or
// if nobody tried.
func (c *Control) StoreTrouble() error {
	c.trouble.mu.Lock()
	defer c.trouble.mu.Unlock()
	if time.Since(c.trouble.at) > troubleFor {
		return nil
	}
	return c.trouble.err
}
