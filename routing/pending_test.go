package routing_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/routing"
)

// The index says what a plain set says, after any sequence of changes.
func TestPendingIndexEqualsSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, set := routing.NewPendingIndex(), map[exception]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "changes") {
			e := exception{
				rapid.SampledFrom(modelBuckets).Draw(t, "bucket"),
				rapid.SampledFrom(modelKeys).Draw(t, "key"),
				rapid.SampledFrom(modelClusters).Draw(t, "cluster"),
			}
			switch rapid.IntRange(0, 12).Draw(t, "change") {
			case 0:
				all := rapid.Bool().Draw(t, "all clusters")
				for o := range set {
					if o.bucket == e.bucket && (all || o.cluster == e.cluster) {
						delete(set, o)
					}
				}
				if all {
					e.cluster = ""
				}
				p.RemoveAll(e.bucket, e.cluster)
			case 1, 2, 3, 4:
				delete(set, e)
				p.Remove(e.bucket, e.key, e.cluster)
			default:
				set[e] = true
				p.Add(e.bucket, e.key, e.cluster)
			}
		}
		checkPending(t, p, set)
	})
}

func checkPending(t *rapid.T, p *routing.PendingIndex, set map[exception]bool) {
	same(t, "length", p.Len(), len(set))
	for _, b := range modelBuckets {
		for _, c := range modelClusters {
			for _, k := range modelKeys {
				same(t, fmt.Sprintf("has %s %q %s", b, k, c), p.Has(b, k, c), set[exception{b, k, c}])
			}
			for _, dir := range modelDirs {
				below := false
				for e := range set {
					below = below || e.bucket == b && e.cluster == c && strings.HasPrefix(e.key, dir)
				}
				same(t, fmt.Sprintf("has below %s %q %s", b, dir, c), p.HasBelow(b, dir, c), below)
			}
		}
	}
}

// Many goroutines change one bucket; a key that is pending all the while is always
// seen, directly and below its directories, and the end is what each left.
func TestPendingIndexConcurrently(t *testing.T) {
	const writers, changes = 6, 4000
	p := routing.NewPendingIndex()
	p.Add("b", "dir/sub/stays", "c")
	var wg, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !p.Has("b", "dir/sub/stays", "c") || !p.HasBelow("b", "dir/", "c") || !p.HasBelow("b", "dir/sub/", "c") {
					t.Error("a pending key was not seen while others changed")
					return
				}
			}
		})
	}
	left := make([]map[exception]bool, writers)
	for w := range writers {
		left[w] = map[exception]bool{}
		wg.Go(func() { churn(p, w, changes, left[w]) })
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	total := 1
	for _, set := range left {
		for e, pending := range set {
			if p.Has(e.bucket, e.key, e.cluster) != pending {
				t.Errorf("%v: pending is not %v", e, pending)
			}
			if pending {
				total++
			}
		}
	}
	if p.Len() != total {
		t.Errorf("length %d, want %d", p.Len(), total)
	}
}

// churn adds and removes keys that only this writer touches, in a bucket and
// directories that all share, and notes what is left.
func churn(p *routing.PendingIndex, writer, changes int, left map[exception]bool) {
	rnd := rand.New(rand.NewPCG(uint64(writer), 7))
	for range changes {
		e := exception{"b", fmt.Sprintf("dir/sub/%d-%d", writer, rnd.IntN(8)), []string{"c", "d", "e"}[rnd.IntN(3)]}
		if left[e] = rnd.IntN(2) == 0; left[e] {
			p.Add(e.bucket, e.key, e.cluster)
		} else {
			p.Remove(e.bucket, e.key, e.cluster)
		}
	}
}

// A million exceptions fit, and those of one bucket leave without a walk over all.
func TestPendingIndexMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("fills the index with a million entries")
	}
	p := routing.NewPendingIndex()
	key := func(i int) (string, string) { return fmt.Sprintf("b%d", i%1000), fmt.Sprintf("d%d/k%d", i%10, i) }
	for i := range 1_000_000 {
		b, k := key(i)
		p.Add(b, k, "c")
	}
	for i := range 1000 {
		b, k := key(i)
		if !p.Has(b, k, "c") {
			t.Fatalf("%s %s is not pending", b, k)
		}
		p.RemoveAll(b, "c")
		if p.Has(b, k, "c") || p.HasBelow(b, "", "c") || p.Len() != 1_000_000-1000*(i+1) {
			t.Fatalf("after removing all of %s: %d left", b, p.Len())
		}
	}
}
