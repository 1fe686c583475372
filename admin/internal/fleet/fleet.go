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
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

const (
	// every is the time between two looks at all buckets, share the part of the time
	// (one in so many) that looks may take where there are very many.
	every = 2 * time.Second
	share = 50
	// Where a look takes longer than quick, who asks gets the one before while another is under way,
	// unless that is older than is due by stale.
	quick    = 20 * time.Millisecond
	stale    = 10 * time.Second
	patience = time.Minute // of a look
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
	// Behind has the buckets with objects on their way.
	Behind map[string]Behind

	// copies are counted on first use.
	counted sync.Once
	copies  []CopySumView

	once sync.Once
	// indexed is that of an earlier look until it is made on first use.
	indexed atomic.Pointer[index]
}

// Behind is what all copies of a bucket are behind by.
type Behind struct {
	Objects, Bytes int64
	Oldest         time.Time
}

// note sums the backlogs of a bucket's copies up.
func (f *Fleet) note(bucket string, logs []state.Backlog) {
	var b Behind
	for _, l := range logs {
		b.Objects, b.Bytes = b.Objects+l.Objects, b.Bytes+l.Bytes
		if b.Oldest.IsZero() || !l.Oldest.IsZero() && l.Oldest.Before(b.Oldest) {
			b.Oldest = l.Oldest
		}
	}
	if b.Objects > 0 {
		f.Behind[bucket] = b
	}
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
	took time.Duration
	// next is the look under way; nil while there is none.
	next *look
	// of is what the last look was at: a reload may have brought another.
	of Judger
}

// look is one that some may wait for.
type look struct {
	of    Judger
	done  chan struct{} // closed when the rest is told
	found *Fleet
	err   error
}

// Judger is what a look needs of *control.Status.
type Judger interface {
	Judge(ctx context.Context, f func(control.Judged)) (ok int, err error)
}

// Get returns a look that is a few seconds old at most, or as old as it takes for the time
// spent on looks to stay small. Who no longer wants it does not wait for it.
func (f *Looks) Get(ctx context.Context, of Judger) (*Fleet, error) {
	now := time.Now()
	f.mu.Lock()
	last := f.last
	if f.of != of {
		last = nil
	}
	if last != nil && now.Before(f.due) {
		f.mu.Unlock()
		return last, nil
	}
	if f.next == nil || f.next.of != of {
		f.next = &look{of: of, done: make(chan struct{})}
		go f.take(f.next) //nolint:contextcheck,gosec // it outlasts the request
	}
	next, enough := f.next, last != nil && f.took > quick && now.Before(f.due.Add(stale))
	f.mu.Unlock()
	if enough {
		return last, nil
	}
	select {
	case <-next.done:
		return next.found, next.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// take looks, for all who wait and for those who ask next. What failed is tried again by who asks then.
func (f *Looks) take(l *look) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	found, err := lookAt(ctx, l.of)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == l { // else there is another configuration
		f.next = nil
		if err == nil {
			f.keepLook(l.of, found, time.Since(began))
		}
	}
	l.found, l.err = found, err
	close(l.done)
}

// keepLook takes a look up. The caller holds mu.
func (f *Looks) keepLook(of Judger, look *Fleet, took time.Duration) {
	if f.last != nil {
		look.indexed.Store(f.last.indexed.Load())
	}
	f.last, f.of, f.took, f.due = look, of, took, time.Now().Add(max(every, share*took))
}

func lookAt(ctx context.Context, of Judger) (*Fleet, error) {
	f := &Fleet{
		At:     time.Now(),
		Counts: map[string]int{control.BucketOK: 0, control.BucketSyncing: 0, control.BucketStuck: 0, control.BucketConflict: 0},
		NotOK:  make(map[string][]string),
		Behind: make(map[string]Behind),
	}
	ok, err := of.Judge(ctx, func(j control.Judged) {
		f.note(j.Bucket, j.Logs)
		f.Counts[j.State]++
		if j.State == control.BucketOK {
			return
		}
		f.NotOK[j.State] = append(f.NotOK[j.State], j.Bucket)
		if j.State != control.BucketSyncing {
			f.keep(j)
		}
	})
	if err != nil {
		return nil, err
	}
	f.Counts[control.BucketOK] += ok
	for _, names := range f.NotOK {
		slices.Sort(names)
	}
	return f, nil
}

// index returns the look's, made on first use.
func (f *Fleet) index(snap *routing.Snapshot, of Origins) *index {
	f.once.Do(func() { f.indexed.Store(newIndex(snap, f.NotOK, of, f.indexed.Load())) })
	return f.indexed.Load()
}

// keep takes a bucket up among the worst while it is one of the first by name.
func (f *Fleet) keep(j control.Judged) {
	i := sort.Search(len(f.Worst), func(i int) bool { return f.Worst[i].Bucket >= j.Bucket })
	if i == MaxWorst {
		return
	}
	f.Worst = slices.Insert(f.Worst, i, Judged{j.Bucket, j.State, j.Reasons()})
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
