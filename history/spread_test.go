package history_test

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/history"
)

// Percentiles are those of the values since the last ones, and those of none are not known.
func TestSpread(t *testing.T) {
	t.Parallel()
	var s history.Spread
	for _, v := range []float64{3, 1, 2, 4} {
		s.Add(v)
	}
	if got := fmt.Sprint(s.Take(0, .5, .99, 1)); got != "[1 3 4 4]" {
		t.Errorf("of an interval: %s", got)
	}
	if got := fmt.Sprint(s.Take(.5, .99)); got != "[NaN NaN]" {
		t.Errorf("of one without values: %s", got)
	}
	s.Add(7)
	if got := fmt.Sprint(s.Take(.5)); got != "[7]" {
		t.Errorf("after it: %s", got)
	}
}

// Of very many values a sample of all is kept, not the first or the last.
func TestSpreadOfMany(t *testing.T) {
	t.Parallel()
	var s history.Spread
	const n = 100_000
	for i := range n {
		s.Add(float64(i) / n)
	}
	for i, got := range s.Take(.1, .5, .9) {
		if want := []float64{.1, .5, .9}[i]; got < want-.05 || got > want+.05 {
			t.Errorf("%v, want about %v", got, want)
		}
	}
}
