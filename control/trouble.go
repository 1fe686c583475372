package control

import (
	"errors"
	"fmt"
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

// StoreTrouble returns why the store is out of reach, or could not be written lately; nil
// if it could, or if nobody tried.
func (c *Control) StoreTrouble() error {
	if err := c.opening.missing(); err != nil {
		return fmt.Errorf("routing by the local mirror: %w", err)
	}
	if err := c.followed.link.trouble(); err != nil {
		return err
	}
	c.trouble.mu.Lock()
	defer c.trouble.mu.Unlock()
	if time.Since(c.trouble.at) > troubleFor {
		return nil
	}
	return c.trouble.err
}
