package limit

import (
	"context"
	"slices"
	"sync"
	"time"
)

// suspectSlots is how many slots a suspect cluster gets.
const suspectSlots = 2

// Class is the kind of work a slot is for.
type Class uint8

const (
	// Live is a pending row.
	Live Class = iota
	// Bulk is an object of a walk.
	Bulk
)

// Want describes the work a slot is for. From and Bucket are optional.
type Want struct {
	Class    Class
	Bucket   string
	From, To string // clusters: read from and written to
	Size     int64  // bytes
	Awaited  bool   // a user's request waits for it
}

// small reports whether the work is live and short, so that it goes before what is not.
func (w Want) small() bool { return w.Class == Live && w.Size <= SmallObject }

// Slots bounds the objects that are worked on at the same time. Some slots are reserved for
// small live objects, so that neither a bulk sync nor large objects delay them. No cluster
// gets all slots, so that a slow storage only delays its own objects. A suspect cluster,
// whose requests recently failed or hung, gets very few; a congested one as many as it
// sustains, see [Slots.Congested].
//
// Among waiters those that a user waits for come first, then small live objects, then other live ones, then bulk; within a
// class the bucket that holds the fewest slots, then the earliest.
type Slots struct {
	mu       sync.Mutex
	total    int
	used     int
	bulk     int // slots in use, except those of small live objects
	to       map[string]int
	from     map[string]int
	buckets  map[string]int
	suspect  map[string]bool
	paces    map[string]*pace
	clusters int // declared clusters; with one or two of them, each may take all slots
	waiters  []*waiter
}

type waiter struct {
	Want
	granted chan struct{} // closed when the waiter holds a slot
}

// New returns n slots.
func New(n int) *Slots {
	return &Slots{
		total: n, to: make(map[string]int), from: make(map[string]int), buckets: make(map[string]int),
		suspect: make(map[string]bool), paces: make(map[string]*pace),
	}
}

// Resize changes the number of slots to n, at least one. Slots in use stay in use.
func (s *Slots) Resize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = max(n, 1)
	s.grant()
}

// SetClusters sets how many clusters compete for slots.
func (s *Slots) SetClusters(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters = n
	s.grant()
}

// SetSuspect marks a cluster as failing or hanging, or clears the mark.
func (s *Slots) SetSuspect(cluster string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.suspect[cluster] == on {
		return
	}
	if on {
		s.suspect[cluster] = true
	} else {
		delete(s.suspect, cluster)
	}
	s.grant()
}

// Acquire waits for a slot until ctx ends. The caller calls release exactly once, unless
// err is set.
func (s *Slots) Acquire(ctx context.Context, want Want) (release func(), err error) {
	w := &waiter{Want: want, granted: make(chan struct{})}
	s.enqueue(w)
	select {
	case <-w.granted:
		return func() { s.release(w) }, nil
	case <-ctx.Done():
		s.withdraw(w)
		return nil, ctx.Err()
	}
}

func (s *Slots) enqueue(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiters = append(s.waiters, w)
	s.grant()
}

// withdraw removes a waiter, or returns the slot that it got in the meantime.
func (s *Slots) withdraw(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.granted:
		s.giveBack(w)
	default:
		s.waiters = slices.DeleteFunc(s.waiters, func(o *waiter) bool { return o == w })
	}
}

func (s *Slots) release(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack(w)
}

func (s *Slots) giveBack(w *waiter) {
	s.count(w.Want, -1)
	s.grant()
}

// count adds n to the slots in use.
func (s *Slots) count(w Want, n int) {
	s.used += n
	if !w.small() {
		s.bulk += n
	}
	for _, c := range []struct {
		in   map[string]int
		name string
	}{{s.to, w.To}, {s.from, w.From}, {s.buckets, w.Bucket}} {
		if c.in[c.name] += n; c.in[c.name] == 0 {
			delete(c.in, c.name)
		}
	}
}

// grant gives free slots to eligible waiters. The caller holds mu.
func (s *Slots) grant() {
	for s.used < s.total {
		best := -1
		for i, w := range s.waiters {
			if s.eligible(w.Want) && (best < 0 || s.before(w.Want, s.waiters[best].Want)) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		w := s.waiters[best]
		s.waiters = slices.Delete(s.waiters, best, best+1)
		s.count(w.Want, 1)
		close(w.granted)
	}
}

// before reports whether w goes before o, although o came first.
func (s *Slots) before(w, o Want) bool {
	switch {
	case w.Awaited != o.Awaited:
		return w.Awaited
	case w.small() != o.small():
		return w.small()
	case w.Class != o.Class:
		return w.Class < o.Class
	default:
		return s.buckets[w.Bucket] < s.buckets[o.Bucket]
	}
}

// eligible reports whether the bounds leave a slot for w, if one is free.
func (s *Slots) eligible(w Want) bool {
	switch {
	case s.to[w.To] >= s.clusterCap(w.To):
		return false
	case w.From != "" && s.from[w.From] >= s.paceOf(w.From):
		return false
	}
	return w.small() || w.Awaited || s.bulk < s.bulkCap()
}

// bulkCap is how many slots others than small live objects may use: an eighth, and at least
// one if there are several, is reserved for those.
func (s *Slots) bulkCap() int {
	if s.total == 1 {
		return 1
	}
	return s.total - max(1, s.total/8)
}

// clusterCap is how many objects may be written to a cluster at the same time.
func (s *Slots) clusterCap(cluster string) int {
	switch {
	case s.suspect[cluster]:
		return min(suspectSlots, s.total)
	case s.clusters <= 2 || s.total < 4:
		return s.paceOf(cluster)
	default:
		return min(s.total-s.total/4, s.paceOf(cluster))
	}
}

// ClaimCap returns how many rows of a cluster an instance claims: enough to keep the
// cluster's slots busy.
func (s *Slots) ClaimCap(cluster string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 2 * s.clusterCap(cluster)
}

// Size returns the number of slots.
func (s *Slots) Size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// Available reports whether a slot is free for want and nothing waits for one.
func (s *Slots) Available(want Want) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used < s.total && len(s.waiters) == 0 && s.eligible(want)
}

// paceOf returns how many slots a storage sustains. The caller holds mu.
func (s *Slots) paceOf(cluster string) int {
	p := s.paces[cluster]
	if p == nil {
		return s.total
	}
	return min(p.limit, s.total)
}

// Congested notes a sign of congestion, which halves the storage's pace.
func (s *Slots) Congested(cluster string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paces[cluster]
	if p == nil {
		p = &pace{limit: min(max(s.to[cluster], s.from[cluster]), s.total)}
		s.paces[cluster] = p
	}
	p.well = 0
	if now.Sub(p.changed) < paceEvery {
		return
	}
	p.limit, p.changed = max(p.limit/2, min(suspectSlots, s.total)), now
}

// Flowing notes a success. Enough of them raise the storage's pace, until it may use all
// slots again.
func (s *Slots) Flowing(cluster string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paces[cluster]
	if p == nil {
		return
	}
	if p.well++; p.well < p.limit || now.Sub(p.changed) < paceEvery {
		return
	}
	p.limit, p.well, p.changed = p.limit+1, 0, now
	if p.limit >= s.total {
		delete(s.paces, cluster)
	}
	s.grant()
}
