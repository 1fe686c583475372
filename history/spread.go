package history

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

// maxSpread bounds the values of a spread that are kept; of more, a random sample is.
const maxSpread = 4096

// Spread collects the values of an interval, of which percentiles are kept. The zero value is ready.
// All methods are safe for concurrent use.
type Spread struct {
	mu     sync.Mutex
	values []float64
	seen   int
}

// Add adds a value to the interval.
func (s *Spread) Add(v float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if len(s.values) < maxSpread {
		s.values = append(s.values, v)
	} else if i := rand.IntN(s.seen); i < maxSpread { //nolint:gosec // chance, not a secret
		s.values[i] = v
	}
}

// Take returns percentiles of the interval, between 0 and 1, and begins the next one. Those of
// no values are NaN.
func (s *Spread) Take(percentiles ...float64) []float64 {
	s.mu.Lock()
	values := slices.Clone(s.values)
	s.values, s.seen = s.values[:0], 0
	s.mu.Unlock()
	slices.Sort(values)
	all := make([]float64, len(percentiles))
	for i, p := range percentiles {
		all[i] = math.NaN()
		if len(values) > 0 {
			all[i] = values[min(int(p*float64(len(values))), len(values)-1)]
		}
	}
	return all
}
