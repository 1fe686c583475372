package bodies

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// seen remembers which versions of objects were used lately: a table that a newer entry takes
// the place of an older one in. What it forgets is admitted one use later.
type seen struct {
	seed  maphash.Seed
	slots []atomic.Uint64
}

// newSeen makes a table for about so many objects.
func newSeen(objects int64) seen {
	n := min(max(objects, 1<<10), 1<<20)
	return seen{maphash.MakeSeed(), make([]atomic.Uint64, 1<<bits.Len64(uint64(n-1)))}
}

// use notes that a version was used, and reports whether it was before.
func (s *seen) use(bucket, key string, id Identity) bool {
	v := maphash.Comparable(s.seed, struct {
		bucket, key string
		Identity
	}{bucket, key, id})
	return s.slots[v%uint64(len(s.slots))].Swap(v) == v
}
