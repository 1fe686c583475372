package bodies

import (
	"context"
	"sync/atomic"
)

// group is what is kept of a bucket, under one hold.
type group struct {
	bucket string
	bodies map[*Body]struct{} // guarded by the cache's mu
	end    func()
	over   atomic.Bool // the hold has ended
}

// join puts a body under its bucket's hold, before it is kept. It reports whether it may be.
func (c *Cache) join(b *Body) bool {
	if c.o.Hold == nil {
		return true
	}
	c.mu.Lock()
	g := c.groups[b.bucket]
	c.mu.Unlock()
	if g == nil {
		made, err := c.hold(b.bucket)
		if err != nil {
			return false
		}
		g = made
	}
	c.mu.Lock()
	over := g.over.Load() || c.groups[b.bucket] != g
	if !over {
		b.group = g
		g.bodies[b] = struct{}{}
	}
	c.mu.Unlock()
	// A change that came before is seen here, one that comes now asks for the group's keys.
	return !over && c.o.May(b.bucket, b.key)
}

// hold makes a bucket's group, or takes the one that another request made meanwhile.
func (c *Cache) hold(bucket string) (*group, error) {
	g := &group{bucket: bucket, bodies: make(map[*Body]struct{})}
	ctx, end, err := c.o.Hold(bucket, func(yield func(string) bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for b := range g.bodies {
			if !yield(b.key) {
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	g.end = end
	c.mu.Lock()
	other := c.groups[bucket]
	if other == nil {
		c.groups[bucket] = g
	}
	c.mu.Unlock()
	if other != nil {
		end()
		return other, nil
	}
	context.AfterFunc(ctx, func() { c.purge(g) })
	return g, nil
}

// leave takes a body from its group, which ends with its last one.
func (c *Cache) leave(b *Body) {
	g := b.group
	if g == nil {
		return
	}
	c.mu.Lock()
	_, in := g.bodies[b]
	delete(g.bodies, b)
	last := in && len(g.bodies) == 0 && c.groups[g.bucket] == g
	if last {
		delete(c.groups, g.bucket)
	}
	c.mu.Unlock()
	if last {
		g.end()
	}
}

// purge removes all of a group whose hold has ended, and lets go of it.
func (c *Cache) purge(g *group) {
	g.over.Store(true)
	c.mu.Lock()
	if c.groups[g.bucket] != g { // it ended by itself
		c.mu.Unlock()
		return
	}
	delete(c.groups, g.bucket)
	keys := make(map[string]struct{}, len(g.bodies))
	for b := range g.bodies {
		keys[name(b.bucket, b.key)] = struct{}{}
	}
	c.mu.Unlock()
	c.with(func() {
		for k := range keys {
			c.kept.Del(k)
		}
		c.kept.Wait() // what is on its way in goes, too
	})
	g.end()
}
