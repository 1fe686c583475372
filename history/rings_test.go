package history_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/history"
)

var start = time.Unix(1_800_000_000, 0)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func one(name string, v float64) []history.Sample { return []history.Sample{{Series: name, Value: v}} }

func of(node string, names ...string) (ids []history.SeriesID) {
	for _, name := range names {
		ids = append(ids, history.SeriesID{Node: node, Name: name})
	}
	return ids
}

// Values come back at their times, gaps as gaps, and what is older than is kept does not.
func TestRings(t *testing.T) {
	t.Parallel()
	r := history.New(50*time.Second, 10*time.Second, 1<<20)
	r.Put(at(0), one("a", 1))
	r.Put(at(10), one("a", 2))
	r.Put(at(40), append(one("a", 3), one("b", 9)...))
	read := func(from, to, step int, names ...string) string {
		c := r.Read(of("", names...), at(from), at(to), time.Duration(step)*time.Second)
		return fmt.Sprint(c.From.Sub(start).Seconds(), c.Step.Seconds(), c.Values)
	}
	for _, tc := range []struct{ got, want string }{
		{read(0, 100, 0, "a", "b"), "0 10 [[1 2 NaN NaN 3] [NaN NaN NaN NaN 9]]"},
		{read(10, 20, 0, "a"), "10 10 [[2 NaN]]"},
		{read(0, 40, 15, "a"), "0 20 [[1.5 NaN 3]]"},
		{read(0, 40, 0, "none"), "0 10 [[NaN NaN NaN NaN NaN]]"},
		{read(50, 60, 0, "a"), "50 10 [[]]"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
	r.Put(at(60), one("a", 4))
	r.Put(at(30), one("a", 99)) // late
	if got, want := read(0, 100, 0, "a"), "20 10 [[NaN NaN 3 NaN 4]]"; got != want {
		t.Errorf("a turn later: %s, want %s", got, want)
	}
	if got := fmt.Sprint(r.Names("")); got != "[a b]" {
		t.Errorf("names: %s", got)
	}
}

// Of percentiles the highest stands for a span of time.
func TestPeaks(t *testing.T) {
	t.Parallel()
	r := history.New(time.Minute, 10*time.Second, 1<<20)
	for i, v := range []float64{-5, -1, -3} {
		r.Put(at(10*i), []history.Sample{{Series: "p99", Value: v, Peak: true}})
	}
	if c := r.Read(of("", "p99"), at(0), at(20), 30*time.Second); len(c.Values[0]) != 1 || c.Values[0][0] != -1 {
		t.Errorf("%v", c.Values)
	}
}

// Memory bounds the series: the first ones are kept, and what has ended makes room.
func TestMemory(t *testing.T) {
	t.Parallel()
	r := history.New(40*time.Second, 10*time.Second, 2*4*4)
	r.Put(at(0), append(append(one("a", 1), one("b", 1)...), one("c", 1)...))
	if got := fmt.Sprint(r.Names("")); got != "[a b]" {
		t.Errorf("names: %s", got)
	}
	r.Put(at(30), append(one("a", 1), one("c", 1)...))
	if got := fmt.Sprint(r.Names("")); got != "[a b]" {
		t.Errorf("b is kept for a turn: %s", got)
	}
	r.Put(at(40), append(one("a", 1), one("c", 1)...))
	if got := fmt.Sprint(r.Names("")); got != "[a c]" {
		t.Errorf("b makes room: %s", got)
	}
}

// Where memory is short, a series of the whole instance takes the room of one of a cluster or an endpoint,
// whichever came first, and those of this instance that of others'. None takes the room of its like.
func TestRanks(t *testing.T) {
	t.Parallel()
	ranked := func(rank history.Rank, names ...string) (all []history.Sample) {
		for _, name := range names {
			all = append(all, history.Sample{Series: name, Value: 1, Rank: rank})
		}
		return all
	}
	told := func(rank history.Rank, names ...string) (s history.Sheet) {
		for _, name := range names {
			s.Series = append(s.Series, history.SheetSeries{Name: name, Rank: rank, Values: []history.Value{1}})
		}
		return s
	}
	r := history.New(40*time.Second, 10*time.Second, 4*4*4)
	for i, step := range []struct {
		put       []history.Sample
		hear      history.Sheet
		want, two string
	}{
		{put: append(ranked(history.OfEndpoint, "e1"), ranked(history.OfCluster, "c1", "c2", "c3", "c4")...), want: "[c1 c2 c3 c4]", two: "[]"},
		{put: ranked(history.OfEndpoint, "e1"), hear: told(history.OfCluster, "c1"), want: "[c1 c2 c3 c4]", two: "[]"},
		{put: ranked(history.OfAll, "a1"), hear: told(history.OfAll, "a1", "a2"), want: "[a1 c1]", two: "[a1 a2]"},
		{put: ranked(history.OfAll, "a1", "a2", "a3"), hear: told(history.OfAll, "a2"), want: "[a1 a2 a3]", two: "[a1]"},
		{put: ranked(history.OfAll, "a4", "a5"), hear: told(history.OfAll, "a1"), want: "[a1 a2 a3 a4]", two: "[]"},
	} {
		r.Put(at(0), step.put)
		r.Hear("two", step.hear, at(0))
		if got, two := fmt.Sprint(r.Names("")), fmt.Sprint(r.Names("two")); got != step.want || two != step.two {
			t.Errorf("step %d: %s and of the other instance %s, want %s and %s", i+1, got, two, step.want, step.two)
		}
	}
}

// Whatever is put, reading says what a plain list would.
func TestRingsAreLists(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(1, 20).Draw(t, "slots")
		r := history.New(time.Duration(slots)*time.Second, time.Second, 1<<20)
		list := make(map[int]float64)
		last := 0
		for range rapid.IntRange(1, 40).Draw(t, "puts") {
			last += rapid.IntRange(1, 8).Draw(t, "later")
			v := float64(rapid.IntRange(0, 100).Draw(t, "value"))
			r.Put(at(last), one("a", v))
			list[last] = v
		}
		first := max(0, last-slots+1)
		got := r.Read(of("", "a"), at(first), at(last), 0).Values[0]
		if len(got) != last-first+1 {
			t.Fatalf("%d values from %d to %d", len(got), first, last)
		}
		for i, v := range got {
			want, known := list[first+i]
			if known != !math.IsNaN(v) || known && v != want {
				t.Fatalf("at %d: %v, want %v", first+i, v, want)
			}
		}
	})
}

// A step asked for is rounded up to whole steps of the rings, and begins where all readers' do, so that
// two charts of one span show the same values.
func TestStepsAreAligned(t *testing.T) {
	t.Parallel()
	r := history.New(time.Hour, 10*time.Second, 1<<20)
	if r.Step() != 10*time.Second {
		t.Errorf("the step is %s", r.Step())
	}
	for i := range 12 {
		r.Put(at(10*i), one("a", float64(i)))
	}
	for asked, want := range map[time.Duration]time.Duration{
		0: 10 * time.Second, 10 * time.Second: 10 * time.Second, 11 * time.Second: 20 * time.Second, 25 * time.Second: 30 * time.Second,
	} {
		var before history.Columns
		for _, from := range []int{31, 39} { // of one step
			c := r.Read(of("", "a"), at(from), at(119), asked)
			if c.Step != want || c.From.UnixNano()%int64(want) != 0 || c.From.After(at(from)) {
				t.Errorf("a step of %s is %s from %v", asked, c.Step, c.From)
			}
			if from != 31 && (!c.From.Equal(before.From) || fmt.Sprint(c.Values) != fmt.Sprint(before.Values)) {
				t.Errorf("a step of %s: %v, eight seconds before %v", asked, c, before)
			}
			before = c
		}
	}
}

// A restart of the clock, or a span that ends before it begins, is nothing to read, not a failure.
func TestNothingToRead(t *testing.T) {
	t.Parallel()
	empty := history.New(time.Minute, time.Second, 1<<20)
	if c := empty.Read(of("", "a"), at(0), at(10), 0); len(c.Values) != 1 || len(c.Values[0]) != 0 && !math.IsNaN(c.Values[0][0]) {
		t.Errorf("of empty rings: %v", c.Values)
	}
	empty.Put(at(0), one("a", 1))
	if c := empty.Read(of("", "a"), at(10), at(0), 0); len(c.Values[0]) != 0 {
		t.Errorf("backwards: %v", c.Values)
	}
	if c := empty.Read(nil, at(0), at(10), 0); len(c.Values) != 0 {
		t.Errorf("of no series: %v", c.Values)
	}
}

// fleetOf are samples of so many clusters and endpoints.
func fleetOf(clusters, endpoints int, v float64) (all []history.Sample) {
	for i := range clusters {
		all = append(all, history.Sample{Series: fmt.Sprintf("c%03d", i), Value: v, Rank: history.OfCluster})
	}
	for i := range endpoints {
		all = append(all, history.Sample{Series: fmt.Sprintf("e%03d", i), Value: v, Rank: history.OfEndpoint})
	}
	return all
}

// Where not all series have room for a value at every step, some of endpoints keep one a minute, then some of
// clusters, for as long; those of the whole instance keep all. What was measured before is not lost.
func TestValueAMinute(t *testing.T) {
	t.Parallel()
	const slots, wide = 360, 61 // values of an hour, and of one with a value a minute
	for _, tc := range []struct {
		room      int // for how many values
		clusters  int
		endpoints int
		fine      string // what has a value at every step besides that of the whole instance
		kept      int
	}{
		{6 * slots, 3, 2, "[c000 c001 c002 e000 e001]", 6},
		{4*slots + 2*wide, 3, 2, "[c000 c001 c002]", 6},
		{3*slots + 3*wide, 3, 2, "[c000 c001]", 6},
		{slots + 5*wide, 3, 2, "[]", 6},
		{slots + 4*wide, 3, 2, "[]", 5}, // no room for all
		{slots, 3, 2, "[]", 1},
		{slots - 1, 0, 0, "[]", 1},
		{wide - 1, 0, 0, "[]", 0},
	} {
		r := history.New(time.Hour, 10*time.Second, int64(tc.room)*4)
		for i := range 12 { // two minutes
			v := float64(i)
			// Those of parts come first: what is of the whole instance takes its room all the same.
			r.Put(at(10*i), append(fleetOf(tc.clusters, tc.endpoints, v), history.Sample{Series: "all", Value: v}))
		}
		names := r.Names("")
		fine := []string{}
		for _, name := range names {
			got := r.Read(of("", name), at(0), at(119), 0).Values[0]
			switch text := fmt.Sprint(got); text {
			case "[0 1 2 3 4 5 6 7 8 9 10 11]":
				fine = append(fine, name)
			case "[2.5 2.5 2.5 2.5 2.5 2.5 8.5 8.5 8.5 8.5 8.5 8.5]":
			default:
				t.Errorf("room for %d: %s is %s", tc.room, name, text)
			}
		}
		if len(names) != tc.kept {
			t.Errorf("room for %d: %s are kept, want %d", tc.room, names, tc.kept)
		}
		if tc.room >= slots {
			if len(fine) == 0 || fine[0] != "all" {
				t.Errorf("room for %d: the whole instance's values are not kept: %s", tc.room, fine)
				continue
			}
			fine = fine[1:]
		}
		if got := fmt.Sprint(fine); got != tc.fine {
			t.Errorf("room for %d: a value at every step have %s, want %s", tc.room, got, tc.fine)
		}
	}
}

// Whatever is put and however a series came to keep a value a minute, each is what a list would say of its
// minute, for as long as is kept; of percentiles the highest.
func TestValuesAMinuteAreThoseOfLists(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const slots = 120 // 20 minutes
		peak := rapid.Bool().Draw(t, "peak")
		r := history.New(slots*10*time.Second, 10*time.Second, 4*(slots+40))
		list := make(map[int]float64)
		last, short := 0, rapid.IntRange(0, 60).Draw(t, "short from")
		for i := range rapid.IntRange(1, 60).Draw(t, "puts") {
			last += rapid.IntRange(1, 9).Draw(t, "later")
			v := float64(rapid.IntRange(0, 100).Draw(t, "value"))
			samples := []history.Sample{{Series: "a", Value: v, Peak: peak, Rank: history.OfCluster}}
			if i >= short {
				samples = append(samples, history.Sample{Series: "all", Value: v})
			}
			r.Put(at(10*last), samples)
			list[last] = v
			if i < short {
				continue
			}
			first := max(0, last-slots+1)
			got := r.Read(of("", "a"), at(10*first), at(10*last), 0).Values[0]
			for k, v := range got {
				minute := (first + k) / 6 * 6
				total, n := 0.0, 0
				for m := minute; m < minute+6; m++ {
					if v, known := list[m]; known && peak {
						total, n = max(total, v), 1
					} else if known {
						total, n = total+v, n+1
					}
				}
				if minute < first && math.IsNaN(v) {
					continue // the rest of it may have been gone when it became one of a minute
				}
				if want := total / float64(n); math.IsNaN(v) != (n == 0) || minute >= first && n > 0 && math.Abs(v-want) > 1e-4 {
					t.Fatalf("at %d of %d: %v, want %v", first+k, last, v, want)
				}
			}
		}
	})
}

// What other instances tell again and again counts once.
func TestHeardOnceAMinute(t *testing.T) {
	t.Parallel()
	r := history.New(time.Hour, 10*time.Second, 4*360+4*61)
	r.Put(at(0), one("all", 1))
	var s history.Sheet
	s.Step = 10 * time.Second
	for i, v := range []history.Value{1, 2, 6} {
		r.Put(at(10*i), one("all", 1))
		values := append(append([]history.Value{}, 1, 2, 6)[:i], v)
		s.Last, s.Series = at(10*i), []history.SheetSeries{{Name: "c", Rank: history.OfCluster, Values: values}}
		r.Hear("two", s, at(10*i))
	}
	if c := r.Read(of("two", "c"), at(0), at(20), 0); fmt.Sprint(c.Values) != "[[3 3 3]]" {
		t.Errorf("%v", c.Values)
	}
}
