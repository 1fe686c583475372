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
