package history

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"
)

// Sheet is what an instance tells the others of what it measured lately.
type Sheet struct {
	// Last is the time of the newest values, by the clock of the instance that tells.
	Last time.Time `json:"last"`
	// Step is the time between two values.
	Step   time.Duration `json:"step"`
	Series []SheetSeries `json:"series"`
}

// SheetSeries are the last values of one series, the newest last.
type SheetSeries struct {
	Name   string  `json:"name"`
	Peak   bool    `json:"peak,omitempty"`
	Rank   Rank    `json:"rank,omitempty"`
	Values []Value `json:"values"`
}

// Value is one value; NaN, where none is known, is null in JSON.
type Value float64

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*v = Value(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(v))
}

const (
	// toldValues is how many values of a series are told: those of the times before are among them
	// for who hears now and then a moment too late.
	toldValues = 3
	// maxTold bounds the series that are told, and that are heard of one instance.
	maxTold = 64
	// clockSteps is how many steps the clocks of instances may differ, and what is told be on its
	// way, without values being moved to other times.
	clockSteps = 3
)

// Tell returns the last values of this instance's series that which selects; where there are very
// many, those of the lowest ranks, of one rank the first by name.
func (r *Rings) Tell(which func(series string) bool) Sheet {
	names := slices.DeleteFunc(r.Names(""), func(name string) bool { return !which(name) })
	r.mu.Lock()
	defer r.mu.Unlock()
	names = r.foremost(names, maxTold)
	s := Sheet{Last: r.timeOf(r.last), Step: r.step, Series: make([]SheetSeries, 0, len(names))}
	for _, name := range names {
		g := r.series[SeriesID{Name: name}]
		if g == nil {
			continue // it made room meanwhile
		}
		told := SheetSeries{Name: name, Peak: g.peak, Rank: g.rank}
		for at := r.last - toldValues + 1; at <= r.last; at++ {
			told.Values = append(told.Values, Value(r.sum(g, at, at)))
		}
		s.Series = append(s.Series, told)
	}
	return s
}

// foremost returns so many of this instance's series, those of the lowest ranks first.
func (r *Rings) foremost(names []string, most int) []string {
	rank := func(name string) Rank {
		if g := r.series[SeriesID{Name: name}]; g != nil {
			return g.rank
		}
		return ranks // it made room meanwhile
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return names[:min(len(names), most)]
}

// Hear takes in what another instance told. Where its clock is another one, the newest values count
// as those of now.
func (r *Rings) Hear(node string, s Sheet, now time.Time) {
	if off := now.Sub(s.Last); off < 0 || off > clockSteps*max(s.Step, r.step) {
		s.Last = now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, told := range s.Series[:min(len(s.Series), maxTold)] {
		g := r.ring(SeriesID{node, told.Name}, told.Peak, told.Rank)
		if g == nil {
			continue
		}
		for i, v := range told.Values {
			age := time.Duration(len(told.Values)-1-i) * s.Step
			slot := min(r.last, s.Last.Add(-age).UnixNano()/int64(r.step))
			if slot <= r.last-r.slots || slot <= 0 || math.IsNaN(float64(v)) {
				continue
			}
			g.put(slot, float64(v))
		}
	}
}

// Node is an instance that told what it measures.
type Node struct {
	Name string
	// Last is the time of its newest value.
	Last time.Time
}

// Nodes lists the other instances of which values are kept, sorted by name.
func (r *Rings) Nodes() []Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := make(map[string]int64)
	for id, g := range r.series {
		if id.Node != "" && g.last > r.last-r.slots {
			last[id.Node] = max(last[id.Node], g.last)
		}
	}
	nodes := make([]Node, 0, len(last))
	for name, slot := range last {
		nodes = append(nodes, Node{name, r.timeOf(slot)})
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes
}
