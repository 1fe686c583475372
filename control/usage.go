package control

import (
	"maps"
	"slices"
	"sync"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Usage keeps how much each cluster's storage holds, and which storages have ever answered
// this instance, for the solver.
type Usage struct {
	mu    sync.Mutex
	bytes map[string]int64
	asked bool
	// answered has the address of the storage that answered, per cluster: another one under
	// the name has not.
	answered map[string]int64
}

// Ask says whether this instance asks storages for signs of life at all. While it does not,
// none counts as silent.
func (u *Usage) Ask(on bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = on
}

// Answered notes that a cluster's storage answered, and says whether it is the first time.
func (u *Usage) Answered(cluster string, address int64) (first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.answered[cluster] == address {
		return false
	}
	if u.answered == nil {
		u.answered = make(map[string]int64)
	}
	u.answered[cluster] = address
	return true
}

// Silent returns the clusters of a snapshot whose storage has never answered, and those of
// them that may just not have been asked yet.
func (u *Usage) Silent(snap *routing.Snapshot) (silent, unasked map[string]bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.asked {
		return nil, nil
	}
	silent, unasked = make(map[string]bool), make(map[string]bool)
	snap.Clusters(func(c *catalog.Cluster) bool {
		if c.Storage == nil || u.answered[c.Name] == c.Storage.Address() {
			return true
		}
		silent[c.Name] = true
		if live := snap.ClusterState(c.Name); live == nil || live.Storage() != routing.StorageDown {
			unasked[c.Name] = true
		}
		return true
	})
	return silent, unasked
}

// unplanned says where a rule has yet to get a copy, "" for nowhere. Invariant: no bucket is ok before all of its copies are on record.
func (u *Usage) unplanned(rule catalog.PrefixRule, chosen []string, rows []state.Copy) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, at := range chosen {
		if u.asked && !slices.ContainsFunc(rows, func(c state.Copy) bool { return c.Prefix == rule.Prefix && c.Cluster == at }) {
			return "the copy in " + at + " is yet to be begun"
		}
	}
	return ""
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
