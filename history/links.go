package history

import (
	"maps"
	"sync"
	"sync/atomic"
)

// Link is a way from one place to another.
type Link struct{ From, To string }

// Amount is what went over a link.
type Amount struct{ Times, Bytes int64 }

// maxLinks bounds the links that are counted.
const maxLinks = 4096

// Links counts what goes over links. Counting takes no lock, once a link is known. The zero value
// is ready. All methods are safe for concurrent use.
type Links struct {
	mu    sync.Mutex
	known atomic.Pointer[map[Link]*amount] // replaced, never changed
}

type amount struct{ times, bytes atomic.Int64 }

// Add counts once over a link.
func (l *Links) Add(link Link, bytes int64) {
	a := l.of(link)
	a.times.Add(1)
	a.bytes.Add(bytes)
}

func (l *Links) of(link Link) *amount {
	if known := l.known.Load(); known != nil && (*known)[link] != nil {
		return (*known)[link]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	next := make(map[Link]*amount)
	if known := l.known.Load(); known != nil && len(*known) < maxLinks { // else all start over
		if a := (*known)[link]; a != nil {
			return a
		}
		maps.Copy(next, *known)
	}
	a := new(amount)
	next[link] = a
	l.known.Store(&next)
	return a
}

// Amounts returns what was counted.
func (l *Links) Amounts() map[Link]Amount {
	all := make(map[Link]Amount)
	if known := l.known.Load(); known != nil {
		for link, a := range *known {
			all[link] = Amount{a.times.Load(), a.bytes.Load()}
		}
	}
	return all
}
