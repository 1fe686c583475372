package routing

import (
	"math"
	"testing"
	"time"
)

func TestServed(t *testing.T) {
	var s Served
	if q := s.Counts().Quantile(.5); !math.IsNaN(q) {
		t.Errorf("of nothing: %v", q)
	}
	for range 98 {
		s.Count(LocalityLocal, 2*time.Millisecond, false)
	}
	before := s.Counts()
	s.Count(LocalityRemote, 300*time.Millisecond, true)
	s.Count(LocalityNone, 0, false)
	c := s.Counts()
	if c.By != [3]uint32{1, 98, 1} || c.Failed != 1 {
		t.Errorf("%+v", c)
	}
	for q, want := range map[float64]float64{.5: 2, .9: 2, .995: 300} {
		if got := c.Quantile(q); got < want*.7 || got > want*1.5 {
			t.Errorf("quantile %v: %v ms, want about %v", q, got, want)
		}
	}
	if since := c.Since(before); since.By != [3]uint32{1, 0, 1} || since.Failed != 1 {
		t.Errorf("since: %+v", since)
	}
	if plus := before.Plus(c.Since(before)); plus != c {
		t.Errorf("plus: %+v, want %+v", plus, c)
	}
}

// Every time is within the bounds of its bucket, but for those beyond the last.
func TestTookBucket(t *testing.T) {
	for us := int64(1); us < 20_000_000; us += 1 + us/7 {
		i := tookBucket(time.Duration(us) * time.Microsecond)
		if f := float64(us); f < tookBound(i) || f >= tookBound(i+1) {
			t.Errorf("%d µs is in bucket %d, from %v to %v", us, i, tookBound(i), tookBound(i+1))
		}
	}
	if i := tookBucket(time.Hour); i != tookBuckets-1 {
		t.Errorf("an hour is in bucket %d", i)
	}
}
