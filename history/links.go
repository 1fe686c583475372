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

// Links counts what goes over links. Counting takes no lock, once a link has been known for a
// while. The zero value is ready. All methods are safe for concurrent use.
type Links struct {
	known atomic.Pointer[map[Link]*amount] // replaced, never changed

	mu sync.Mutex
	// fresh are the links that are not among the known ones yet. They are made known when they were
	// asked for as often as there are known ones, so that what copying takes stays in proportion.
	fresh map[Link]*amount
	asked int
}

type amount struct{ times, bytes atomic.Int64 }

// Add counts once over a link.
func (l *Links) Add(link Link, bytes int64) {
	a := l.of(link)
	a.times.Add(1)
	a.bytes.Add(bytes)
}

func (l *Links) of(link Link) *amount {
	if a := l.settled()[link]; a != nil {
		return a
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.settled()
	if a := known[link]; a != nil {
		return a
	}
	a := l.fresh[link]
	if a == nil {
		if len(known)+len(l.fresh) >= maxLinks { // all start over
			known, l.fresh = nil, nil
			l.known.Store(nil)
		}
		if l.fresh == nil {
			l.fresh = make(map[Link]*amount)
		}
		a = new(amount)
		l.fresh[link] = a
	}
	if l.asked++; l.asked >= len(known) {
		next := make(map[Link]*amount, len(known)+len(l.fresh))
		maps.Copy(next, known)
		maps.Copy(next, l.fresh)
		l.known.Store(&next)
		l.fresh, l.asked = nil, 0
	}
	return a
}

// settled are the links that are counted without a lock.
func (l *Links) settled() map[Link]*amount {
	if known := l.known.Load(); known != nil {
		return *known
	}
	return nil
}

// Amounts returns what was counted.
func (l *Links) Amounts() map[Link]Amount {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.settled()
	all := make(map[Link]Amount, len(known)+len(l.fresh))
	for _, links := range []map[Link]*amount{known, l.fresh} {
		for link, a := range links {
			all[link] = Amount{a.times.Load(), a.bytes.Load()}
		}
	}
	return all
}
