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

// Flight is one invocation that Flights counts, for all buckets it names. The zero
// value counts nothing.
type Flight struct {
	flights *Flights
	n       int
	few     [4]uint16
	many    []uint16 // what few has no room for
}

func (f *Flight) begin(flights *Flights, slot uint16) {
	f.flights = flights
	flights.slots[slot].Add(1)
	if f.n < len(f.few) {
		f.few[f.n] = slot
	} else {
		f.many = append(f.many, slot)
	}
	f.n++
}

// End counts the invocation out. It may be called more than once.
func (f *Flight) End() {
	for _, slot := range f.few[:min(f.n, len(f.few))] {
		f.flights.slots[slot].Add(-1)
	}
	for _, slot := range f.many {
		f.flights.slots[slot].Add(-1)
	}
	*f = Flight{}
}

// Begin counts the invocation that a decision sends to an endpoint in, as Hold does.
// It returns false, counting nothing, when the catalogue changed since the decision:
// Route again. So a copy that left routing and has no flights gets no further ones.
func (r *Router) Begin(d *Decision, ep *Endpoint) (Flight, bool) {
	f := r.Hold(d, ep)
	if r.snap.Load() != d.assessment.snap {
		f.End()
		return Flight{}, false
	}
	return f, true
}

// Hold counts an invocation in: at the endpoint's cluster for every bucket it names,
// and at the cluster whose storage StorageFor gives. The catalogue may have changed
// since the decision without waiting for this invocation; the caller has to check.
func (r *Router) Hold(d *Decision, ep *Endpoint) Flight {
	var f Flight
	a := &d.assessment
	for i := range a.targets {
		f.begin(r.Flights, slotOf(a.targets[i].entry.hash.place, ep.clusterHash))
		if p := a.targets[i].pulled; p != nil {
			r.Pulled.touch(p, ep.Cluster)
		}
	}
	if from := d.ReadsFrom(ep); from != "" && from != ep.Cluster {
		f.begin(r.Flights, slotOf(a.targets[0].entry.hash.place, nameHash(from)))
	}
	return f
}

// ReadsFrom returns the cluster whose storage StorageFor gives, "" for none.
func (d *Decision) ReadsFrom(ep *Endpoint) string {
	if s := d.assessment.source(d.Locality, ep); s != nil {
		return s.name
	}
	return ""
}
