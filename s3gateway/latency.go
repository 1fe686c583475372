package s3gateway

import (
	"sync"
	"sync/atomic"
	"time"
)

// latencies learns how long storages take to begin an answer.
type latencies struct{ by sync.Map } // cluster → *atomic.Int64, nanoseconds

// quantum is what differences below are not worth: order by name stays the same then.
const quantum = 5 * time.Millisecond

// of returns what is known, rounded; 0 for nothing.
func (l *latencies) of(cluster string) time.Duration {
	v, ok := l.by.Load(cluster)
	if !ok {
		return 0
	}
	return time.Duration(v.(*atomic.Int64).Load()).Round(quantum)
}

// note takes one answer into account: a moving average over about eight.
func (l *latencies) note(cluster string, took time.Duration) {
	v, loaded := l.by.LoadOrStore(cluster, new(atomic.Int64))
	avg := v.(*atomic.Int64)
	if !loaded {
		avg.Store(int64(took))
		return
	}
	was := avg.Load()
	avg.Store(was + (int64(took)-was)/8) // a lost update does not matter
}
