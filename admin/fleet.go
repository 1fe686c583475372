package admin

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/fado-project/fado/control"
)

const (
	// fleetEvery is the time between two looks at all buckets, fleetShare the part of the time
	// (one in so many) that looks may take where there are very many.
	fleetEvery = 2 * time.Second
	fleetShare = 20
	// maxAttention bounds the buckets that need people and are told with their reasons.
	maxAttention = 200
)

// fleet is what one look at all buckets found.
type fleet struct {
	at time.Time
	// counts of buckets by state.
	counts map[string]int
	// notOK has the names of the buckets of each other state, sorted.
	notOK map[string][]string
	// worst are buckets that are stuck or in conflict, the first ones by name.
	worst []judged
}

type judged struct {
	bucket, state string
	reasons       []control.Reason
}

// fleets keeps the last look, for all who ask. The zero value is ready.
type fleets struct {
	mu   sync.Mutex
	last *fleet
	due  time.Time
	// of is what the last look was at: a reload may have brought another.
	of catalogue
}

// judger is what a look needs of *control.Status.
type judger interface {
	Judge(ctx context.Context, f func(bucket, state string, reasons []control.Reason)) error
}

// get returns a look that is a few seconds old at most, or as old as it takes for the time
// spent on looks to stay small.
func (f *fleets) get(ctx context.Context, of catalogue) (*fleet, error) {
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
	f.last, f.of, f.due = look, of, time.Now().Add(max(fleetEvery, fleetShare*took))
	return look, nil
}

func lookAt(ctx context.Context, of judger) (*fleet, error) {
	f := &fleet{
		at:     time.Now(),
		counts: map[string]int{control.BucketOK: 0, control.BucketSyncing: 0, control.BucketStuck: 0, control.BucketConflict: 0},
		notOK:  make(map[string][]string),
	}
	err := of.Judge(ctx, func(bucket, state string, reasons []control.Reason) {
		f.counts[state]++
		if state == control.BucketOK {
			return
		}
		f.notOK[state] = append(f.notOK[state], bucket)
		if state != control.BucketSyncing {
			f.keep(judged{bucket, state, reasons})
		}
	})
	if err != nil {
		return nil, err
	}
	for _, names := range f.notOK {
		slices.Sort(names)
	}
	return f, nil
}

// keep takes a bucket up among the worst while it is one of the first by name.
func (f *fleet) keep(j judged) {
	i := sort.Search(len(f.worst), func(i int) bool { return f.worst[i].bucket >= j.bucket })
	if i == maxAttention {
		return
	}
	f.worst = slices.Insert(f.worst, i, j)
	f.worst = f.worst[:min(len(f.worst), maxAttention)]
}

// isOK says whether a bucket was.
func (f *fleet) isOK(bucket string) bool {
	for _, names := range f.notOK {
		if _, found := slices.BinarySearch(names, bucket); found {
			return false
		}
	}
	return true
}
