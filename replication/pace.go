package replication

import "time"

// A pace is how many objects at a time a storage is asked for when it has shown that it
// can't bear all the slots: a sign of congestion (503, SlowDown, a timeout, an answer that
// took too long) halves it, as many successes as it has slots add one: additive increase,
// multiplicative decrease, as TCP does. A storage that never complains has none and may
// have all slots.
type pace struct {
	limit   int
	well    int       // successes since it changed last
	changed time.Time // when that was
}

const (
	// paceEvery bounds how often a pace changes: what fails together counts once, and a
	// fast storage is not asked for more before it could complain.
	paceEvery = 100 * time.Millisecond
	// slowAnswer is how long a small object's transfer may take, waiting for bandwidth
	// aside, before it is a sign of congestion.
	slowAnswer = 5 * time.Second
)

// paceOf returns how many slots a storage bears. The caller holds mu.
func (s *slots) paceOf(cluster string) int {
	p := s.paces[cluster]
	if p == nil {
		return s.total
	}
	return min(p.limit, s.total)
}

// congested halves a storage's pace.
func (s *slots) congested(cluster string, now time.Time) {
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

// flowing raises a storage's pace; one that is back at all slots has none any more.
func (s *slots) flowing(cluster string, now time.Time) {
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
