package listing

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/storage"
)

// counting is a listing that counts what is read of it, and whether it has ended.
type counting struct {
	n     int // objects
	read  atomic.Int64
	ended atomic.Bool
}

func (c *counting) objects() iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		defer c.ended.Store(true)
		for i := range c.n {
			c.read.Add(1)
			if !yield(storage.Object{Key: fmt.Sprintf("%08d", i)}, nil) {
				return
			}
		}
	}
}

// Listings longer than what is read ahead merge as short ones do, and of neither more is read
// ahead than its share.
func TestMergeReadsAhead(t *testing.T) {
	t.Parallel()
	const most = 2000 // objects in memory, as promised
	rapid.Check(t, func(t *rapid.T) {
		src, dst := &counting{n: rapid.IntRange(0, 3*most).Draw(t, "src")}, &counting{n: rapid.IntRange(0, 3*most).Draw(t, "dst")}
		met, both := 0, 0
		for p, err := range Merge(context.Background(), src.objects(), dst.objects(), "l", "r") {
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%08d", met); p.Key != want {
				t.Fatalf("%q after %d keys, want %q", p.Key, met, want)
			}
			if met++; p.Src != nil && p.Dst != nil {
				both++
			}
			for name, l := range map[string]*counting{"src": src, "dst": dst} {
				if ahead := int(l.read.Load()) - met; ahead > most {
					t.Fatalf("%s is read %d ahead, %d are its share", name, ahead, most)
				}
			}
		}
		if met != max(src.n, dst.n) || both != min(src.n, dst.n) {
			t.Fatalf("met %d keys, %d of them on both sides; the sides have %d and %d", met, both, src.n, dst.n)
		}
	})
}

// A merge that is not read to its end, or whose context ends, has ended its listings when it
// returns.
func TestMergeEndsItsListings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		src, dst := &counting{n: rapid.IntRange(1, 5000).Draw(t, "src")}, &counting{n: rapid.IntRange(0, 5000).Draw(t, "dst")}
		stopAt, cancelAt := rapid.IntRange(0, 5000).Draw(t, "stop at"), rapid.IntRange(0, 5000).Draw(t, "cancel at")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		met := 0
		var failed error
		for _, err := range Merge(ctx, src.objects(), dst.objects(), "l", "r") {
			if err != nil {
				failed = err
			}
			if met == stopAt {
				break
			}
			if met == cancelAt {
				cancel()
			}
			met++
		}
		if !src.ended.Load() || !dst.ended.Load() {
			t.Fatal("a listing goes on after the merge")
		}
		if failed != nil && (!errors.Is(failed, context.Canceled) || cancelAt > met) {
			t.Fatalf("error %v after %d keys", failed, met)
		}
		if failed == nil && met < stopAt && met < max(src.n, dst.n) {
			t.Fatalf("it ended after %d keys of %d without a reason", met, max(src.n, dst.n))
		}
	})
}

// A listing that hangs holds the merge up, and not its end.
func TestMergeOfAListingThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		hangs := func(yield func(storage.Object, error) bool) {
			if yield(storage.Object{Key: "a"}, nil) {
				<-ctx.Done() // as a request does
				yield(storage.Object{}, ctx.Err())
			}
		}
		var met []string
		ended := make(chan error, 1)
		go func() {
			for p, err := range Merge(ctx, hangs, listed([]string{"a", "b"}, -1), "l", "r") {
				if err != nil {
					ended <- err
					return
				}
				met = append(met, p.Key)
			}
			ended <- nil
		}()
		synctest.Wait()
		if len(met) > 0 && !slices.Equal(met, []string{"a"}) {
			t.Errorf("met %q: b may be in the listing that hangs", met)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended by %v", err)
		}
	})
}

// Disorder on either side, a repeated key too, ends the merge at the first key that is out of
// place: those before it are met.
func TestDisorderOnEitherSide(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]string{{"b", "a"}, {"a", "a"}, {"a", "c", "b"}, {"", ""}} {
		for _, swap := range []bool{false, true} {
			left, right := listed(keys, -1), listed([]string{"a", "b", "c"}, -1)
			if swap {
				left, right = right, left
			}
			var failed error
			for _, err := range Merge(t.Context(), left, right, "l", "r") {
				failed = err
			}
			if !errors.Is(failed, errDisorder) {
				t.Errorf("%q, swapped %v: error %v", keys, swap, failed)
			}
		}
	}
}
