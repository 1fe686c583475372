package latency

import (
	"sync"
	"sync/atomic"
	"time"
)

// Book learns how long storages take to begin an answer, and keeps hedges few. The zero Book knows
// nothing. Its methods are safe for concurrent use.
type Book struct {
	by sync.Map // cluster → *latency

	asked, hedged atomic.Int64
}

// quantum is what differences below are not worth: order by name stays the same then.
const quantum = 5 * time.Millisecond

// Bounds of how long a storage is waited for before another one is asked as well.
const (
	leastHedge = 25 * time.Millisecond
	// MostHedge is also how long a storage is waited for while there is another one to ask.
	MostHedge  = 3 * time.Second
	firstHedge = time.Second // as long as little is known
	// Enough answers are known of a storage to judge by them.
	Enough     = 50
	hedgeShare = 10 // one in so many reads
)

// latency is what is known of one storage: a moving average over about eight answers, and how
// many of the last few thousand took how long.
type latency struct {
	mu     sync.Mutex
	mean   time.Duration
	counts [steps]uint32
	total  uint32
}

// The steps of a distribution: each half as long again as the one before.
const (
	steps    = 24
	stepUnit = time.Millisecond
	forgetAt = 4096
)

// Of returns the average, rounded; 0 for nothing known.
func (l *Book) Of(cluster string) time.Duration {
	v, ok := l.by.Load(cluster)
	if !ok {
		return 0
	}
	k := v.(*latency)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mean.Round(quantum)
}

// Note takes one answer into account.
func (l *Book) Note(cluster string, took time.Duration) {
	v, ok := l.by.Load(cluster)
	if !ok {
		v, _ = l.by.LoadOrStore(cluster, &latency{mean: took})
	}
	v.(*latency).add(took)
}

func (k *latency) add(took time.Duration) {
	i, bound := 0, stepUnit
	for ; i < steps-1 && took > bound; i++ {
		bound += bound / 2
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mean += (took - k.mean) / 8
	k.counts[i]++
	if k.total++; k.total >= forgetAt {
		k.total = 0
		for n := range k.counts {
			k.counts[n] /= 2
			k.total += k.counts[n]
		}
	}
}

// HedgeAfter is what 99 of 100 answers do not take.
func (l *Book) HedgeAfter(cluster string) time.Duration {
	v, ok := l.by.Load(cluster)
	if !ok {
		return firstHedge
	}
	k := v.(*latency)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.total < Enough {
		return firstHedge
	}
	seen, bound := uint32(0), stepUnit
	for i := range k.counts {
		if seen += k.counts[i]; seen >= k.total-k.total/100 {
			break
		}
		bound += bound / 2
	}
	return min(max(bound, leastHedge), MostHedge)
}

// Asked counts a read.
func (l *Book) Asked() { l.asked.Add(1) }

// Hedged returns how many reads were made twice.
func (l *Book) Hedged() int64 { return l.hedged.Load() }

// MayHedge reports whether one more request may be made twice.
func (l *Book) MayHedge() bool {
	if l.hedged.Load()*hedgeShare > l.asked.Load()+hedgeShare {
		return false
	}
	l.hedged.Add(1)
	return true
}
