package kind

import (
	"sync"
	"time"
)

// clock estimates a server's clock from its Date headers.
type clock struct {
	mu     sync.Mutex
	offset time.Duration // server minus ours, a lower bound
	at     time.Time     // when it was last confirmed
	best   time.Time     // when offset was measured
}

const (
	clockFresh = time.Minute     // an estimate without a newer answer is believed so long
	clockStep  = 2 * time.Second // a step back by more is a clock that was set
)

// set notes that the server's clock showed at least date when our clock showed
// local. The largest offset seen is the closest bound, until it is old or the
// server's clock was set back.
func (k *clock) set(date, local time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	off := date.Sub(local.Round(0))
	if k.at.IsZero() || off > k.offset || local.Sub(k.best) > clockFresh || k.offset-off > clockStep {
		k.offset, k.best = off, local
	}
	k.at = local
}

func (k *clock) now() (time.Time, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.at.IsZero() || now.Sub(k.at) > clockFresh {
		return time.Time{}, false
	}
	return now.Round(0).Add(k.offset).UTC(), true
}
