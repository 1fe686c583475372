package testenv

import (
	"slices"
	"testing"
)

func TestSeeds(t *testing.T) {
	for _, tc := range []struct {
		seed, runs string
		want       []uint64
	}{
		{"", "", []uint64{1, 2, 3}},
		{"", "2", []uint64{1, 2}},
		{"17", "", []uint64{17}},
		{"17", "5", []uint64{17}},
	} {
		t.Setenv("FADO_SEED", tc.seed)
		t.Setenv("FADO_RUNS", tc.runs)
		if got := Seeds(t, 3); !slices.Equal(got, tc.want) {
			t.Errorf("FADO_SEED=%q FADO_RUNS=%q: %v, want %v", tc.seed, tc.runs, got, tc.want)
		}
	}
	t.Setenv("FADO_SEED", "random")
	t.Setenv("FADO_RUNS", "4")
	if a, b := Seeds(t, 3), Seeds(t, 3); len(a) != 4 || slices.Equal(a, b) {
		t.Errorf("random seeds: %v, then %v", a, b)
	}
}
