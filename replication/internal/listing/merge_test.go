package listing

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/storage"
)

func listed(keys []string, fail int) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		for i, k := range keys {
			if i == fail {
				yield(storage.Object{}, storage.ErrUnavailable)
				return
			}
			if !yield(storage.Object{Key: k}, nil) {
				return
			}
		}
		if fail >= len(keys) {
			yield(storage.Object{}, storage.ErrUnavailable)
		}
	}
}

// A merge meets every key of both sides once, in order; an error of either side ends it
// before any key that may be missing on that side is taken for absent.
func TestMerge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringMatching(`[ab/]{1,6}`), rapid.ID[string])
		left, right := slices.Sorted(slices.Values(keys.Draw(t, "left"))), slices.Sorted(slices.Values(keys.Draw(t, "right")))
		fail := rapid.IntRange(-1, len(right)).Draw(t, "fail")
		var got []string
		var failed error
		for p, err := range Merge(context.Background(), listed(left, -1), listed(right, fail), "l", "r") {
			if err != nil {
				failed = err
				break
			}
			got = append(got, p.Key)
			if inLeft := slices.Contains(left, p.Key); inLeft != (p.Src != nil) {
				t.Fatalf("%q: source %v, want %v", p.Key, p.Src != nil, inLeft)
			}
			if inRight := slices.Contains(right, p.Key); inRight != (p.Dst != nil) {
				t.Fatalf("%q: destination %v, want %v", p.Key, p.Dst != nil, inRight)
			}
		}
		want := slices.Compact(slices.Sorted(slices.Values(slices.Concat(left, right))))
		if fail >= 0 {
			if failed == nil {
				t.Fatal("the error got lost")
			}
			if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
				t.Fatalf("got %q, no beginning of %q", got, want)
			}
			return
		}
		if failed != nil || !slices.Equal(got, want) {
			t.Fatalf("got %q, %v, want %q", got, failed, want)
		}
	})
}

func TestMergeRefusesDisorder(t *testing.T) {
	t.Parallel()
	var last error
	for _, err := range Merge(context.Background(), listed([]string{"b", "a"}, -1), listed(nil, -1), "l", "r") {
		last = err
	}
	if !errors.Is(last, errDisorder) {
		t.Fatalf("error %v", last)
	}
}
