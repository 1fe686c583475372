package bodies

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// Identity is what tells a version of an object from all others.
type Identity struct {
	ETag, Version, Modified string
	Length                  int64
}

// Body is the content of one version of an object. Nothing of it may be changed.
type Body struct {
	Identity
	Content []byte
	Headers []string // the names of those that came with it

	bucket, key string
	cost        int64
	group       *group
	left        atomic.Bool
}

// name is the key of an object; a bucket's name has no "/".
func name(bucket, key string) string { return bucket + "/" + key }

// over reports whether the hold under which a body is kept has ended.
func (b *Body) over() bool { return b.group != nil && b.group.over.Load() }

// group is what is kept of a bucket, under one hold.
type group struct {
	bucket string
	bodies map[*Body]struct{} // guarded by mu of the permits
	end    func()
	over   atomic.Bool // the hold has ended
}

// permits are what the catalogue was asked to keep, bucket by bucket.
type permits struct {
	ask func(bucket string, keys iter.Seq[string]) (ctx context.Context, end func(), err error) // nil: nobody is asked
	may func(bucket, key string) bool
	// drop removes what is kept by names, and what is on its way in.
	drop func(names map[string]struct{})

	mu     sync.Mutex
	groups map[string]*group
}

// join puts a body under its bucket's hold, before it is kept. It reports whether it may be.
func (p *permits) join(b *Body) bool {
	if p.ask == nil {
		return true
	}
	p.mu.Lock()
	g := p.groups[b.bucket]
	p.mu.Unlock()
	if g == nil {
		made, err := p.hold(b.bucket)
		if err != nil {
			return false
		}
		g = made
	}
	p.mu.Lock()
	over := g.over.Load() || p.groups[b.bucket] != g
	if !over {
		b.group = g
		g.bodies[b] = struct{}{}
	}
	p.mu.Unlock()
	// A change that came before is seen here, one that comes now asks for the group's keys.
	return !over && p.may(b.bucket, b.key)
}

// hold makes a bucket's group, or takes the one that another request made meanwhile.
func (p *permits) hold(bucket string) (*group, error) {
	g := &group{bucket: bucket, bodies: make(map[*Body]struct{})}
	ctx, end, err := p.ask(bucket, func(yield func(string) bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
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
	p.mu.Lock()
	other := p.groups[bucket]
	if other == nil {
		p.groups[bucket] = g
	}
	p.mu.Unlock()
	if other != nil {
		end()
		return other, nil
	}
	context.AfterFunc(ctx, func() { p.purge(g) })
	return g, nil
}

// leave takes a body from its group, which ends with its last one.
func (p *permits) leave(b *Body) {
	g := b.group
	if g == nil {
		return
	}
	p.mu.Lock()
	_, in := g.bodies[b]
	delete(g.bodies, b)
	last := in && len(g.bodies) == 0 && p.groups[g.bucket] == g
	if last {
		delete(p.groups, g.bucket)
	}
	p.mu.Unlock()
	if last {
		g.end()
	}
}

// purge removes all of a group whose hold has ended, and lets go of it.
func (p *permits) purge(g *group) {
	g.over.Store(true)
	p.mu.Lock()
	if p.groups[g.bucket] != g { // it ended by itself
		p.mu.Unlock()
		return
	}
	delete(p.groups, g.bucket)
	names := make(map[string]struct{}, len(g.bodies))
	for b := range g.bodies {
		names[name(b.bucket, b.key)] = struct{}{}
	}
	p.mu.Unlock()
	p.drop(names)
	g.end()
}
