package limit

import "time"

// A pace is how many objects at a time a storage sustains, once it has shown that it can't
// sustain all slots. A sign of congestion (503, SlowDown, a timeout, a slow answer) halves
// it; as many successes as it has slots add one: additive increase, multiplicative decrease,
// as in TCP. A storage that never complains has no pace and may use all slots.
type pace struct {
	limit   int
	well    int       // successes since the last change
	changed time.Time // time of the last change
}

const (
	// paceEvery bounds how often a pace changes: simultaneous failures count once, and a
	// fast storage gets time to complain before it is asked for more.
	paceEvery = 100 * time.Millisecond
	// slowAnswer is how long the transfer of a small object may take, without the wait for
	// bandwidth, before it is a sign of congestion.
	slowAnswer = 5 * time.Second
)

// Slow reports whether a transfer of size bytes that took so long, without its wait for
// bandwidth, is a sign of congestion.
func Slow(size int64, took time.Duration) bool { return size <= SmallObject && took > slowAnswer }

// paceOf returns how many slots a storage sustains. The caller holds mu.
func (s *Slots) paceOf(cluster string) int {
	p := s.paces[cluster]
	if p == nil {
		return s.total
	}
	return min(p.limit, s.total)
}

// Congested notes a sign of congestion, which halves the storage's pace.
func (s *Slots) Congested(cluster string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paces[cluster]
	if p == nil {
		p = &pace{limit: min(max(s.to[cluster], s.from[cluster]), s.total)}
		s.paces[cluster] = p
	}
	p.well = 0
	if now.Sub(p.changed) < paceEvery {
		return
	}
	p.limit, p.changed = max(p.limit/2, min(suspectSlots, s.total)), now
}

// Flowing notes a success. Enough of them raise the storage's pace, until it may use all
// slots again.
func (s *Slots) Flowing(cluster string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paces[cluster]
	if p == nil {
		return
	}
	if p.well++; p.well < p.limit || now.Sub(p.changed) < paceEvery {
		return
	}
	p.limit, p.well, p.changed = p.limit+1, 0, now
	if p.limit >= s.total {
		delete(s.paces, cluster)
	}
	s.grant()
}
