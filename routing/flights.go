package routing

import "sync/atomic"

const flightSlots = 1 << 14

// Flights counts the invocations in flight per bucket and cluster, so that a copy
// that leaves routing can wait for them. It is a fixed table indexed by hash: two
// pairs that share a slot make a leaving copy wait a little longer, never shorter,
// and counting allocates nothing whatever the number of buckets.
type Flights struct{ slots [flightSlots]atomic.Int64 }

func flightSlot(bucket, cluster string) uint16 { return slotOf(nameHash(bucket), nameHash(cluster)) }

// slotOf returns the slot of the names with these hashes.
func slotOf(bucket, cluster uint64) uint16 { return uint16((bucket*31 + cluster) % flightSlots) }

// Begin counts an invocation in; End counts it out.
func (f *Flights) Begin(bucket, cluster string) { f.slots[flightSlot(bucket, cluster)].Add(1) }

// End counts an invocation out.
func (f *Flights) End(bucket, cluster string) { f.slots[flightSlot(bucket, cluster)].Add(-1) }

// InFlight returns at least the number of invocations that name the bucket and run
// in the cluster or read from its storage.
func (f *Flights) InFlight(bucket, cluster string) int64 {
	return f.slots[flightSlot(bucket, cluster)].Load()
}
