package urls

import (
	"sync"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/storage/s3"
)

// maxKept bounds the keys that are kept.
const maxKept = 4096

// signing is what a signing key is derived from.
type signing struct{ secret, id, region string }

// keptKeys are signing keys: deriving one takes longer than signing with it, and the inputs of
// invocations are mostly of the same buckets.
type keptKeys struct {
	mu sync.RWMutex
	by map[signing]*s3.SigningKey
}

// today are those of this process.
var today keptKeys

func (k *keptKeys) of(g Grant, system *catalog.Key, region string) *s3.SigningKey {
	from := signing{system.Secret, g.ID(), region}
	k.mu.RLock()
	key := k.by[from]
	k.mu.RUnlock()
	if key != nil {
		return key
	}
	key = s3.NewSigningKey(from.id, secretOf(system.Secret, from.id), region, g.Day)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil || len(k.by) >= maxKept {
		k.by = make(map[signing]*s3.SigningKey)
	}
	k.by[from] = key
	return key
}
