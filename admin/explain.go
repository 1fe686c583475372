package admin

import (
	"net/http"

	"github.com/fado-project/fado/routing"
)

// routeView is the JSON of GET /fado/route.
type routeView struct {
	Bucket     string          `json:"bucket"`
	Objects    []string        `json:"objects"`
	Inputs     []inputView     `json:"inputs"`
	Decision   *decisionView   `json:"decision"`
	Reason     string          `json:"reason"`
	Candidates []candidateView `json:"candidates"`
}

// inputView is one thing the invocation reads, as it was understood.
type inputView struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	// Scope is bucket, object or prefix.
	Scope string `json:"scope"`
}

type decisionView struct {
	Cluster  string `json:"cluster"`
	Locality string `json:"locality"`
	URL      string `json:"url"`
}

// explainRoute tells where an invocation that names these inputs would go now, and why.
func explainRoute(c *call) error {
	q := c.r.URL.Query()
	inputs, err := parseInputs(q["bucket"], q["object"], q["data"])
	if err != nil {
		return err
	}
	ex := c.catalogue.Router().Explain(&routing.Query{Inputs: inputs})
	v := routeView{
		Objects: []string{}, Inputs: []inputView{},
		Reason: string(ex.Reason), Candidates: views(ex.Candidates, viewCandidate),
	}
	for i, in := range inputs {
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
	return c.reply(http.StatusOK, v)
}

var scopeNames = map[routing.Scope]string{
	routing.ScopeBucket: "bucket", routing.ScopeObject: "object", routing.ScopePrefix: "prefix",
}
