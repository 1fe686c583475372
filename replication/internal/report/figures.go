package report

import (
	"slices"
	"sync"
	"time"
)

// Rate is per second.
type Rate struct{ Objects, Bytes float64 }

// Lag is how long live objects took from being noticed to being routable.
type Lag struct{ P50, P99 time.Duration }

const (
	rateWindow = 30   // seconds that rates are taken over
	lagSamples = 1024 // recent lags that percentiles are taken of
)

// Figures counts what was done lately.
type Figures struct {
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

// NewFigures returns figures of nothing yet.
func NewFigures(now func() time.Time) *Figures { return &Figures{now: now} }

// copied counts an object brought to where it should be.
func (f *Figures) copied(bytes int64) {
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

// took notes how long a live change took to become routable.
func (f *Figures) took(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.lags) < lagSamples {
		f.lags = append(f.lags, d)
		return
	}
	f.lags[f.lagNext] = d
	f.lagNext = (f.lagNext + 1) % lagSamples
}

// Rate is per second, over the last half minute.
func (f *Figures) Rate() Rate {
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

// Lag is that of recent live objects.
func (f *Figures) Lag() Lag {
	f.mu.Lock()
	lags := slices.Clone(f.lags)
	f.mu.Unlock()
	if len(lags) == 0 {
		return Lag{}
	}
	slices.Sort(lags)
	at := func(p float64) time.Duration { return lags[min(int(p*float64(len(lags))), len(lags)-1)] }
	return Lag{P50: at(0.50), P99: at(0.99)}
}
