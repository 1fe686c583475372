package history

import (
	"math"
	"slices"
)

// Rank orders series: one of a lower rank takes the room of one of a higher rank.
type Rank uint8

// The ranks of series.
const (
	OfAll      Rank = iota // of the whole instance
	OfCluster              // of one cluster
	OfEndpoint             // of one function endpoint
	ranks
)

// ring keeps the last values of a series: one for each slot, or where it is coarse, one for several.
type ring struct {
	values []float32
	wide   int64 // slots that a value stands for
	peak   bool
	rank   Rank
	last   int64 // the newest slot with a value
	// total and n are what the newest value of a coarse ring is made of.
	total float64
	n     int
}

var gap = float32(math.NaN())

func newRing(slots, wide int64, peak bool, rank Rank) *ring {
	return &ring{values: slices.Repeat([]float32{gap}, int(ringLength(slots, wide))), wide: wide, peak: peak, rank: rank}
}

// ringLength is how many values cover so many slots, wherever the first of them begins.
func ringLength(slots, wide int64) int64 {
	if wide == 1 {
		return slots
	}
	return (slots+wide-1)/wide + 1
}

// cell is where the value of a slot is.
func (g *ring) cell(slot int64) *float32 { return &g.values[slot/g.wide%int64(len(g.values))] }

// at returns the value that stands for a slot.
func (g *ring) at(slot int64) float64 { return float64(*g.cell(slot)) }

// open makes gaps of the slots from first to last, those excepted that share a value with one before.
func (g *ring) open(first, last int64) {
	from, to := (first+g.wide-1)/g.wide, last/g.wide
	for i := max(from, to-int64(len(g.values))+1); i <= to; i++ {
		g.values[i%int64(len(g.values))] = gap
	}
}

// put sets the value of a slot. A coarse ring takes each slot once, in their order.
func (g *ring) put(slot int64, v float64) {
	if g.wide == 1 {
		*g.cell(slot), g.last = float32(v), max(g.last, slot)
		return
	}
	if slot <= g.last {
		return
	}
	if slot/g.wide != g.last/g.wide {
		g.total, g.n = 0, 0
	}
	switch {
	case !g.peak:
		g.total += v
	case g.n == 0:
		g.total = v
	default:
		g.total = max(g.total, v)
	}
	g.n, g.last = g.n+1, slot
	if g.peak {
		v = g.total
	} else {
		v = g.total / float64(g.n)
	}
	*g.cell(slot) = float32(v)
}

// coarsened returns the ring with values that stand for so many slots, up to the newest one.
func (g *ring) coarsened(slots, wide, newest int64) *ring {
	c := newRing(slots, wide, g.peak, g.rank)
	for slot := max(1, newest-slots+1); slot <= g.last; slot++ {
		if v := g.at(slot); !math.IsNaN(v) {
			c.put(slot, v)
		}
	}
	return c
}
