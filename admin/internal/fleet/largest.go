package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

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
	finding singleflight.Group
	mu      sync.Mutex
	last    map[Key]largest
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
// Who no longer wants them does not wait for them.
func (l *Largest) Of(ctx context.Context, in Sizes, key Key, among []string) ([]string, error) {
	if names, ok := l.kept(key); ok {
		return names, nil
	}
	found := l.finding.DoChan(fmt.Sprintf("%q", key), func() (any, error) { return l.find(in, key, among) }) //nolint:contextcheck // others wait for it, too
	select {
	case r := <-found:
		names, _ := r.Val.([]string)
		return names, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *Largest) kept(key Key) (names []string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept, ok := l.last[key]
	return kept.names, ok && time.Now().Before(kept.due)
}

func (l *Largest) find(in Sizes, key Key, among []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	names, err := largestOf(ctx, in, among)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
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
