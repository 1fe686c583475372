package caddymodule

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/routing"
)

// Flows are what grew since, whatever the counters stood at before, across reloads.
func TestFlows(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	app := running(t)
	w := app.runtime.Load().flows
	ep := app.Router().Snapshot().Endpoints()[0]
	ep.Live.Served.Count(routing.LocalityLocal, time.Millisecond, false)
	app.Invocations().CountRead("c1", "c2")
	now := time.Now().Add(time.Hour) // no mark of the sampler's is so late
	w.mark(now)
	for range 20 {
		ep.Live.Served.Count(routing.LocalityRemote, 4*time.Millisecond, true)
		app.Invocations().CountRead("c2", "c1")
		counters.CopiedOver("c1", "c2", 1000)
	}
	mustLoad(t, s.config(t))
	f := running(t).runtime.Load().flows.since(10*time.Second, now.Add(10*time.Second))
	var got history.EndpointFlow
	for _, e := range f.Endpoints {
		if e.URL == ep.URL {
			got = e
		}
	}
	if f.Seconds != 10 || got.Remote != 2 || got.Local != 0 || got.Failed != 2 || got.P99 < 2 || got.P99 > 8 {
		t.Errorf("of %v s: %+v", f.Seconds, got)
	}
	link := func(flows []history.LinkFlow, from, to string) history.LinkFlow {
		for _, l := range flows {
			if l.From == from && l.To == to {
				return l
			}
		}
		return history.LinkFlow{}
	}
	if l := link(f.Reads, "c2", "c1"); l.Times != 2 {
		t.Errorf("reads: %+v", f.Reads)
	}
	if l := link(f.Reads, "c1", "c2"); l.Times != 0 {
		t.Errorf("nothing was read from c1 since: %+v", l)
	}
	if l := link(f.Copies, "c1", "c2"); l.Times != 2 || l.Bytes != 2000 {
		t.Errorf("copies: %+v", f.Copies)
	}
}

// Flows of several instances add up, each by its own seconds; times to an answer are of all invocations
// together, and links are told once.
func TestFlowsOfAllInstances(t *testing.T) {
	t.Parallel()
	served := func(took time.Duration, times int) (c routing.ServedCounts) {
		var s routing.Served
		for range times {
			s.Count(routing.LocalityLocal, took, false)
		}
		return s.Counts()
	}
	link := func(from, to string, times, bytes int64) linkCounts {
		return linkCounts{history.Link{From: from, To: to}, history.Amount{Times: times, Bytes: bytes}}
	}
	own := flowCounts{
		Seconds: 10, Endpoints: []endpointCounts{{Cluster: "c1", URL: "f", Served: served(time.Millisecond, 10), InFlight: 1}, {Cluster: "c2", URL: "g"}},
		Copies: []linkCounts{link("c1", "c2", 10, 1000)},
	}
	two := flowCounts{
		Seconds: 60, Endpoints: []endpointCounts{
			{Cluster: "c1", URL: "f", Served: served(100*time.Millisecond, 120), InFlight: 2},
			{Cluster: "c9", URL: "unknown", Served: served(time.Second, 60)},
		},
		Reads: []linkCounts{link("c2", "c1", 60, 0)}, Copies: []linkCounts{link("c1", "c2", 60, 60), link("c0", "c2", 60, 60)},
	}
	text, err := json.Marshal(two)
	var told flowCounts
	if err == nil {
		err = json.Unmarshal(text, &told)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := newFlowWindow(routing.NewRouter())
	now := time.Now()
	w.hear("two", told, time.Second, now)
	w.hear("old", flowCounts{}, time.Second, now)
	if nodes, _ := w.heard(now.Add(flowsLeast + 1)); nodes != nil {
		t.Errorf("%v are heard of long after", nodes)
	}
	w.hear("two", told, time.Minute, now)
	nodes, others := w.heard(now.Add(flowsLeast + 1))
	f := sumFlows(own, others, nodes)
	if got, want := fmt.Sprint(f.Others, f.Reads, f.Copies), "[two] [{{c2 c1} 1 0}] [{{c0 c2} 1 1} {{c1 c2} 2 101}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e := f.Endpoints[0]
	if len(f.Endpoints) != 2 || e.Local != 3 || e.InFlight != 3 || e.P50 < 70 || e.P50 > 150 {
		t.Errorf("%+v", f.Endpoints)
	}
}
