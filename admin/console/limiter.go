package console

import (
	"sync"
	"time"
)

const (
	// maxStrikes is how many failures a minute an address or a name has.
	maxStrikes   = 5
	strikeWindow = time.Minute
	// The first wait, and the longest: each further failure doubles it.
	firstWait = 30 * time.Second
	maxWait   = 15 * time.Minute
	// maxAttempts bounds the attempts a minute in all.
	maxAttempts = 60
	// maxStruck bounds what is remembered.
	maxStruck = 10_000
)

// limiter slows down who tries passwords and tokens.
type limiter struct {
	mu       sync.Mutex
	struck   map[string]*strikes
	attempts int
	window   time.Time
}

// strikes are the failures of an address or a name.
type strikes struct {
	n     int
	since time.Time
	wait  time.Duration
	until time.Time
}

func newLimiter() *limiter { return &limiter{struck: make(map[string]*strikes)} }

// try says how long to wait before an attempt; 0 for one that may be made now. It counts as a
// failure until succeed is told otherwise, so that many at once are no way around.
func (l *limiter) try(now time.Time, keys ...string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wait time.Duration
	for _, k := range keys {
		if s := l.struck[k]; s != nil {
			wait = max(wait, s.until.Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	if now.Sub(l.window) >= strikeWindow {
		l.window, l.attempts = now, 0
	}
	if l.attempts >= maxAttempts {
		return max(time.Second, l.window.Add(strikeWindow).Sub(now))
	}
	l.attempts++
	for _, k := range keys {
		l.strike(now, k)
	}
	return 0
}

// strike notes a failed attempt. The caller holds mu.
func (l *limiter) strike(now time.Time, key string) {
	s := l.struck[key]
	if s == nil {
		l.makeRoom(now)
		s = &strikes{since: now}
		l.struck[key] = s
	}
	if s.wait == 0 && now.Sub(s.since) > strikeWindow || s.wait > 0 && now.Sub(s.until) > maxWait {
		*s = strikes{since: now}
	}
	if s.n++; s.n >= maxStrikes {
		s.wait = min(max(2*s.wait, firstWait), maxWait)
		s.until = now.Add(s.wait)
	}
}

// succeed takes the last attempt of an address back, and forgets the failures of a name.
func (l *limiter) succeed(name, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.struck, name)
	if s := l.struck[address]; s != nil {
		if s.n--; s.n < maxStrikes {
			s.wait, s.until = 0, time.Time{}
		}
	}
}

// makeRoom forgets what is over, and where that is not enough, what ends first. The caller
// holds mu.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.struck) < maxStruck {
		return
	}
	var first string
	for k, s := range l.struck {
		if now.Sub(s.since) > 2*maxWait && now.After(s.until) {
			delete(l.struck, k)
		} else if first == "" || s.until.Before(l.struck[first].until) {
			first = k
		}
	}
	if len(l.struck) >= maxStruck {
		delete(l.struck, first)
	}
}
