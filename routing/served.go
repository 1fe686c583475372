package routing

import (
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/routing/internal/took"
)

// Served counts the invocations that an endpoint answered. The zero value is ready. It is
// written when an answer is there, never while one is decided on.
type Served struct {
	by     [3]atomic.Uint32 // localities
	failed atomic.Uint32
	took   took.Times
}

// Count counts an invocation that was answered after so long, or failed.
func (s *Served) Count(l Locality, took time.Duration, failed bool) {
	s.by[l].Add(1)
	s.took.Count(took)
	if failed {
		s.failed.Add(1)
	}
}

// ServedCounts are what Served counted, or a difference of two of them. They wrap around, so
// that a difference is right all the same.
type ServedCounts struct {
	By     [3]uint32
	Failed uint32
	Took   took.Counts
}

// Counts returns what was counted.
func (s *Served) Counts() (c ServedCounts) {
	for l := range s.by {
		c.By[l] = s.by[l].Load()
	}
	c.Failed, c.Took = s.failed.Load(), s.took.Counts()
	return c
}

// Since returns what was counted since.
func (c ServedCounts) Since(before ServedCounts) ServedCounts {
	for l := range c.By {
		c.By[l] -= before.By[l]
	}
	c.Failed, c.Took = c.Failed-before.Failed, c.Took.Since(before.Took)
	return c
}

// Plus returns what was counted by both.
func (c ServedCounts) Plus(other ServedCounts) ServedCounts {
	for l := range c.By {
		c.By[l] += other.By[l]
	}
	c.Failed, c.Took = c.Failed+other.Failed, c.Took.Plus(other.Took)
	return c
}

// Quantile returns the time in milliseconds within which that part of the invocations was
// answered, to a quarter or so; NaN where there were none.
func (c ServedCounts) Quantile(q float64) float64 { return c.Took.Quantile(q) }
