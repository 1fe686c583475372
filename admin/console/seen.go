package console

import (
	"maps"
	"sync"

	"github.com/fado-project/fado/state"
)

// sessionCache remembers passes for the time that the database is away.
type sessionCache struct {
	mu    sync.Mutex
	bySum map[string]state.Pass
}

// maxSeen bounds the passes that are remembered.
const maxSeen = 1000

func newSessionCache() *sessionCache { return &sessionCache{bySum: make(map[string]state.Pass)} }

func (c *sessionCache) get(sum string) (state.Pass, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.bySum[sum]
	return p, ok
}

func (c *sessionCache) put(p state.Pass) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.bySum[p.Sum]; !ok && len(c.bySum) >= maxSeen {
		for sum := range c.bySum { // any
			delete(c.bySum, sum)
			break
		}
	}
	c.bySum[p.Sum] = p
}

func (c *sessionCache) forget(sum string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.bySum, sum)
}

// forgetID is forget by the public name of a pass.
func (c *sessionCache) forgetID(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.bySum, func(_ string, p state.Pass) bool { return p.ID == id })
}
