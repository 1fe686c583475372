package bodies

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"
)

// Options of a Cache.
type Options struct {
	// Size is the most bytes of what is kept, with what keeping it takes.
	Size int64
	// MaxObject is the largest object that is kept.
	MaxObject int64
	// Hold, when set, asks to keep objects of a bucket here. Its context ends when one of the
	// keys may no longer be kept; end is called once none of them are. It may call keys, as
	// often as it likes, until then.
	Hold func(bucket string, keys iter.Seq[string]) (ctx context.Context, end func(), err error)
	// May reports whether an object may be kept here now; set where Hold is.
	May func(bucket, key string) bool
}

// room bounds what is being read in: an eighth of the size, and one object always.
func (o *Options) room() int64 { return max(o.Size/8, o.MaxObject+overhead) }

// Cache keeps bodies. Its methods are safe for concurrent use. Make it with [New].
type Cache struct {
	o     Options
	once  sync.Once
	seen  seen
	bytes atomic.Int64 // of what is kept and what is being read in

	life   sync.RWMutex // held for reading while the cache is used, for writing while it ends
	closed bool
	kept   *ristretto.Cache[string, *Body]

	permits permits

	mu      sync.Mutex
	filling map[string]struct{}
}

// New returns a cache, which starts at its first use.
func New(o Options) *Cache {
	c := &Cache{o: o, filling: make(map[string]struct{})}
	c.permits = permits{ask: o.Hold, may: o.May, drop: c.dropAll, groups: make(map[string]*group)}
	return c
}

const (
	// overhead is what a body costs beside its content, name and headers' names.
	overhead = 512
	// usual is a guess at the size of an object, by which tables are made.
	usual = 8 << 10
)

// start makes what needs goroutines and memory.
func (c *Cache) start() {
	c.once.Do(func() {
		if c.closed {
			return
		}
		c.seen = newSeen(c.o.Size / usual)
		kept, err := ristretto.NewCache(&ristretto.Config[string, *Body]{
			NumCounters: min(max(c.o.Size/usual*10, 10_000), 10_000_000), MaxCost: c.o.Size, BufferItems: 64, OnExit: c.exit,
		})
		if err != nil {
			panic(fmt.Errorf("making a cache: %w", err)) // of numbers below 1, which validation excludes
		}
		c.kept = kept
	})
}

// with runs f while the cache is open.
func (c *Cache) with(f func()) {
	c.life.RLock()
	defer c.life.RUnlock()
	if c.start(); !c.closed {
		f()
	}
}

// MaxObject is the largest object that is kept.
func (c *Cache) MaxObject() int64 { return c.o.MaxObject }

// Get returns the body that is kept for an object, nil for none, and counts its use.
func (c *Cache) Get(bucket, key string) (b *Body) {
	c.with(func() { b, _ = c.kept.Get(name(bucket, key)) })
	if b != nil && (b.bucket != bucket || b.key != key) { // the hashes of two names agree
		return nil
	}
	return b
}

// Drop removes what is kept for a body's object.
func (c *Cache) Drop(b *Body) {
	c.with(func() { c.kept.Del(name(b.bucket, b.key)) })
}

// dropAll removes what is kept by names, and what is on its way in.
func (c *Cache) dropAll(names map[string]struct{}) {
	c.with(func() {
		for n := range names {
			c.kept.Del(n)
		}
		c.kept.Wait()
	})
}

// exit is called when a body is no longer kept.
func (c *Cache) exit(b *Body) {
	if b == nil || b.left.Swap(true) {
		return
	}
	c.bytes.Add(-b.cost)
	c.permits.leave(b)
}

// Close ends the cache. What was taken out of it stays valid.
func (c *Cache) Close() {
	c.life.Lock()
	defer c.life.Unlock()
	if c.closed = true; c.kept != nil {
		c.kept.Close()
	}
}

// Filling is a body that is being read in. It is one goroutine's.
type Filling struct {
	c *Cache
	b *Body
}

// Fill begins to take a body in, of which it is known how long it is; nil where it is not worth
// it, or another request does. again says that another version of the object was kept until
// now: one that changes often is only kept once a version was used twice.
func (c *Cache) Fill(bucket, key string, id Identity, headers []string, again bool) (f *Filling) {
	if id.Length <= 0 || id.Length > c.o.MaxObject {
		return nil
	}
	c.with(func() { f = c.fill(bucket, key, id, headers, again) })
	return f
}

func (c *Cache) fill(bucket, key string, id Identity, headers []string, again bool) *Filling {
	cost := id.Length + int64(len(bucket)+len(key)+len(id.ETag)+len(id.Version)+len(id.Modified)) + overhead
	for _, h := range headers {
		cost += int64(len(h)) + 16
	}
	used := c.seen.use(bucket, key, id)
	if !used && (again || c.kept.RemainingCost() < cost) {
		return nil
	}
	if c.bytes.Add(cost) > c.o.Size+c.o.room() || !c.begin(bucket, key) {
		c.bytes.Add(-cost)
		return nil
	}
	return &Filling{c, &Body{
		Identity: id, Content: make([]byte, 0, id.Length), Headers: headers, bucket: bucket, key: key, cost: cost,
	}}
}

// begin reports whether nobody else is taking the object in.
func (c *Cache) begin(bucket, key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := name(bucket, key)
	if _, busy := c.filling[n]; busy {
		return false
	}
	c.filling[n] = struct{}{}
	return true
}

// Write takes some of the content. What is more than was announced is ignored, and the body is
// not kept.
func (f *Filling) Write(p []byte) {
	if len(f.b.Content)+len(p) > cap(f.b.Content) {
		f.b.Length = -1
		return
	}
	f.b.Content = append(f.b.Content, p...)
}

// End keeps the body if it is whole. It must be called once, whatever became of it.
func (f *Filling) End() {
	c, b := f.c, f.b
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.filling, name(b.bucket, b.key))
	}()
	kept := false
	if int64(len(b.Content)) == b.Length && c.permits.join(b) {
		c.with(func() {
			n := name(b.bucket, b.key)
			c.kept.Del(n) // an update would not count what it takes
			kept = c.kept.Set(n, b, b.cost)
		})
	}
	if !kept {
		c.exit(b)
		return
	}
	if b.over() { // it may have been looked for before it was there
		c.Drop(b)
	}
}
