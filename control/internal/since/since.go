// Package since remembers since when what is found of buckets is so, where nothing else tells.
//
// Invariants:
//
//   - What is found again without a break keeps its moment; what was not found once begins again.
//   - Memory is bounded, however many buckets are not ok.
package since

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Key tells findings about one bucket apart.
type Key struct{ What, Cluster string }

// most bounds the buckets that something is remembered of: of others it is not known since when.
const most = 100_000

// Memory is what was found of each bucket last. The zero value is ready.
type Memory struct {
	mu sync.Mutex
	of map[string][]finding
}

// finding is one that nothing else dates.
type finding struct {
	key Key
	at  time.Time
}

// Found takes in all that is found of a bucket now, and returns since when each is so, in the
// order given; the zero time where that is not remembered.
func (m *Memory) Found(bucket string, now time.Time, found ...Key) []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.of[bucket]
	if len(found) == 0 {
		delete(m.of, bucket)
		return nil
	}
	times := make([]time.Time, len(found))
	if !known && len(m.of) >= most {
		return times
	}
	next := make([]finding, len(found))
	for i, k := range found {
		times[i] = now
		if at := slices.IndexFunc(before, func(f finding) bool { return f.key == k }); at >= 0 {
			times[i] = before[at].at
		}
		next[i] = finding{k, times[i]}
	}
	if m.of == nil {
		m.of = make(map[string][]finding)
	}
	m.of[bucket] = next
	return times
}

// Keep forgets the buckets that f does not keep.
func (m *Memory) Keep(f func(bucket string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.of, func(bucket string, _ []finding) bool { return !f(bucket) })
}
