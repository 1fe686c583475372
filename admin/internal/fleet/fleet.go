// Package fleet answers what the admin API is asked about all buckets at once: how many are in
// which state, which of them need people, and which match a search.
//
// Invariants:
//
//   - Looks at all buckets take a small, bounded part of the time, however many ask ([Looks]).
//   - What an answer holds is bounded: the first by name stand for the rest, which is counted.
package fleet

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/fado-project/fado/control"
)

const (
	// every is the time between two looks at all buckets, share the part of the time
	// (one in so many) that looks may take where there are very many.
	every = 2 * time.Second
	share = 20
	// MaxWorst bounds the buckets that need people and are told with their reasons.
	MaxWorst = 200
)

// Fleet is what one look at all buckets found.
type Fleet struct {
	At time.Time
	// Counts of buckets by state.
	Counts map[string]int
	// NotOK has the names of the buckets of each other state, sorted.
	NotOK map[string][]string
	// Worst are buckets that are stuck or in conflict, the first ones by name.
	Worst []Judged
}

// Judged is a bucket that needs people, and why.
type Judged struct {
	Bucket, State string
	Reasons       []control.Reason
}

// Looks keeps the last look, for all who ask. The zero value is ready.
type Looks struct {
	mu   sync.Mutex
	last *Fleet
	due  time.Time
	// of is what the last look was at: a reload may have brought another.
	of Judger
}

// Judger is what a look needs of *control.Status.
type Judger interface {
	Judge(ctx context.Context, f func(bucket, state string, reasons []control.Reason)) error
}

// Get returns a look that is a few seconds old at most, or as old as it takes for the time
// spent on looks to stay small.
func (f *Looks) Get(ctx context.Context, of Judger) (*Fleet, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	began := time.Now()
	if f.last != nil && f.of == of && began.Before(f.due) {
		return f.last, nil
	}
	look, err := lookAt(ctx, of)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	f.last, f.of, f.due = look, of, time.Now().Add(max(every, share*took))
	return look, nil
}

func lookAt(ctx context.Context, of Judger) (*Fleet, error) {
	f := &Fleet{
		At:     time.Now(),
		Counts: map[string]int{control.BucketOK: 0, control.BucketSyncing: 0, control.BucketStuck: 0, control.BucketConflict: 0},
		NotOK:  make(map[string][]string),
	}
	err := of.Judge(ctx, func(bucket, state string, reasons []control.Reason) {
		f.Counts[state]++
		if state == control.BucketOK {
			return
		}
		f.NotOK[state] = append(f.NotOK[state], bucket)
		if state != control.BucketSyncing {
			f.keep(Judged{bucket, state, reasons})
		}
	})
	if err != nil {
		return nil, err
	}
	for _, names := range f.NotOK {
		slices.Sort(names)
	}
	return f, nil
}

// keep takes a bucket up among the worst while it is one of the first by name.
func (f *Fleet) keep(j Judged) {
	i := sort.Search(len(f.Worst), func(i int) bool { return f.Worst[i].Bucket >= j.Bucket })
	if i == MaxWorst {
		return
	}
	f.Worst = slices.Insert(f.Worst, i, j)
	f.Worst = f.Worst[:min(len(f.Worst), MaxWorst)]
}

// ok says whether a bucket was.
func (f *Fleet) ok(bucket string) bool {
	for _, names := range f.NotOK {
		if _, found := slices.BinarySearch(names, bucket); found {
			return false
		}
	}
	return true
}
