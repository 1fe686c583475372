package object

import (
	"sync"

	"github.com/fado-project/fado/storage"
)

// Foreseen counts what a walk would remove, or replace, at a copy although the primary has nothing
// newer, before any of it goes. Its methods may be called by many at once; its fields are read afterwards.
type Foreseen struct {
	mu sync.Mutex
	Doubt
	Extras int64 // objects that the primary lacks
	Older  int   // objects that it has an older version of
}

// MayCount reports whether a pair of listings may be among it, so that the copy is to be asked.
func MayCount(src, dst *storage.Object) bool {
	return dst != nil && (src == nil || storage.Compare(*src, *dst) != storage.Equal && MayBeOlder(src, dst))
}

// See looks at an object of the primary's listing; nil is none.
func (f *Foreseen) See(src *storage.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Seen(src)
}

// Found counts a pair whose object at the copy is FaDO's, as it was listed and as it is now.
func (f *Foreseen) Found(src *storage.Object, listed, now storage.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case src == nil:
		f.Extras++
		f.Extra(listed)
	case IsOlder(*src, now):
		f.Older++
	}
}

// Few reports whether there are so few extras as yet that they raise no doubt.
func (f *Foreseen) Few() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Extras < Doubtful
}
