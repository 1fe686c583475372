package catalog

import (
	"hash/maphash"
	"sync/atomic"
)

const flightSlots = 1 << 14

// Flights counts the invocations in flight per bucket and cluster, so that a copy
// that leaves routing can wait for them. It is a fixed table indexed by hash: two
// pairs that share a slot make a leaving copy wait a little longer, never shorter,
// and counting allocates nothing whatever the number of buckets.
type Flights struct{ slots [flightSlots]atomic.Int64 }

var flightSeed = maphash.MakeSeed()

func (f *Flights) slot(bucket, cluster string) *atomic.Int64 {
	h := maphash.String(flightSeed, bucket)*31 + maphash.String(flightSeed, cluster)
	return &f.slots[h%flightSlots]
}

// Begin counts an invocation in; End counts it out.
func (f *Flights) Begin(bucket, cluster string) { f.slot(bucket, cluster).Add(1) }

// End counts an invocation out.
func (f *Flights) End(bucket, cluster string) { f.slot(bucket, cluster).Add(-1) }

// InFlight returns at least the number of invocations that name the bucket and run
// in the cluster.
func (f *Flights) InFlight(bucket, cluster string) int64 { return f.slot(bucket, cluster).Load() }
