package admin

import (
	"net/http"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// routeView is the JSON of GET /fado/route.
type routeView struct {
	Bucket     string          `json:"bucket"`     // the first bucket named
	Objects    []string        `json:"objects"`    // the keys named in that bucket
	Inputs     []inputView     `json:"inputs"`     // all inputs, as they were understood
	Decision   *decisionView   `json:"decision"`   // null where the invocation would be refused
	Reason     string          `json:"reason"`     // why it would be refused, as X-FaDO-Reason; "" if it would not
	Candidates []candidateView `json:"candidates"` // every endpoint, the eligible first, in the order they would be used
	// The steps of the decision, where they are asked for.
	Steps []stepView `json:"steps,omitempty"`
}

// stepView is one step of a decision.
type stepView struct {
	// Allowed, Hits, Free endpoints, On miss, Spill (where it is asked), Balance.
	Step    string        `json:"step"`
	In      int           `json:"in"`      // candidates that came to it
	Out     int           `json:"out"`     // candidates that were left
	Kept    []string      `json:"kept"`    // their clusters
	Dropped []droppedView `json:"dropped"` // the others
	Note    string        `json:"note"`    // what it came to, where that does not say it
}

// droppedView is a candidate that dropped out at a step.
type droppedView struct {
	Cluster string `json:"cluster"` // its cluster
	URL     string `json:"url"`     // the endpoint; "" for a cluster without one
	Reason  string `json:"reason"`  // why
}

// inputView is one thing the invocation reads, as it was understood.
type inputView struct {
	Bucket string `json:"bucket"` // its bucket
	Key    string `json:"key"`    // its key or prefix; "" for a whole bucket
	// Scope is bucket, object or prefix.
	Scope string `json:"scope"`
}

type decisionView struct {
	Cluster  string `json:"cluster"`  // where it would run
	Locality string `json:"locality"` // whether its inputs are there
	URL      string `json:"url"`      // the endpoint it would be sent to
}

// explainRoute tells where an invocation that names these inputs would go now, and why.
func explainRoute(c *call) error {
	q := c.R.URL.Query()
	inputs, err := parseInputs(q["bucket"], q["object"], q["data"])
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, c.explained(c.catalogue.Router(), &routing.Query{Inputs: inputs}, c.Query("trace") == "true"))
}

// explained tells what a router makes of a query.
func (c *call) explained(router *routing.Router, q *routing.Query, trace bool) routeView {
	ex := router.Explain(q, c.conflicting)
	v := routeView{
		Objects: []string{}, Inputs: []inputView{},
		Reason: string(ex.Reason), Candidates: views(ex.Candidates, viewCandidate),
	}
	for i, in := range q.Inputs {
		if i == 0 {
			v.Bucket = in.Bucket
		}
		if in.Scope != routing.ScopeBucket && in.Bucket == v.Bucket {
			v.Objects = append(v.Objects, in.Key)
		}
		v.Inputs = append(v.Inputs, inputView{Bucket: in.Bucket, Key: in.Key, Scope: scopeNames[in.Scope]})
	}
	if ex.Reason == routing.ReasonNone && len(ex.Candidates) > 0 && ex.Candidates[0].Eligible {
		best := ex.Candidates[0]
		v.Decision = &decisionView{Cluster: best.Cluster, Locality: best.Locality, URL: best.URL}
	}
	if trace {
		v.Steps = views(ex.Steps, viewStep)
	}
	return v
}

func viewStep(s routing.Step) stepView {
	return stepView{
		Step: s.Step, In: s.In, Out: s.Out, Kept: orEmpty(s.Kept), Note: s.Note,
		Dropped: views(s.Dropped, func(d routing.Dropped) droppedView { return droppedView(d) }),
	}
}

var scopeNames = map[routing.Scope]string{
	routing.ScopeBucket: "bucket", routing.ScopeObject: "object", routing.ScopePrefix: "prefix",
}

// conflicting says whether a key is in conflict in a cluster. While the store can't be asked
// it is taken for one that is yet to be copied.
func (c *call) conflicting(bucket, key, cluster string) bool {
	hold := state.HoldConflict
	rows, err := c.catalogue.Store().Queue().ListPending(c.R.Context(),
		state.PendingFilter{Bucket: bucket, Cluster: cluster, Hold: &hold}, state.PendingKey{Bucket: bucket, Key: key}, 1)
	return err == nil && len(rows) == 1 && rows[0].Key == key
}
