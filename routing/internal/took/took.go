// Package took counts times until answers, so that percentiles of them can be told at little cost.
//
// Invariant: a percentile is right to a quarter or so, whatever the times were, up to half a minute.
package took

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// buckets divide the time until an answer: two to an octave of microseconds, up to half a minute.
const buckets = 50

// Times counts times. The zero value is ready. All methods are safe for concurrent use.
type Times [buckets]atomic.Uint32

// Counts are what Times counted, or a difference of two of them. They wrap around, so that a
// difference is right all the same.
type Counts [buckets]uint32

// Count counts a time.
func (t *Times) Count(d time.Duration) { t[bucket(d)].Add(1) }

// Counts returns what was counted.
func (t *Times) Counts() (c Counts) {
	for i := range t {
		c[i] = t[i].Load()
	}
	return c
}

// Since returns what was counted since.
func (c Counts) Since(before Counts) Counts {
	for i := range c {
		c[i] -= before[i]
	}
	return c
}

// Plus returns what was counted by both.
func (c Counts) Plus(other Counts) Counts {
	for i := range c {
		c[i] += other[i]
	}
	return c
}

// Quantile returns the time in milliseconds that so many of all took at most, to a quarter or so;
// NaN where there were none.
func (c Counts) Quantile(q float64) float64 {
	var all float64
	for _, n := range c {
		all += float64(n)
	}
	rest := q * all
	for i, n := range c {
		if n == 0 {
			continue
		}
		if rest -= float64(n); rest <= 0 {
			low, high := bound(i), bound(i+1)
			return (high + (high-low)*rest/float64(n)) / 1000
		}
	}
	return math.NaN()
}

// bucket returns that of a time.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 1))
	octave := bits.Len64(us) - 1
	i := 2 * octave
	if octave > 0 {
		i += int(us >> (octave - 1) & 1)
	}
	return min(i, buckets-1)
}

// bound returns the least of a bucket, in microseconds.
func bound(i int) float64 {
	return math.Ldexp(1+float64(i%2)/2, i/2)
}
