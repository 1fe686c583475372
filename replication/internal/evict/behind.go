package evict

import (
	"fmt"
	"sync"

	"github.com/fado-project/fado/replication/internal/ids"
)

// Versions that a copy hides when its residency ends: below a delete marker, and in no copy that remains,
// as far as can be told.
//
// Invariant: they go on people's word only, for they may be the last there are; and until they have
// gone, the copy's row stays and the bucket says so, for nothing is to lie unnamed where a policy does not
// allow it. Where the policy allows the cluster they stay, and the copy leaves.

// hiddenHistory counts the keys with such versions.
type hiddenHistory struct {
	keys int
	one  string // of them
}

// note counts a key of which versions are left.
func (h *hiddenHistory) note(key string) {
	h.keys++
	h.one = key
}

// reason says why a copy with such versions can't leave; nil: it has none.
func (h *hiddenHistory) reason(id ids.Copy) error {
	if h.keys == 0 {
		return nil
	}
	return fmt.Errorf("%w: older versions of %d objects, of %q for one, are in %s, which the policy does not allow any more, and may be in no copy that remains; "+
		"POST /fado/buckets/%s/release with {\"purge\":\"history\"} removes them for good", ErrHidden, h.keys, h.one, id.Cluster, id.Bucket)
}

// keptBack remembers what kept copies that are not allowed any more.
type keptBack struct {
	mu sync.Mutex
	by map[ids.Copy]hiddenHistory
}

func (k *keptBack) note(id ids.Copy, h hiddenHistory) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.by[id] = h
}

func (k *keptBack) take(id ids.Copy) (h hiddenHistory, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, known = k.by[id]
	delete(k.by, id)
	return h, known
}
