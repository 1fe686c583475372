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

// slots bound the objects worked on at a time. A part of them is kept for pending rows,
// so that a bulk sync does not delay live changes, and no cluster takes all of them, so
// that a slow storage delays its own objects and nobody else's. A suspect cluster (one
// whose requests lately failed or hung) gets very few.
type slots struct {
	mu       sync.Mutex
	total    int
	used     int
	bulk     int
	by       map[string]int
	suspect  map[string]bool
	clusters int // clusters that could want slots; one alone may have them all
	waiters  []*slotWaiter
}

type slotWaiter struct {
	class   class
	cluster string
	granted chan struct{}
}

const suspectSlots = 2

func newSlots(n int) *slots {
	return &slots{total: n, by: make(map[string]int), suspect: make(map[string]bool)}
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
	w := &slotWaiter{class: c, cluster: cluster, granted: make(chan struct{})}
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
	s.used--
	if w.class == classBulk {
		s.bulk--
	}
	if s.by[w.cluster]--; s.by[w.cluster] == 0 {
		delete(s.by, w.cluster)
	}
	s.grant()
}

// grant gives free slots to those who may have them, in the order they came.
func (s *slots) grant() {
	rest := s.waiters[:0]
	for _, w := range s.waiters {
		if !s.eligible(w) {
			rest = append(rest, w)
			continue
		}
		s.used++
		s.by[w.cluster]++
		if w.class == classBulk {
			s.bulk++
		}
		close(w.granted)
	}
	clear(s.waiters[len(rest):])
	s.waiters = rest
}

func (s *slots) eligible(w *slotWaiter) bool {
	if s.used >= s.total || s.by[w.cluster] >= s.clusterCap(w.cluster) {
		return false
	}
	return w.class != classBulk || s.bulk < s.bulkCap()
}

// bulkCap leaves an eighth of the slots, at least one where there are several, to
// pending rows.
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
		return s.total
	default:
		return s.total - s.total/4
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
