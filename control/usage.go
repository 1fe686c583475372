package control

import (
	"maps"
	"sync"
)

// Usage keeps how much each cluster's storage holds, for the solver.
type Usage struct {
	mu    sync.Mutex
	bytes map[string]int64
}

// Set notes how much a cluster's storage holds.
func (u *Usage) Set(cluster string, bytes int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes == nil {
		u.bytes = make(map[string]int64)
	}
	u.bytes[cluster] = bytes
}

// All returns what Set was told last, per cluster, in a new map.
func (u *Usage) All() map[string]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes == nil {
		return make(map[string]int64)
	}
	return maps.Clone(u.bytes)
}
