package s3gateway

import (
	"sync"
	"sync/atomic"
	"time"
)

// latencies learns how long storages take to begin an answer, and keeps hedges few.
type latencies struct {
	by sync.Map // cluster → *latency

	asked, hedged atomic.Int64
}

// quantum is what differences below are not worth: order by name stays the same then.
const quantum = 5 * time.Millisecond

// Bounds of how long a storage is waited for before another one is asked as well.
const (
	leastHedge = 25 * time.Millisecond
	firstHedge = time.Second // as long as little is known
	fewAnswers = 50
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

// of returns the average, rounded; 0 for nothing known.
func (l *latencies) of(cluster string) time.Duration {
	v, ok := l.by.Load(cluster)
	if !ok {
		return 0
	}
	k := v.(*latency)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mean.Round(quantum)
}

// note takes one answer into account.
func (l *latencies) note(cluster string, took time.Duration) {
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

// hedgeAfter is what 99 of 100 answers do not take.
func (l *latencies) hedgeAfter(cluster string) time.Duration {
	v, ok := l.by.Load(cluster)
	if !ok {
		return firstHedge
	}
	k := v.(*latency)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.total < fewAnswers {
		return firstHedge
	}
	seen, bound := uint32(0), stepUnit
	for i := range k.counts {
		if seen += k.counts[i]; seen >= k.total-k.total/100 {
			break
		}
		bound += bound / 2
	}
	return min(max(bound, leastHedge), firstWait)
}

// mayHedge reports whether one more request may be made twice.
func (l *latencies) mayHedge() bool {
	if l.hedged.Load()*hedgeShare > l.asked.Load()+hedgeShare {
		return false
	}
	l.hedged.Add(1)
	return true
}
