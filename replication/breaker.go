package replication

import (
	"sync"
	"time"

	"github.com/fado-project/fado/state"
)

const (
	breakerWindow = 10 * time.Minute
	breakerSlots  = 60
)

// breakers count the deletes applied to each copy within the last ten minutes.
type breakers struct {
	now func() time.Time

	mu sync.Mutex
	by map[copyID]*breaker
}

type breaker struct {
	slots     [breakerSlots]struct{ at, n int64 }
	allowance int64 // deletes that people confirmed
	until     int64 // slot: an allowance that was not used for a window has gone
}

func newBreakers(now func() time.Time) *breakers {
	return &breakers{now: now, by: make(map[copyID]*breaker)}
}

func (b *breakers) of(id copyID) *breaker {
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

func (b *breakers) slotNow() int64 { return b.now().UnixNano() / int64(breakerWindow/breakerSlots) }

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

// take counts one delete in and says whether it may be applied.
func (b *breakers) take(id copyID, c state.Copy, m MaxDeletes) bool {
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

// wouldTrip says whether n more deletes would exceed the bounds.
func (b *breakers) wouldTrip(id copyID, c state.Copy, m MaxDeletes, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	done := b.of(id).count(b.slotNow())
	return exceeds(m, done+n, c.Objects+done)
}

// allow lets n more deletes of a copy through, whatever the bounds. What is left of them a
// window after the last one that made use of it is void: people confirmed those they saw.
func (b *breakers) allow(id copyID, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	br, at := b.of(id), b.slotNow()
	if at >= br.until {
		br.allowance = 0
	}
	br.allowance, br.until = br.allowance+n, at+breakerSlots
}

// forget drops what was counted of a copy.
func (b *breakers) forget(id copyID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.by, id)
}
