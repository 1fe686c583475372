package replication

import (
	"slices"
	"sync"
	"time"
)

const (
	rateWindow = 30   // seconds that rates are taken over
	lagSamples = 1024 // recent lags that percentiles are taken of
)

// figures counts what was done lately.
type figures struct {
	now func() time.Time

	mu      sync.Mutex
	seconds [rateWindow]second
	lags    []time.Duration // ring
	lagNext int
}

type second struct {
	at             int64
	objects, bytes int64
}

func newFigures(now func() time.Time) *figures { return &figures{now: now} }

// copied counts an object brought to where it should be.
func (f *figures) copied(bytes int64) {
	at := f.now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.seconds[at%rateWindow]
	if s.at != at {
		*s = second{at: at}
	}
	s.objects++
	s.bytes += bytes
}

// lag notes how long a live change took to become routable.
func (f *figures) lag(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lags) < lagSamples {
		f.lags = append(f.lags, d)
		return
	}
	f.lags[f.lagNext] = d
	f.lagNext = (f.lagNext + 1) % lagSamples
}

func (f *figures) rate() Rate {
	at := f.now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	var r Rate
	for _, s := range f.seconds {
		if s.at > at-rateWindow && s.at <= at {
			r.Objects += float64(s.objects)
			r.Bytes += float64(s.bytes)
		}
	}
	r.Objects /= rateWindow
	r.Bytes /= rateWindow
	return r
}

func (f *figures) percentiles() Lag {
	f.mu.Lock()
	lags := slices.Clone(f.lags)
	f.mu.Unlock()
	if len(lags) == 0 {
		return Lag{}
	}
	slices.Sort(lags)
	at := func(p float64) float64 {
		return float64(lags[min(int(p*float64(len(lags))), len(lags)-1)]) / float64(time.Millisecond)
	}
	return Lag{P50: at(0.50), P99: at(0.99)}
}

// delta is what single objects changed in the size of a copy.
type delta struct{ objects, bytes int64 }
