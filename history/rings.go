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

// valueBytes is what a value takes in memory.
const valueBytes = 4

// Rings keeps the last values of series. All methods are safe for concurrent use.
type Rings struct {
	step  time.Duration
	slots int64 // of each series
	wide  int64 // slots that a value of a coarse series stands for; 1 where there are none
	most  int64 // values, of all series

	mu     sync.Mutex
	last   int64 // number of the newest slot; 0: none yet
	swept  int64 // the newest slot at which series that have ended made room
	used   int64 // values, of all series
	series map[SeriesID]*ring
	places [2 * ranks]int // how many series have which place
	fine   [2 * ranks]int // how many of these have a value at every slot
}

// firstOfPart is the place of the first series that is not of a whole instance: from it on a series may be coarse
// so that others have room.
const firstOfPart = 2 * int(OfCluster)

// coarse is the time that a value of a coarse series stands for, leastCoarse how many of them a history is long at
// least that has such series.
const (
	coarse      = time.Minute
	leastCoarse = 10
)

// SeriesID names a series of an instance, "" for this one.
type SeriesID struct{ Node, Name string }

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
// memory. What has no room for that is kept with a value a minute.
func New(keep, step time.Duration, memory int64) *Rings {
	slots := max(1, int64(keep/step))
	wide := max(1, int64(coarse/step))
	if slots < leastCoarse*wide {
		wide = 1
	}
	return &Rings{step: step, slots: slots, wide: wide, most: memory / valueBytes, series: make(map[SeriesID]*ring)}
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
			g.put(slot, s.Value)
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
	for _, g := range r.series {
		g.open(r.last+1, slot)
	}
	r.last = slot
}

// add begins a series; nil if there is no room for it.
func (r *Rings) add(id SeriesID, peak bool, rank Rank) *ring {
	place := placeOf(id, rank)
	if !r.fits(1) {
		r.sweep()
	}
	for !r.fits(1) && (r.coarsen(place+1) || rank == OfAll && r.displace(place)) {
	}
	wide := int64(1)
	for !r.fits(wide) {
		switch wide = r.wide; {
		case r.fits(wide), r.coarsen(firstOfPart), r.displace(place):
		default:
			return nil
		}
	}
	g := newRing(r.slots, wide, peak, rank)
	r.take(id, g)
	return g
}

// fits says whether there is room for a series of which a value stands for so many slots.
func (r *Rings) fits(wide int64) bool { return r.used+ringLength(r.slots, wide) <= r.most }

// take takes a series in, in place of the one that it may have been.
func (r *Rings) take(id SeriesID, g *ring) {
	if was := r.series[id]; was != nil {
		r.drop(id, was)
	}
	place := placeOf(id, g.rank)
	r.series[id] = g
	r.used += int64(len(g.values))
	r.places[place]++
	if g.wide == 1 {
		r.fine[place]++
	}
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
	id, found := r.furthest(place+1, &r.places, func(*ring) bool { return true })
	if found {
		r.drop(id, r.series[id])
	}
	return found
}

// coarsen has a series that stands at a place or behind it keep a value a minute, the last of those furthest
// behind; false if there is none.
func (r *Rings) coarsen(place int) bool {
	if r.wide == 1 {
		return false
	}
	id, found := r.furthest(max(place, firstOfPart), &r.fine, func(g *ring) bool { return g.wide == 1 })
	if found {
		r.take(id, r.series[id].coarsened(r.slots, r.wide, r.last))
	}
	return found
}

// furthest returns the last of the series furthest behind, from a place on, that are some of those counted.
func (r *Rings) furthest(from int, counted *[2 * ranks]int, is func(*ring) bool) (last SeriesID, found bool) {
	worst := len(counted) - 1
	for worst >= from && counted[worst] == 0 {
		worst--
	}
	if worst < from {
		return last, false
	}
	for id, g := range r.series {
		if placeOf(id, g.rank) == worst && is(g) && (last.Name == "" || compareIDs(id, last) > 0) {
			last = id
		}
	}
	return last, true
}

func (r *Rings) drop(id SeriesID, g *ring) {
	delete(r.series, id)
	r.used -= int64(len(g.values))
	place := placeOf(id, g.rank)
	r.places[place]--
	if g.wide == 1 {
		r.fine[place]--
	}
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
// rings, at least the one asked for. Where a series keeps a value a minute, that stands for each step of
// the minute.
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
		v := g.at(i)
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
