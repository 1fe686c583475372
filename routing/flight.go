package routing

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
