package replication

import (
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/listing"
	"github.com/fado-project/fado/storage"
)

// What a walk holds does not grow with the listings it merges, nor with how many objects
// are done out of order. With FADO_LONG_TESTS they are as long as a large bucket's.
func TestWalkMemoryIsBounded(t *testing.T) {
	n := 200_000
	if os.Getenv("FADO_LONG_TESTS") != "" {
		n = 10_000_000
	}
	objects := func() iter.Seq2[storage.Object, error] {
		return func(yield func(storage.Object, error) bool) {
			for i := range n {
				if !yield(storage.Object{Key: fmt.Sprintf("directory/object-%012d", i), ETag: fmt.Sprintf("%032x", i), Size: 4 << 10}, nil) {
					return
				}
			}
		}
	}
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	track := copies.NewTracker("", 0, 0)
	before, most, count := live(), int64(0), 0
	var late []func()
	for p, err := range listing.Merge(t.Context(), objects(), objects(), "a", "b") {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count%1000 == 0 {
			late = append(late, track.Begin(p.Key, 1, p.Src.Size))
		} else {
			track.Pass(p.Key, 1, p.Src.Size)
		}
		if len(late) == 32 { // as many as are worked on at a time, the newest done first
			for _, l := range slices.Backward(late) {
				l()
			}
			late = late[:0]
		}
		if count%(n/10) == 0 {
			most = max(most, live()-before)
		}
	}
	for _, done := range late {
		done()
	}
	if low, objects, _ := track.Mark(); objects != int64(n) || low != fmt.Sprintf("directory/object-%012d", n-1) || !track.Idle() {
		t.Errorf("%d objects are done, up to %s", objects, low)
	}
	if most > 8<<20 {
		t.Errorf("the heap grew by %d KiB over %d keys", most>>10, n)
	}
}
