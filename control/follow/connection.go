package follow

import (
	"fmt"
	"sync"
	"time"
)

// connection remembers whether the store could be followed lately.
type connection struct {
	mu    sync.Mutex
	err   error
	since time.Time // of err
	seen  time.Time // last look that succeeded
}

// note takes the outcome of a look, and says how the state of the connection changed.
func (c *connection) note(now time.Time, err error) (lost, regained bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.err
	c.err = err
	switch {
	case err == nil:
		c.seen = now
	case before == nil:
		c.since = now
	}
	return before == nil && err != nil, before != nil && err == nil
}

// trouble says why the store can't be followed, and since when; nil if it can.
func (c *connection) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return fmt.Errorf("cut off from the store since %s, routing by what was known then: %w", c.since.UTC().Format(time.RFC3339), c.err)
}

func (c *connection) lastSeen() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}
