package testenv

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Seeds returns the seeds of a randomized test, one for each run. They are always the same: a
// change is not to fail for a rare error that was there before it, and what is rare is looked
// for by `make sim`. These variables change that:
//
//   - FADO_SEED=17 is one run, with that seed;
//   - FADO_SEED=random draws them;
//   - FADO_RUNS=100 is how many there are.
func Seeds(tb testing.TB, runs int) []uint64 {
	tb.Helper()
	if v := os.Getenv("FADO_RUNS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			tb.Fatalf("FADO_RUNS=%q: expected a number of runs", v)
		}
		runs = n
	}
	seeds := make([]uint64, runs)
	v := os.Getenv("FADO_SEED")
	for i := range seeds {
		seeds[i] = uint64(i) + 1
		if v == "random" {
			seeds[i] = rand.Uint64()
		}
	}
	if v != "" && v != "random" {
		one, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			tb.Fatalf("FADO_SEED=%q: expected a number or \"random\"", v)
		}
		return []uint64{one}
	}
	return seeds
}
