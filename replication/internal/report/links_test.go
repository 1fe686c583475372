package report

import (
	"testing"
	"time"
)

// A link's rate is that of its better busy seconds; a trickle says nothing of it.
func TestLinkRates(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	r := New(nil, nil, func() time.Time { return now })
	second := func(from, to string, bytes int64) {
		r.Moved(from, to, bytes/2)
		r.Moved(from, to, bytes-bytes/2)
		now = now.Add(time.Second)
	}
	for range 10 {
		second("a", "b", 1000)
	}
	if rate := r.Links.Rate("a", "b"); rate != 0 {
		t.Errorf("a trickle has the rate %g", rate)
	}
	for range 4 {
		second("a", "b", 50<<20)
	}
	if rate := r.Links.Rate("a", "b"); rate != 0 {
		t.Errorf("four seconds have the rate %g", rate)
	}
	for range 4 {
		second("a", "b", 2<<20)
	}
	if rate := r.Links.Rate("a", "b"); rate != 50<<20 {
		t.Errorf("the rate is %g", rate)
	}
	for range 100 {
		second("a", "b", 8<<20)
	}
	if rate := r.Links.Rate("a", "b"); rate != 8<<20 {
		t.Errorf("the rate is %g after a minute of another one", rate)
	}
	if rate := r.Links.Rate("b", "a"); rate != 0 {
		t.Errorf("the way back has the rate %g", rate)
	}
}
