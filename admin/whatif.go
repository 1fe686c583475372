package admin

import (
	"net/http"
	"slices"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// whatIfInput is the body of POST /fado/route.
type whatIfInput struct {
	// As the header X-FaDO-Bucket.
	Bucket []string `json:"bucket,omitempty"`
	// As the header X-FaDO-Object.
	Object []string `json:"object,omitempty"`
	// As the header X-FaDO-Data.
	Data []string `json:"data,omitempty"`
	// Clusters whose functions are taken for unreachable.
	Down []string `json:"down,omitempty"`
	// As the option spill of data_aware.
	Spill int `json:"spill,omitempty"`
	// Policies that are taken to be as they are here.
	Policies []*catalog.Policy `json:"policies,omitempty"`
}

// whatIf tells where an invocation would go if some things were otherwise. Nothing is changed.
func whatIf(c *call) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	in, err := readWhatIf(body)
	if err != nil {
		return err
	}
	inputs, err := parseInputs(in.Bucket, in.Object, in.Data)
	if err != nil {
		return err
	}
	router, err := c.supposed(in)
	if err != nil {
		return err
	}
	q := routing.Query{Inputs: inputs, Spill: in.Spill}
	if len(in.Down) > 0 {
		q.Unusable = "taken for down"
		q.Usable = func(ep *routing.Endpoint) bool { return !slices.Contains(in.Down, ep.Cluster) }
	}
	return c.Reply(http.StatusOK, c.explained(router, &q, true))
}

func readWhatIf(body []byte) (in whatIfInput, err error) {
	if err := request.Decode(body, &in, `{"bucket": [], "object": [], "data": [], "down": [], "spill": 0, "policies": []}`); err != nil {
		return in, err
	}
	if in.Spill < 0 {
		return in, request.Bad("spill: %d: expected 0 (off) or a positive number of requests", in.Spill)
	}
	return in, nil
}

// supposed is the router by which the question is answered.
func (c *call) supposed(in whatIfInput) (*routing.Router, error) {
	router := c.catalogue.Router()
	snap := router.Snapshot()
	for _, name := range in.Down {
		if snap.Cluster(name) == nil {
			return nil, request.Bad("down: %q: expected the name of a cluster", name)
		}
	}
	if len(in.Policies) == 0 {
		return router, nil
	}
	for i, p := range in.Policies {
		if p == nil {
			return nil, request.Bad("policies[%d]: null: expected a policy", i)
		}
		p.Normalize()
		if err := catalog.ValidateResource(p, snap); err != nil {
			return nil, err
		}
	}
	return router.Over(snap.Edit(func(e *routing.Editor) {
		for _, p := range in.Policies {
			e.PutPolicy(p)
		}
	})), nil
}

// whatIfOperation is that on what would be.
func whatIfOperation() operation {
	return operation{
		name: "what-if", method: http.MethodPost, pattern: "/fado/route", role: roleViewer, handle: whatIf, effect: effectReads,
		summary: "Where an invocation would go if clusters were down, policies were others, or holders were busy; with the steps of the decision. Changes nothing.",
		request: whatIfInput{}, requestTypes: []string{mediaJSON},
		replies: []reply{{status: 200, doc: "The decision, as of GET /fado/route.", body: routeView{}}}, errors: []int{400, 413, 503},
	}
}
