package caddymodule

import (
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
	app.CountRead("c1", "c2")
	now := time.Now().Add(time.Hour) // no mark of the sampler's is so late
	w.mark(now)
	for range 20 {
		ep.Live.Served.Count(routing.LocalityRemote, 4*time.Millisecond, true)
		app.CountRead("c2", "c1")
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
