package caddymodule

import (
	"cmp"
	"slices"
	"time"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/routing"
)

// Flows can be told of the last maxFlows, by marks that are at least flowsApart.
const (
	maxFlows   = 2 * time.Minute
	flowsApart = 5 * time.Second
)

// flowWindow tells what moved lately. Counters are written as things happen, on lines of memory
// of their own; it reads them when the history is sampled, or when someone asks.
type flowWindow struct {
	router *routing.Router
	marks  *history.Window[flowTotals]
}

// flowTotals are what the counters stand at.
type flowTotals struct {
	served        map[*routing.EndpointState]routing.ServedCounts
	reads, copies map[history.Link]history.Amount
}

func newFlowWindow(router *routing.Router) *flowWindow {
	// Counters of links are the process's, and may be older than this.
	first := flowTotals{reads: counters.reads.Amounts(), copies: counters.copies.Amounts()}
	return &flowWindow{router, history.NewWindow(maxFlows, flowsApart, time.Now(), first)}
}

func (w *flowWindow) totals() flowTotals {
	t := flowTotals{
		served: make(map[*routing.EndpointState]routing.ServedCounts),
		reads:  counters.reads.Amounts(), copies: counters.copies.Amounts(),
	}
	for _, ep := range w.router.Snapshot().Endpoints() {
		t.served[ep.Live] = ep.Live.Served.Counts()
	}
	return t
}

// mark notes what the counters stand at now.
func (w *flowWindow) mark(now time.Time) { w.marks.Mark(now, w.totals()) }

// since tells the rates of about the last so much.
func (w *flowWindow) since(window time.Duration, now time.Time) history.Flows {
	before, at := w.marks.Before(now.Add(-window))
	totals := w.totals()
	w.marks.Mark(now, totals)
	f := history.Flows{Seconds: max(now.Sub(at).Seconds(), 1)}
	for _, ep := range w.router.Snapshot().Endpoints() {
		f.Endpoints = append(f.Endpoints, endpointFlow(ep, totals.served[ep.Live].Since(before.served[ep.Live]), f.Seconds))
	}
	f.Reads = linkFlows(before.reads, totals.reads, f.Seconds)
	f.Copies = linkFlows(before.copies, totals.copies, f.Seconds)
	return f
}

func endpointFlow(ep *routing.Endpoint, c routing.ServedCounts, seconds float64) history.EndpointFlow {
	rate := func(n uint32) float64 { return float64(n) / seconds }
	return history.EndpointFlow{
		Cluster: ep.Cluster, URL: ep.URL, InFlight: ep.Live.InFlight.Load(),
		Local: rate(c.By[routing.LocalityLocal]), Remote: rate(c.By[routing.LocalityRemote]), None: rate(c.By[routing.LocalityNone]),
		Failed: rate(c.Failed), P50: c.Quantile(.5), P99: c.Quantile(.99),
	}
}

// linkFlows are the links over which something went, by name.
func linkFlows(before, now map[history.Link]history.Amount, seconds float64) []history.LinkFlow {
	var flows []history.LinkFlow
	for link, n := range now {
		n.Times, n.Bytes = n.Times-before[link].Times, n.Bytes-before[link].Bytes
		if n.Times > 0 {
			flows = append(flows, history.LinkFlow{Link: link, Times: float64(n.Times) / seconds, Bytes: float64(n.Bytes) / seconds})
		}
	}
	slices.SortFunc(flows, func(a, b history.LinkFlow) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return flows
}
