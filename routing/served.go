package routing

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// tookBuckets divide the time until an answer: two to an octave of microseconds, up to half a
// minute.
const tookBuckets = 50

// Served counts the invocations that an endpoint answered. The zero value is ready. It is
// written when an answer is there, never while one is decided on.
type Served struct {
	by     [3]atomic.Uint32 // localities
	failed atomic.Uint32
	took   [tookBuckets]atomic.Uint32
}

// Count counts an invocation that was answered after so long, or failed.
func (s *Served) Count(l Locality, took time.Duration, failed bool) {
	s.by[l].Add(1)
	s.took[tookBucket(took)].Add(1)
	if failed {
		s.failed.Add(1)
	}
}

// ServedCounts are what Served counted, or a difference of two of them. They wrap around, so
// that a difference is right all the same.
type ServedCounts struct {
	By     [3]uint32
	Failed uint32
	Took   [tookBuckets]uint32
}

// Counts returns what was counted.
func (s *Served) Counts() (c ServedCounts) {
	for l := range s.by {
		c.By[l] = s.by[l].Load()
	}
	c.Failed = s.failed.Load()
	for i := range s.took {
		c.Took[i] = s.took[i].Load()
	}
	return c
}

// Since returns what was counted since.
func (c ServedCounts) Since(before ServedCounts) ServedCounts {
	for l := range c.By {
		c.By[l] -= before.By[l]
	}
	c.Failed -= before.Failed
	for i := range c.Took {
		c.Took[i] -= before.Took[i]
	}
	return c
}

// Plus returns what was counted by both.
func (c ServedCounts) Plus(other ServedCounts) ServedCounts {
	for l := range c.By {
		c.By[l] += other.By[l]
	}
	c.Failed += other.Failed
	for i := range c.Took {
		c.Took[i] += other.Took[i]
	}
	return c
}

// Quantile returns the time in milliseconds within which that part of the invocations was
// answered, to a quarter or so; NaN where there were none.
func (c ServedCounts) Quantile(q float64) float64 {
	var all float64
	for _, n := range c.Took {
		all += float64(n)
	}
	rest := q * all
	for i, n := range c.Took {
		if n == 0 {
			continue
		}
		if rest -= float64(n); rest <= 0 {
			low, high := tookBound(i), tookBound(i+1)
			return (high + (high-low)*rest/float64(n)) / 1000
		}
	}
	return math.NaN()
}

// tookBucket returns the bucket of a time.
func tookBucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 1))
	octave := bits.Len64(us) - 1
	i := 2 * octave
	if octave > 0 {
		i += int(us >> (octave - 1) & 1)
	}
	return min(i, tookBuckets-1)
}

// tookBound returns the least of a bucket, in microseconds.
func tookBound(i int) float64 {
	return math.Ldexp(1+float64(i%2)/2, i/2)
}
