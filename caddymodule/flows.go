package caddymodule

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/routing"
)

// Flows can be told of the last maxFlows, by marks that are at least flowsApart. Other instances are
// told those of toldFlows, which stand for so long as it takes until the next report is overdue.
const (
	maxFlows   = 2 * time.Minute
	flowsApart = 5 * time.Second
	toldFlows  = time.Minute
	// flowsSteps is how many steps of its history after it was heard a report is overdue, and
	// flowsLeast how long after it at least.
	flowsSteps = 4
	flowsLeast = 10 * time.Second
)

// flowWindow tells what moved lately, here and at the instances that this one hears of. Counters are
// written as things happen, on lines of memory of their own; it reads them when the history is
// sampled, or when someone asks.
type flowWindow struct {
	router *routing.Router
	marks  *history.Window[flowTotals]

	mu     sync.Mutex
	others map[string]heardFlows // by instance
}

// heardFlows are those that another instance told, good for a while.
type heardFlows struct {
	flows flowCounts
	until time.Time
}

// flowCounts are what an instance counted in so many seconds. Counts of several instances add up,
// times to an answer among them.
type flowCounts struct {
	Seconds   float64          `json:"seconds"`
	Endpoints []endpointCounts `json:"endpoints,omitempty"`
	Reads     []linkCounts     `json:"reads,omitempty"`
	Copies    []linkCounts     `json:"copies,omitempty"`
}

type endpointCounts struct {
	Cluster  string               `json:"cluster"`
	URL      string               `json:"url"`
	Served   routing.ServedCounts `json:"served"`
	InFlight int64                `json:"in_flight"`
}

type linkCounts struct {
	history.Link
	history.Amount
}

// maxToldFlows bounds the endpoints, and the links of each kind, that are told and heard.
const maxToldFlows = 500

// flowTotals are what the counters stand at.
type flowTotals struct {
	served        map[*routing.EndpointState]routing.ServedCounts
	reads, copies map[history.Link]history.Amount
}

func newFlowWindow(router *routing.Router) *flowWindow {
	// Counters of links are the process's, and may be older than this.
	first := flowTotals{reads: counters.invocations.Reads.Amounts(), copies: counters.copies.Amounts()}
	return &flowWindow{router: router, marks: history.NewWindow(maxFlows, flowsApart, time.Now(), first), others: make(map[string]heardFlows)}
}

func (w *flowWindow) totals() flowTotals {
	t := flowTotals{
		served: make(map[*routing.EndpointState]routing.ServedCounts),
		reads:  counters.invocations.Reads.Amounts(), copies: counters.copies.Amounts(),
	}
	for _, ep := range w.router.Snapshot().Endpoints() {
		t.served[ep.Live] = ep.Live.Served.Counts()
	}
	return t
}

// mark notes what the counters stand at now.
func (w *flowWindow) mark(now time.Time) { w.marks.Mark(now, w.totals()) }

// counted tells what this instance counted in about the last so much.
func (w *flowWindow) counted(window time.Duration, now time.Time) flowCounts {
	before, at := w.marks.Before(now.Add(-window))
	totals := w.totals()
	w.marks.Mark(now, totals)
	f := flowCounts{Seconds: max(now.Sub(at).Seconds(), 1), Reads: grown(before.reads, totals.reads), Copies: grown(before.copies, totals.copies)}
	for _, ep := range w.router.Snapshot().Endpoints() {
		f.Endpoints = append(f.Endpoints, endpointCounts{ep.Cluster, ep.URL, totals.served[ep.Live].Since(before.served[ep.Live]), ep.Live.InFlight.Load()})
	}
	return f
}

// tell is what the other instances are told: of endpoints those that did something.
func (w *flowWindow) tell(now time.Time) flowCounts {
	f := w.counted(toldFlows, now)
	f.Endpoints = slices.DeleteFunc(f.Endpoints, func(e endpointCounts) bool { return e.InFlight == 0 && e.Served == routing.ServedCounts{} })
	return f.bounded()
}

func (f flowCounts) bounded() flowCounts {
	f.Endpoints = f.Endpoints[:min(len(f.Endpoints), maxToldFlows)]
	f.Reads, f.Copies = f.Reads[:min(len(f.Reads), maxToldFlows)], f.Copies[:min(len(f.Copies), maxToldFlows)]
	return f
}

// hear takes in what another instance told, which measures at every step.
func (w *flowWindow) hear(node string, f flowCounts, step time.Duration, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.Seconds >= 1 { // an older version tells none
		w.others[node] = heardFlows{f.bounded(), now.Add(max(flowsLeast, flowsSteps*step))}
	}
}

// heard returns the other instances that have told lately, by name, and what they did.
func (w *flowWindow) heard(now time.Time) (nodes []string, all []flowCounts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.others, func(_ string, h heardFlows) bool { return now.After(h.until) })
	for _, node := range slices.Sorted(maps.Keys(w.others)) {
		nodes, all = append(nodes, node), append(all, w.others[node].flows)
	}
	return nodes, all
}

// since tells the rates of about the last so much, of this instance and those it hears of.
func (w *flowWindow) since(window time.Duration, now time.Time) history.Flows {
	own := w.counted(window, now)
	nodes, others := w.heard(now)
	return sumFlows(own, others, nodes)
}

// sumFlows adds up what instances did. Endpoints that only others know are left out: they were added or
// removed this moment.
func sumFlows(own flowCounts, others []flowCounts, nodes []string) history.Flows {
	f := history.Flows{Seconds: own.Seconds, Others: nodes}
	type endpoint struct{ cluster, url string }
	at := make(map[endpoint]int)
	served := make([]routing.ServedCounts, len(own.Endpoints))
	for i, e := range own.Endpoints {
		at[endpoint{e.Cluster, e.URL}] = i
		f.Endpoints = append(f.Endpoints, history.EndpointFlow{Cluster: e.Cluster, URL: e.URL})
	}
	reads, copies := make(map[history.Link]history.LinkFlow), make(map[history.Link]history.LinkFlow)
	for _, of := range append([]flowCounts{own}, others...) {
		for _, e := range of.Endpoints {
			if i, known := at[endpoint{e.Cluster, e.URL}]; known {
				addEndpoint(&f.Endpoints[i], e, of.Seconds)
				served[i] = served[i].Plus(e.Served)
			}
		}
		addLinks(reads, of.Reads, of.Seconds)
		addLinks(copies, of.Copies, of.Seconds)
	}
	for i, c := range served {
		f.Endpoints[i].P50, f.Endpoints[i].P99 = c.Quantile(.5), c.Quantile(.99)
	}
	f.Reads, f.Copies = linkFlows(reads), linkFlows(copies)
	return f
}

func addEndpoint(f *history.EndpointFlow, e endpointCounts, seconds float64) {
	rate := func(n uint32) float64 { return float64(n) / seconds }
	f.InFlight += e.InFlight
	f.Local += rate(e.Served.By[routing.LocalityLocal])
	f.Remote += rate(e.Served.By[routing.LocalityRemote])
	f.None += rate(e.Served.By[routing.LocalityNone])
	f.Failed += rate(e.Served.Failed)
}

func addLinks(to map[history.Link]history.LinkFlow, links []linkCounts, seconds float64) {
	for _, l := range links {
		f := to[l.Link]
		f.Times, f.Bytes = f.Times+float64(l.Times)/seconds, f.Bytes+float64(l.Bytes)/seconds
		to[l.Link] = f
	}
}

// grown are the links over which something went, by name.
func grown(before, now map[history.Link]history.Amount) []linkCounts {
	var links []linkCounts
	for link, n := range now {
		n.Times, n.Bytes = n.Times-before[link].Times, n.Bytes-before[link].Bytes
		if n.Times > 0 {
			links = append(links, linkCounts{link, n})
		}
	}
	slices.SortFunc(links, func(a, b linkCounts) int { return compareLinks(a.Link, b.Link) })
	return links
}

func linkFlows(by map[history.Link]history.LinkFlow) []history.LinkFlow {
	var flows []history.LinkFlow
	for link, f := range by {
		f.Link = link
		flows = append(flows, f)
	}
	slices.SortFunc(flows, func(a, b history.LinkFlow) int { return compareLinks(a.Link, b.Link) })
	return flows
}

func compareLinks(a, b history.Link) int {
	return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
}
