package history_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/history"
)

func every(string) bool { return true }

// told is what an instance tells, as the others read it.
func told(t *testing.T, r *history.Rings) (s history.Sheet) {
	t.Helper()
	text, err := json.Marshal(r.Tell(every))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// What one instance told is known to the other at its times, gaps as gaps, apart from its own.
func TestHear(t *testing.T) {
	t.Parallel()
	one, two := history.New(time.Minute, 10*time.Second, 1<<20), history.New(time.Minute, 10*time.Second, 1<<20)
	read := func(node string, names ...string) string {
		return fmt.Sprint(one.Read(of(node, names...), at(0), at(50), 0).Values)
	}
	for i := range 6 {
		one.Put(at(10*i), []history.Sample{{Series: "a", Value: float64(i)}})
		two.Put(at(10*i+2), []history.Sample{{Series: "a", Value: float64(10 * i)}, {Series: "p", Value: float64(-i), Peak: true}})
		if i == 3 { // what was told a time ago is told again
			continue
		}
		one.Hear("two", told(t, two), at(10*i+3))
	}
	for _, tc := range []struct{ got, want string }{
		{read("two", "a", "p"), "[[0 10 20 30 40 50] [0 -1 -2 -3 -4 -5]]"},
		{read("", "a"), "[[0 1 2 3 4 5]]"},
		{fmt.Sprint(one.Names(""), one.Names("two"), one.Names("three")), "[a] [a p] []"},
		{fmt.Sprint(one.Nodes()[0].Name, one.Nodes()[0].Last.Sub(start)), "two50s"},
		{fmt.Sprint(one.Read(of("two", "p"), at(0), at(50), 30*time.Second).Values), "[[0 -3]]"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
	// It tells nothing any more: gaps, and after a turn it is forgotten.
	one.Put(at(70), nil)
	if got := fmt.Sprint(one.Read(of("two", "a"), at(50), at(70), 0).Values); got != "[[50 NaN NaN]]" {
		t.Errorf("after it ended: %s", got)
	}
	one.Put(at(110), nil)
	if nodes := one.Nodes(); len(nodes) != 0 {
		t.Errorf("known still: %v", nodes)
	}
}

// An instance with another clock is heard as of now, and one that tells too much in part.
func TestHearOddly(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour, "in step": 0} {
		one, two := history.New(time.Minute, time.Second, 1<<20), history.New(time.Minute, time.Second, 1<<20)
		one.Put(at(30), nil)
		two.Put(at(29).Add(off), []history.Sample{{Series: "a", Value: 7}})
		two.Put(at(30).Add(off), []history.Sample{{Series: "a", Value: 8}})
		one.Hear("two", told(t, two), at(30))
		if got := fmt.Sprint(one.Read(of("two", "a"), at(28), at(30), 0).Values); got != "[[NaN 7 8]]" {
			t.Errorf("%s: %s", name, got)
		}
	}
	one := history.New(time.Minute, time.Second, 1<<20)
	one.Put(at(30), nil)
	var s history.Sheet
	for i := range 1000 {
		s.Series = append(s.Series, history.SheetSeries{Name: fmt.Sprint(i), Values: []history.Value{1}})
	}
	one.Hear("two", s, at(30))
	if n := len(one.Names("two")); n != 64 {
		t.Errorf("%d series of one instance are kept", n)
	}
	for i := range 100 {
		one.Put(at(31), []history.Sample{{Series: fmt.Sprint("s", i), Value: math.NaN()}, {Series: fmt.Sprint("t", i), Value: 1}})
	}
	if got := one.Tell(func(name string) bool { return strings.HasPrefix(name, "t") }).Series; len(got) != 64 || got[0].Name != "t0" {
		t.Errorf("%d series are told, the first %v", len(got), got[0])
	}
}

// What is of the whole instance is told before what is of clusters, however many there are.
func TestTellOfAllFirst(t *testing.T) {
	t.Parallel()
	r := history.New(time.Minute, time.Second, 1<<20)
	var all []history.Sample
	for i := range 100 {
		all = append(all, history.Sample{Series: fmt.Sprintf("in_flight.c%d", i), Rank: history.OfCluster})
	}
	r.Put(at(0), append(all, history.Sample{Series: "lag"}, history.Sample{Series: "rejections"}))
	s := told(t, r)
	if len(s.Series) != 64 || s.Series[0].Name != "lag" || s.Series[1].Name != "rejections" || s.Series[2].Rank != history.OfCluster {
		t.Errorf("%d series are told: %v", len(s.Series), s.Series)
	}
}

// What other instances tell has no more room than memory has, and the instances that are heard are
// listed by name, each with the time of its newest value.
func TestHeardInstances(t *testing.T) {
	t.Parallel()
	r := history.New(40*time.Second, 10*time.Second, 3*4*4)
	if !r.Last().IsZero() {
		t.Errorf("empty rings have values of %v", r.Last())
	}
	r.Put(at(30), one("a", 1))
	tell := func(node string, at time.Time, series ...string) {
		s := history.Sheet{Last: at, Step: 10 * time.Second}
		for _, name := range series {
			s.Series = append(s.Series, history.SheetSeries{Name: name, Values: []history.Value{7}})
		}
		r.Hear(node, s, at)
	}
	tell("n3", at(20), "a")
	tell("n2", at(30), "a", "b", "c") // for one of these there is room
	if got := r.Nodes(); len(got) != 2 || got[0].Name != "n2" || got[1].Name != "n3" || !got[0].Last.Equal(at(30)) || !got[1].Last.Equal(at(20)) {
		t.Errorf("heard of %+v", got)
	}
	if got := fmt.Sprint(r.Names("n2")); got != "[a]" || !r.Last().Equal(at(30)) {
		t.Errorf("of n2 there are %s, and the newest values are of %v", got, r.Last())
	}
}
