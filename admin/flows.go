package admin

import (
	"net/http"
	"time"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/history"
)

// flowsView is the JSON of GET /fado/flows.
type flowsView struct {
	// The instance that answers.
	Node string `json:"node"`
	// The instances whose invocations and copies these are: this one, then those that told it lately, by name.
	Nodes []string `json:"nodes"`
	// Seconds that the rates of this instance are of; those of others are of the minute before they told.
	Window float64 `json:"window"`
	// What each function endpoint answered, through the transport fado.
	Endpoints []endpointFlowView `json:"endpoints"`
	// Invocations that ran in one cluster and read their first input in another.
	Reads []readFlowView `json:"reads"`
	// What was copied from one cluster to another.
	Copies []copyFlowView `json:"copies"`
}

// endpointFlowView is one function endpoint; rates are a second.
type endpointFlowView struct {
	Cluster  string   `json:"cluster"`   // its cluster
	URL      string   `json:"url"`       // the endpoint
	Local    float64  `json:"local"`     // invocations whose inputs were there
	Remote   float64  `json:"remote"`    // invocations that read elsewhere
	None     float64  `json:"none"`      // invocations that named no data
	Errors   float64  `json:"errors"`    // of all these, those that failed or were answered with 5xx
	P50      measured `json:"p50_ms"`    // milliseconds until half of them were answered; null where there were none
	P99      measured `json:"p99_ms"`    // milliseconds until 99 of 100 were answered
	InFlight int64    `json:"in_flight"` // requests it serves now
}

// readFlowView is one way that invocations read; rates are a second.
type readFlowView struct {
	From        string  `json:"from"`        // the cluster of the storage
	To          string  `json:"to"`          // the cluster of the function
	Invocations float64 `json:"invocations"` // how many
}

// copyFlowView is one way that copies go; rates are a second.
type copyFlowView struct {
	From    string  `json:"from"`    // the cluster read in
	To      string  `json:"to"`      // the cluster written in
	Objects float64 `json:"objects"` // how many
	Bytes   float64 `json:"bytes"`   // their bytes
}

// Bounds of the window that flows are told of.
const (
	defaultFlows = time.Minute
	minFlows     = 10 * time.Second
	maxFlows     = 2 * time.Minute
)

// flowsOf tells who is invoked where, with data from where.
func flowsOf(c *call) error {
	window := defaultFlows
	if text := c.Query("window"); text != "" {
		var err error
		if window, err = time.ParseDuration(text); err != nil || window < minFlows || window > maxFlows {
			return request.Bad("query parameter \"window\": %q: expected a duration from 10s to 2m", text)
		}
	}
	f := c.flows(window)
	return c.Reply(http.StatusOK, flowsView{
		Node: c.catalogue.Node(), Nodes: append([]string{c.catalogue.Node()}, f.Others...), Window: f.Seconds,
		Endpoints: views(f.Endpoints, viewEndpointFlow),
		Reads:     views(f.Reads, func(l history.LinkFlow) readFlowView { return readFlowView{l.From, l.To, l.Times} }),
		Copies:    views(f.Copies, func(l history.LinkFlow) copyFlowView { return copyFlowView{l.From, l.To, l.Times, l.Bytes} }),
	})
}

func viewEndpointFlow(f history.EndpointFlow) endpointFlowView {
	return endpointFlowView{
		Cluster: f.Cluster, URL: f.URL, Local: f.Local, Remote: f.Remote, None: f.None, Errors: f.Failed,
		P50: measured(f.P50), P99: measured(f.P99), InFlight: f.InFlight,
	}
}

// flowsOperation is that on what moved lately.
func flowsOperation() operation {
	return operation{
		name: "flows", method: http.MethodGet, pattern: "/fado/flows", role: roleViewer, handle: flowsOf,
		params:  []parameter{{name: "window", doc: "Of how long rates are told, from 10s to 2m. Default: 60s."}},
		summary: "Who is invoked where, with data from where, and what is copied over which link: rates of all instances together.",
		replies: []reply{{status: 200, doc: "The flows.", body: flowsView{}}}, errors: []int{400, 503},
	}
}
