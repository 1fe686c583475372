package took

import (
	"math"
	"testing"
	"time"
)

// Percentiles are about right, of all and of what came since.
func TestQuantile(t *testing.T) {
	var all Times
	if q := all.Counts().Quantile(.5); !math.IsNaN(q) {
		t.Errorf("of nothing: %v", q)
	}
	for range 98 {
		all.Count(2 * time.Millisecond)
	}
	before := all.Counts()
	all.Count(300 * time.Millisecond)
	all.Count(0)
	c := all.Counts()
	for q, want := range map[float64]float64{.5: 2, .9: 2, .995: 300} {
		if got := c.Quantile(q); got < want*.7 || got > want*1.5 {
			t.Errorf("quantile %v: %v ms, want about %v", q, got, want)
		}
	}
	since := c.Since(before)
	if got := since.Quantile(1); got < 200 || got > 450 {
		t.Errorf("since: %v ms", got)
	}
	if plus := before.Plus(since); plus != c {
		t.Errorf("plus: %+v, want %+v", plus, c)
	}
}

// Every time is within the bounds of its bucket, but for those beyond the last.
func TestBucket(t *testing.T) {
	for us := int64(1); us < 20_000_000; us += 1 + us/7 {
		i := bucket(time.Duration(us) * time.Microsecond)
		if f := float64(us); f < bound(i) || f >= bound(i+1) {
			t.Errorf("%d µs is in bucket %d, from %v to %v", us, i, bound(i), bound(i+1))
		}
	}
	if i := bucket(time.Hour); i != buckets-1 {
		t.Errorf("an hour is in bucket %d", i)
	}
}

// Counts wrap around, and what was counted since is right all the same.
func TestWrapAround(t *testing.T) {
	before := Counts{10: math.MaxUint32}
	after := Counts{10: 4}
	if since := after.Since(before); since[10] != 5 {
		t.Errorf("%d since, want 5", since[10])
	}
}
