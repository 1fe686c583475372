package caddymodule

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/routing"
)

// What happens between two looks is a rate; what is now is a value; and a reload loses nothing
// unless it says how much is kept.
func TestHistoryIsMeasured(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	app := running(t)
	rings := history.New(time.Hour, 10*time.Second, 1<<20)
	m := &sampler{rt: app.runtime.Load()}
	now := time.Now()
	m.sample(t.Context(), rings, now)
	for range 20 {
		app.Invocations().CountDecision("c1", routing.LocalityLocal)
	}
	app.Invocations().CountRejection(routing.ReasonNoEndpoint)
	counters.Failed("c1", "timeout")
	counters.Failed("c2", "timeout")
	for _, ep := range app.Router().Snapshot().Endpoints() {
		ep.Live.InFlight.Add(3)
		defer ep.Live.InFlight.Add(-3)
	}
	m.sample(t.Context(), rings, now.Add(10*time.Second))
	last := func(series string) float64 {
		c := rings.Read([]history.SeriesID{{Name: series}}, now, now.Add(10*time.Second), 0)
		return c.Values[0][len(c.Values[0])-1]
	}
	var each []string
	for _, ep := range app.Router().Snapshot().Endpoints() {
		each = append(each, "in_flight_at."+ep.Cluster+" "+ep.URL)
		if got := last(each[len(each)-1]); got != 3 {
			t.Errorf("%s has %v in flight, want 3", ep.URL, got)
		}
	}
	if got := history.Select([]string{"in_flight_at."}, rings.Names("")); len(each) == 0 || len(got) != len(each) {
		t.Errorf("series of endpoints are %q, want %q", got, each)
	}
	flying := 3 * float64(len(app.Router().Snapshot().Endpoints()))
	for series, want := range map[string]float64{
		"decisions.local": 2, "decisions.local.c1": 2, "decisions.remote.c2": 0, "copied.c2": 0, "decisions.remote": 0, "rejections": 0.1, "rejections.no-endpoint": 0.1, "rejections.no-bucket": 0, "errors": 0.2, "errors.timeout": 0.2, "backlog.objects": 0, "in_flight": flying,
	} {
		if got := last(series); math.Abs(got-want) > 0.01 {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	for _, series := range []string{"used.c1", "in_flight.c1", "throughput.bytes", "backlog.oldest"} {
		if math.IsNaN(last(series)) {
			t.Errorf("nothing is known of %s; there are %s", series, strings.Join(rings.Names(""), ", "))
		}
	}

	if !slices.Contains(rings.Names(""), "lag.p99") {
		t.Errorf("lags are not kept; there are %s", rings.Names(""))
	}

	kept := app.History()
	for deadline := time.Now().Add(time.Minute); len(kept.Names("")) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is measured from the beginning on")
		}
	}
	mustLoad(t, s.config(t))
	if running(t).History() != kept {
		t.Error("a reload begins a new history")
	}
	s.settings += "\n\t\thistory off"
	mustLoad(t, s.config(t))
	if running(t).History() != nil {
		t.Error("something is kept")
	}
}

// Lags are those since the last values: where nothing was copied there is a gap, not the lag of a time ago.
func TestLagOfAnInterval(t *testing.T) {
	t.Parallel()
	c, rings, now := newCounters(), history.New(time.Minute, time.Second, 1<<20), time.Unix(1_800_000_000, 0)
	for i, d := range []time.Duration{0, 20 * time.Millisecond, 40 * time.Millisecond, 0} {
		if d > 0 {
			c.Lag(d)
		}
		rings.Put(now.Add(time.Duration(i)*time.Second), lagOf(&c.lags))
	}
	got := rings.Read([]history.SeriesID{{Name: "lag.p50"}, {Name: "lag.p99"}}, now, now.Add(time.Minute), 0).Values
	if fmt.Sprint(got) != "[[NaN 20 40 NaN] [NaN 20 40 NaN]]" {
		t.Errorf("lags are %v", got)
	}
}

// Where memory is short, what is of the whole instance is kept all the same, from the first values on and
// after a history begins again; what is of clusters and endpoints makes room.
func TestHistoryOfAllIsKept(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	m := &sampler{rt: running(t).runtime.Load()}
	counters.Failed("c1", "timeout")
	ofAll := func(r *history.Rings) []string {
		return slices.DeleteFunc(r.Names(""), func(name string) bool { return rankOf(name) != history.OfAll })
	}
	now, sampled := time.Now(), 0
	sample := func(rings *history.Rings) {
		sampled++
		m.sample(t.Context(), rings, now.Add(time.Duration(sampled)*10*time.Second))
	}
	ample := history.New(time.Minute, 10*time.Second, 1<<20)
	sample(ample) // without rates: there is nothing before
	sample(ample)
	want := ofAll(ample)
	if len(want) < 10 || len(want) == len(ample.Names("")) {
		t.Fatalf("with memory for all there are %s, of all %s", ample.Names(""), want)
	}
	for name, before := range map[string]map[string]float64{"at the beginning": nil, "begun again": m.before} {
		m.before = before
		short := history.New(time.Minute, 10*time.Second, int64(len(want))*6*4)
		for range 3 {
			sample(short)
		}
		if got := short.Names(""); !slices.Equal(got, want) {
			t.Errorf("%s: with memory for %d series there are %s, want %s", name, len(want), got, want)
		}
	}
}

func TestHistorySettings(t *testing.T) {
	t.Parallel()
	if s := (*History)(nil).settings(); s.keep != 24*time.Hour || s.interval != 10*time.Second || s.memory != 16<<20 {
		t.Errorf("the defaults are %+v", s)
	}
	if s := (&History{Disabled: true}).settings(); s != (historySettings{}) {
		t.Errorf("off is %+v", s)
	}
	for text, h := range map[string]*History{
		"":         {Keep: catalog.Duration(time.Hour)},
		"interval": {Interval: catalog.Duration(time.Millisecond)},
		"keep":     {Keep: catalog.Duration(time.Second)},
		"memory":   {Memory: -1},
		"disabled": {Disabled: true, Memory: 1},
	} {
		if err := h.validate(); (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: %v", h, err)
		}
	}
}
