package replication

import (
	"context"
	"sync"
)

// class says what a slot is wanted for.
type class uint8

const (
	classLive class = iota // a pending row
	classBulk              // an object of a walk
)

// want is what a slot is wanted for. From and bucket may be left out.
type want struct {
	class    class
	bucket   string
	from, to string // clusters: read from and written to
	size     int64
}

// small says whether it is live and soon over: such work goes first.
func (w want) small() bool { return w.class == classLive && w.size <= smallObject }

// slots bound the objects worked on at a time. A part of them is kept for small live
// objects, so that neither a bulk sync nor large objects delay them, and no cluster takes
// all of them, so that a slow storage delays its own objects and nobody else's. A suspect
// cluster (one whose requests lately failed or hung) gets very few, one that is asked for
// too much as many as it bears: see pace.
//
// Of those who wait, small live objects come first, then live ones, then bulk; among them
// the bucket that has the fewest slots, then who came first.
type slots struct {
	mu       sync.Mutex
	total    int
	used     int
	bulk     int // slots in use by all but small live objects
	to       map[string]int
	from     map[string]int
	buckets  map[string]int
	suspect  map[string]bool
	paces    map[string]*pace
	clusters int // clusters that could want slots; one alone may have them all
	waiters  []*slotWaiter
}

type slotWaiter struct {
	want
	granted chan struct{}
}

const suspectSlots = 2

func newSlots(n int) *slots {
	return &slots{
		total: n, to: make(map[string]int), from: make(map[string]int), buckets: make(map[string]int),
		suspect: make(map[string]bool), paces: make(map[string]*pace),
	}
}

func (s *slots) resize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = max(n, 1)
	s.grant()
}

// setClusters tells how many clusters could want slots.
func (s *slots) setClusters(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters = n
	s.grant()
}

// setSuspect marks a cluster as failing or hanging, or takes that back.
func (s *slots) setSuspect(cluster string, on bool) {
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

// acquire waits for a slot to write to a cluster; release must be called once.
func (s *slots) acquire(ctx context.Context, c class, cluster string) (release func(), err error) {
	return s.acquireFor(ctx, want{class: c, to: cluster})
}

// acquireFor waits for a slot; release must be called once.
func (s *slots) acquireFor(ctx context.Context, what want) (release func(), err error) {
	w := &slotWaiter{want: what, granted: make(chan struct{})}
	s.mu.Lock()
	s.waiters = append(s.waiters, w)
	s.grant()
	s.mu.Unlock()
	select {
	case <-w.granted:
		return func() { s.release(w) }, nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-w.granted:
			s.giveBack(w)
		default:
			for i, o := range s.waiters {
				if o == w {
					s.waiters = append(s.waiters[:i], s.waiters[i+1:]...)
					break
				}
			}
		}
		return nil, ctx.Err()
	}
}

func (s *slots) release(w *slotWaiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack(w)
}

func (s *slots) giveBack(w *slotWaiter) {
	s.count(w.want, -1)
	s.grant()
}

// count adds n slots in use.
func (s *slots) count(w want, n int) {
	s.used += n
	if !w.small() {
		s.bulk += n
	}
	for _, c := range []struct {
		in   map[string]int
		name string
	}{{s.to, w.to}, {s.from, w.from}, {s.buckets, w.bucket}} {
		if c.in[c.name] += n; c.in[c.name] == 0 {
			delete(c.in, c.name)
		}
	}
}

// grant gives free slots to those who may have them.
func (s *slots) grant() {
	for s.used < s.total {
		best := -1
		for i, w := range s.waiters {
			if s.eligible(w.want) && (best < 0 || s.before(w.want, s.waiters[best].want)) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		w := s.waiters[best]
		s.waiters = append(s.waiters[:best], s.waiters[best+1:]...)
		s.count(w.want, 1)
		close(w.granted)
	}
}

// before says whether one that came later goes first all the same.
func (s *slots) before(w, o want) bool {
	switch {
	case w.small() != o.small():
		return w.small()
	case w.class != o.class:
		return w.class < o.class
	default:
		return s.buckets[w.bucket] < s.buckets[o.bucket]
	}
}

func (s *slots) eligible(w want) bool {
	switch {
	case s.to[w.to] >= s.clusterCap(w.to):
		return false
	case w.from != "" && s.from[w.from] >= s.paceOf(w.from):
		return false
	}
	return w.small() || s.bulk < s.bulkCap()
}

// bulkCap leaves an eighth of the slots, at least one where there are several, to small
// live objects.
func (s *slots) bulkCap() int {
	if s.total == 1 {
		return 1
	}
	return s.total - max(1, s.total/8)
}

func (s *slots) clusterCap(cluster string) int {
	switch {
	case s.suspect[cluster]:
		return min(suspectSlots, s.total)
	case s.clusters <= 2 || s.total < 4:
		return s.paceOf(cluster)
	default:
		return min(s.total-s.total/4, s.paceOf(cluster))
	}
}

// lineCap returns how many rows of a cluster may be claimed at a time: enough to keep its
// slots busy.
func (s *slots) lineCap(cluster string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 2 * s.clusterCap(cluster)
}

func (s *slots) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
