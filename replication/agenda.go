package replication

import (
	"context"
	"sync"
	"time"
)

// agenda holds the buckets that the planner has to check, and when. Its methods may be
// called from any goroutine; the planner takes buckets from it.
type agenda struct {
	now  func() time.Time
	wake chan struct{} // delivers when a check is due at once

	mu       sync.Mutex
	all      bool
	nextAll  time.Time // a pass over everything may begin
	dirty    map[string]struct{}
	due      map[string]time.Time // buckets to check later
	attempts map[jobID]int        // jobs that failed in a row
	early    map[jobID]int        // jobs that ended in a row because it was too early
}

func newAgenda(now func() time.Time) *agenda {
	return &agenda{
		now: now, wake: make(chan struct{}, 1), all: true,
		dirty: make(map[string]struct{}), due: make(map[string]time.Time), attempts: make(map[jobID]int), early: make(map[jobID]int),
	}
}

// touch schedules a check of a bucket.
func (a *agenda) touch(bucket string) {
	a.mu.Lock()
	a.dirty[bucket] = struct{}{}
	a.mu.Unlock()
	a.signal()
}

// touchAll schedules a check of every bucket.
func (a *agenda) touchAll() {
	a.mu.Lock()
	a.all = true
	a.mu.Unlock()
	a.signal()
}

// later schedules a check of a bucket after d, unless an earlier one is scheduled.
func (a *agenda) later(bucket string, d time.Duration) {
	at := a.now().Add(d)
	a.mu.Lock()
	if was, ok := a.due[bucket]; !ok || at.Before(was) {
		a.due[bucket] = at
	}
	a.mu.Unlock()
	a.signal() // the next moment may be another
}

// waits reports whether a later check of a bucket is scheduled.
func (a *agenda) waits(bucket string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.due[bucket]
	return ok
}

// failed counts a job that failed, and returns how often in a row.
func (a *agenda) failed(id jobID) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.attempts[id]++
	return a.attempts[id]
}

// waited counts a job that ended because it was too early, and returns how often in a row.
func (a *agenda) waited(id jobID) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.early[id]++
	return a.early[id]
}

// recovered forgets that a job failed, or was too early.
func (a *agenda) recovered(id jobID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.attempts, id)
	delete(a.early, id)
}

// forgive schedules an immediate check of a bucket and forgets its failures.
func (a *agenda) forgive(bucket string) {
	a.mu.Lock()
	delete(a.due, bucket)
	for id := range a.attempts {
		if id.Bucket == bucket {
			delete(a.attempts, id)
		}
	}
	for id := range a.early {
		if id.Bucket == bucket {
			delete(a.early, id)
		}
	}
	a.mu.Unlock()
	a.touch(bucket)
}

// forgiveAll schedules an immediate check of every bucket and forgets all failures.
func (a *agenda) forgiveAll() {
	a.mu.Lock()
	clear(a.due)
	clear(a.attempts)
	clear(a.early)
	a.mu.Unlock()
	a.touchAll()
}

func (a *agenda) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// await returns when a check is due, at the latest after d; false at ctx's end.
func (a *agenda) await(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(a.untilNext(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-a.wake:
	case <-t.C:
	}
	a.promote()
	return true
}

// untilNext is the time to the next moment at which a bucket is due, or a pass over all that
// waits for its turn, d at most.
func (a *agenda) untilNext(d time.Duration) time.Duration {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range a.due {
		d = min(d, at.Sub(now))
	}
	if a.all {
		d = min(d, a.nextAll.Sub(now))
	}
	return max(d, 0)
}

// promote makes buckets dirty whose time has come.
func (a *agenda) promote() {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for b, at := range a.due {
		if !at.After(now) {
			delete(a.due, b)
			a.dirty[b] = struct{}{}
		}
	}
}

// takeAll reports whether every bucket has to be checked now.
func (a *agenda) takeAll() bool {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.all || now.Before(a.nextAll) {
		return false
	}
	a.all = false
	return true
}

// rest puts the next pass over everything off.
func (a *agenda) rest(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nextAll = a.now().Add(d)
}

// takeNamed returns the buckets that were marked by name.
func (a *agenda) takeNamed() map[string]struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.dirty) == 0 {
		return nil
	}
	dirty := a.dirty
	a.dirty = make(map[string]struct{})
	return dirty
}
