package object

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

const (
	breakerWindow = 10 * time.Minute
	breakerSlots  = 60
)

// MaxDeletes bounds the deletes applied to one copy within ten minutes; the breaker
// trips when every bound given is exceeded. Zero value: no bound.
type MaxDeletes struct {
	Objects int64
	Percent float64
}

// Deletes counts the deletes applied to each copy within the last ten minutes, and holds
// them where there are more than the bounds allow, until people decide.
//
// A bucket with prefix rules has a copy for each rule, and each is counted by itself: its percentage is of its own
// objects, people confirm and reject what one rule's keys lost, and a storm below one prefix
// holds nothing of the others. So at most the bounds go per rule.
type Deletes struct {
	// Bounds returns the bounds in force.
	Bounds func() MaxDeletes
	// Ask, where other instances share the store, takes in what people decided there, and
	// reports whether that could be done; nil where there are none.
	Ask func(ctx context.Context) bool

	copies *copies.Store
	log    *zap.Logger
	now    func() time.Time

	mu sync.Mutex
	by map[ids.Copy]*breaker
}

type breaker struct {
	slots     [breakerSlots]struct{ at, n int64 }
	allowance int64 // deletes that people confirmed
	until     int64 // slot: an allowance that was not used for a window has gone
}

// NewDeletes returns a count of no deletes yet, without bounds until Bounds is set.
func NewDeletes(c *copies.Store, log *zap.Logger, now func() time.Time) *Deletes {
	return &Deletes{
		Bounds: func() MaxDeletes { return MaxDeletes{} },
		copies: c, log: log, now: now, by: make(map[ids.Copy]*breaker),
	}
}

func (b *Deletes) of(id ids.Copy) *breaker {
	br := b.by[id]
	if br == nil {
		br = new(breaker)
		b.by[id] = br
	}
	return br
}

func (b *breaker) count(at int64) (n int64) {
	for _, s := range b.slots {
		if s.at > at-breakerSlots && s.at <= at {
			n += s.n
		}
	}
	return n
}

func (b *Deletes) slotNow() int64 { return b.now().UnixNano() / int64(breakerWindow/breakerSlots) }

// exceeds says whether so many deletes of a copy are more than every bound given.
func exceeds(m MaxDeletes, n, objects int64) bool {
	if m.Objects > 0 && n <= m.Objects {
		return false
	}
	if m.Percent > 0 && float64(n) <= m.Percent/100*float64(objects) {
		return false
	}
	return m != (MaxDeletes{})
}

// Take counts one delete of a copy in and reports whether it may be applied. Where other
// instances share the store, it looks at what people decided there before it refuses.
func (b *Deletes) Take(ctx context.Context, id ids.Copy, c state.Copy) bool {
	return b.take(id, c) || b.Ask != nil && b.Ask(ctx) && b.take(id, c)
}

func (b *Deletes) take(id ids.Copy, c state.Copy) bool {
	m := b.Bounds()
	b.mu.Lock()
	defer b.mu.Unlock()
	br, at := b.of(id), b.slotNow()
	if br.allowance > 0 && at < br.until {
		br.allowance, br.until = br.allowance-1, at+breakerSlots
		return true
	}
	if c.HeldDeletes {
		return false
	}
	n := br.count(at) + 1
	// The objects deleted so far were part of what the percentage is of.
	if exceeds(m, n, c.Objects+n-1) {
		return false
	}
	s := &br.slots[at%breakerSlots]
	if s.at != at {
		s.at, s.n = at, 0
	}
	s.n++
	return true
}

// WouldTrip reports whether n more deletes would exceed the bounds.
func (b *Deletes) WouldTrip(id ids.Copy, c state.Copy, n int64) bool {
	m := b.Bounds()
	b.mu.Lock()
	defer b.mu.Unlock()
	done := b.of(id).count(b.slotNow())
	return exceeds(m, done+n, c.Objects+done)
}

// Lets reports whether n more deletes of a copy would be let through: people confirmed so many, or
// none are held and the bounds allow them. It asks as Take does, and counts nothing.
func (b *Deletes) Lets(ctx context.Context, id ids.Copy, c state.Copy, n int64) bool {
	return b.lets(id, c, n) || b.Ask != nil && b.Ask(ctx) && b.lets(id, c, n)
}

func (b *Deletes) lets(id ids.Copy, c state.Copy, n int64) bool {
	b.mu.Lock()
	br, at := b.of(id), b.slotNow()
	allowed := br.allowance >= n && at < br.until
	b.mu.Unlock()
	return allowed || !c.HeldDeletes && !b.WouldTrip(id, c, n)
}

// Allow lets n more deletes of a copy through, whatever the bounds. What is left of them a
// window after the last one that made use of it is void: people confirmed those they saw.
func (b *Deletes) Allow(id ids.Copy, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br, at := b.of(id), b.slotNow()
	if at >= br.until {
		br.allowance = 0
	}
	br.allowance, br.until = br.allowance+n, at+breakerSlots
}

// Disallow voids what is left of the deletes of a copy that people confirmed earlier.
func (b *Deletes) Disallow(id ids.Copy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(id).allowance = 0
}

// Forget drops what was counted of a copy.
func (b *Deletes) Forget(id ids.Copy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.by, id)
}

// Hold has a copy's deletes wait until people decide.
func (b *Deletes) Hold(ctx context.Context, id ids.Copy) {
	if err := b.StoreHold(ctx, id); err != nil {
		b.log.Warn("could not store that a copy's deletes are held; the next delete tries again",
			zap.String("bucket", id.Bucket), zap.String("cluster", id.Cluster), zap.Error(err))
	}
}

// StoreHold is Hold for callers that go on only when it is stored.
func (b *Deletes) StoreHold(ctx context.Context, id ids.Copy) error {
	_, err := b.copies.Amend(ctx, id, func(c *state.Copy) bool {
		was := c.HeldDeletes
		c.HeldDeletes = true
		return !was
	})
	return err
}
