package fleet

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/state"
)

// Sizes is what tells the sizes of copies, those of a bucket one after the other.
type Sizes interface {
	EachCopy(ctx context.Context, f func(state.Copy) error) error
}

// mostSearches bounds the searches whose largest buckets are kept.
const mostSearches = 16

// Largest keeps the largest buckets of the last searches, for as long as looks are kept. The zero
// value is ready.
type Largest struct {
	mu   sync.Mutex
	last map[Key]largest
}

type largest struct {
	names []string
	due   time.Time
}

// sized is a bucket and the bytes that its primary has.
type sized struct {
	bucket string
	bytes  int64
}

// Of returns the largest of some buckets, sorted by name, the largest first; key tells searches apart.
func (l *Largest) Of(ctx context.Context, in Sizes, key Key, among []string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	began := time.Now()
	if kept, ok := l.last[key]; ok && began.Before(kept.due) {
		return kept.names, nil
	}
	names, err := largestOf(ctx, in, among)
	if err != nil {
		return nil, err
	}
	if l.last == nil || len(l.last) >= mostSearches {
		l.last = make(map[Key]largest)
	}
	l.last[key] = largest{names, time.Now().Add(max(every, share*time.Since(began)))}
	return names, nil
}

func largestOf(ctx context.Context, in Sizes, among []string) ([]string, error) {
	all := make([]sized, len(among))
	for i, bucket := range among {
		all[i].bucket = bucket
	}
	err := in.EachCopy(ctx, func(c state.Copy) error {
		if !c.Primary {
			return nil
		}
		if i, found := slices.BinarySearch(among, c.Bucket); found {
			all[i].bytes += c.Bytes
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b sized) int { return cmp.Compare(b.bytes, a.bytes) })
	names := make([]string, min(len(all), MostOrdered))
	for i := range names {
		names[i] = all[i].bucket
	}
	return names, nil
}
