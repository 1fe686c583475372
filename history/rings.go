package history

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"
)

// Sample is one value of a series at one time.
type Sample struct {
	Series string
	Value  float64
	// Peak: of several values the highest stands for all, as with percentiles, which have no
	// mean. Otherwise their mean does.
	Peak bool
	// Rank says which series make room where memory is short.
	Rank Rank
}

// Rank orders series: one of a lower rank takes the room of one of a higher rank.
type Rank uint8

// The ranks of series.
const (
	OfAll      Rank = iota // of the whole instance
	OfCluster              // of one cluster
	OfEndpoint             // of one function endpoint
	ranks
)

// valueBytes is what a value takes in memory.
const valueBytes = 4

// Rings keeps the last values of series. All methods are safe for concurrent use.
type Rings struct {
	step  time.Duration
	slots int64 // of each series
	most  int   // series

	mu     sync.Mutex
	last   int64 // number of the newest slot; 0: none yet
	swept  int64 // the newest slot at which series that have ended made room
	series map[SeriesID]*ring
	places [2 * ranks]int // how many series have which place
}

// SeriesID names a series of an instance, "" for this one.
type SeriesID struct{ Node, Name string }

type ring struct {
	values []float32
	peak   bool
	rank   Rank
	last   int64 // the newest slot with a value
}

// placeOf returns where a series stands where memory is short: those of this instance come before
// those of others of the same rank.
func placeOf(id SeriesID, rank Rank) int {
	place := 2 * int(min(rank, ranks-1))
	if id.Node != "" {
		place++
	}
	return place
}

// New returns empty rings, which keep a value at every step for so long, in so many bytes of
// memory.
func New(keep, step time.Duration, memory int64) *Rings {
	slots := max(1, int64(keep/step))
	return &Rings{step: step, slots: slots, most: int(memory / (slots * valueBytes)), series: make(map[SeriesID]*ring)}
}

// Step returns the time between two values.
func (r *Rings) Step() time.Duration { return r.step }

// Put adds the values of a time; what is not among them has a gap there. Where memory is
// short, those of the lowest ranks are kept, of one rank the first ones. A time before the newest is
// ignored.
func (r *Rings) Put(at time.Time, samples []Sample) {
	slot := at.UnixNano() / int64(r.step)
	r.mu.Lock()
	defer r.mu.Unlock()
	if slot < r.last {
		return
	}
	r.open(slot)
	for _, s := range samples {
		if g := r.ring(SeriesID{Name: s.Series}, s.Peak, s.Rank); g != nil {
			g.values[slot%r.slots], g.last = float32(s.Value), slot
		}
	}
}

// ring returns that of a series; nil if there is no room for it.
func (r *Rings) ring(id SeriesID, peak bool, rank Rank) *ring {
	if g := r.series[id]; g != nil {
		return g
	}
	return r.add(id, peak, rank)
}

// open makes room for a slot: gaps, up to it and there.
func (r *Rings) open(slot int64) {
	first := max(r.last+1, slot-r.slots+1)
	for _, g := range r.series {
		for i := first; i <= slot; i++ {
			g.values[i%r.slots] = gap
		}
	}
	r.last = slot
}

var gap = float32(math.NaN())

// add begins a series; nil if there is no room for it.
func (r *Rings) add(id SeriesID, peak bool, rank Rank) *ring {
	if len(r.series) >= r.most {
		r.sweep()
	}
	place := placeOf(id, rank)
	if len(r.series) >= r.most && !r.displace(place) {
		return nil
	}
	g := &ring{values: slices.Repeat([]float32{gap}, int(r.slots)), peak: peak, rank: rank}
	r.series[id] = g
	r.places[place]++
	return g
}

// sweep drops the series without a value left, once at each slot.
func (r *Rings) sweep() {
	if r.swept == r.last {
		return
	}
	r.swept = r.last
	for id, g := range r.series {
		if g.last <= r.last-r.slots {
			r.drop(id, g)
		}
	}
}

// displace drops a series that stands behind a place, the last of those furthest behind; false if
// there is none.
func (r *Rings) displace(place int) bool {
	worst := len(r.places) - 1
	for worst > place && r.places[worst] == 0 {
		worst--
	}
	if worst <= place {
		return false
	}
	var last SeriesID
	for id, g := range r.series {
		if placeOf(id, g.rank) == worst && (last.Name == "" || compareIDs(id, last) > 0) {
			last = id
		}
	}
	r.drop(last, r.series[last])
	return true
}

func (r *Rings) drop(id SeriesID, g *ring) {
	delete(r.series, id)
	r.places[placeOf(id, g.rank)]--
}

func compareIDs(a, b SeriesID) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Name, b.Name))
}

// Names lists the series of an instance, "" for this one, sorted.
func (r *Rings) Names(node string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.series))
	for id := range r.series {
		if id.Node == node {
			names = append(names, id.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Columns are the values of some series at the same times.
type Columns struct {
	// From is the time of the first values, Step the time between two.
	From time.Time
	Step time.Duration
	// Values of each series asked for, NaN where there is none.
	Values [][]float64
}

// Last is the time of the newest values of this instance; zero before there are any.
func (r *Rings) Last() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == 0 {
		return time.Time{}
	}
	return r.timeOf(r.last)
}

// Read returns the values of series between two times. The step is made a multiple of that of the
// rings, at least the one asked for.
func (r *Rings) Read(ids []SeriesID, from, to time.Time, step time.Duration) Columns {
	n := max(1, int64((step+r.step-1)/r.step)) // slots in one value
	r.mu.Lock()
	defer r.mu.Unlock()
	first, last := from.UnixNano()/int64(r.step), min(to.UnixNano()/int64(r.step), r.last)
	first = max(first, r.last-r.slots+1)
	first -= first % n
	c := Columns{From: r.timeOf(first), Step: time.Duration(n) * r.step, Values: make([][]float64, len(ids))}
	for i, id := range ids {
		c.Values[i] = []float64{}
		g := r.series[id]
		for at := first; at <= last; at += n {
			c.Values[i] = append(c.Values[i], r.sum(g, at, min(at+n-1, last)))
		}
	}
	return c
}

// sum returns the one value that stands for some slots.
func (r *Rings) sum(g *ring, first, last int64) float64 {
	if g == nil {
		return math.NaN()
	}
	total, n := 0.0, 0
	for i := max(first, r.last-r.slots+1); i <= last; i++ {
		v := float64(g.values[i%r.slots])
		switch {
		case math.IsNaN(v):
			continue
		case g.peak && n > 0:
			total = max(total, v)
		case g.peak:
			total = v
		default:
			total += v
		}
		n++
	}
	switch {
	case n == 0:
		return math.NaN()
	case g.peak:
		return total
	default:
		return total / float64(n)
	}
}

func (r *Rings) timeOf(slot int64) time.Time { return time.Unix(0, slot*int64(r.step)).UTC() }
