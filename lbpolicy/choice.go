package lbpolicy

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/routing"
)

// maxAsks bounds how often one choice asks the router: again when the endpoint it
// chose got full, or the catalogue changed, in the same microseconds.
const maxAsks = 16

// choice is the working memory of one Select, reused.
type choice struct {
	policy   *DataAware
	inputs   []routing.Input
	query    routing.Query
	decision routing.Decision
	ups      upstreams
	offered  reverseproxy.UpstreamPool // the candidates, as other policies want them
	stands   []*routing.Endpoint       // which of them each one offered is
	usable   func(*routing.Endpoint) bool
}

func newChoice(p *DataAware) *choice {
	c := &choice{policy: p}
	c.usable = c.ups.usable // bound once: a method value allocates
	return c
}

// release gives the memory back.
func (c *choice) release() {
	c.reset()
	c.policy.choices.Put(c)
}

// reset clears all references to the request and to a snapshot.
func (c *choice) reset() {
	clear(c.inputs)
	clear(c.offered)
	clear(c.stands)
	c.query = routing.Query{}
	c.decision.Reset()
	c.ups = upstreams{}
}

// make decides where the request goes and counts it in there. What it decided is in
// st and in c's decision.
func (c *choice) make(st *requestState, pool reverseproxy.UpstreamPool, r *http.Request, w http.ResponseWriter) routing.Reason {
	router := c.policy.app.Router()
	c.prepare(st, router, pool, r)
	if slices.ContainsFunc(c.inputs, isUnreadable) || c.query.UnknownBucketAny && slices.ContainsFunc(c.inputs, isNoName) {
		return routing.ReasonBadInput
	}
	for range maxAsks {
		before := router.Snapshot()
		router.Route(&c.query, &c.decision)
		if c.decision.Reason != routing.ReasonNone {
			router.Ledger.RefusedBy(&c.decision)
			return c.decision.Reason
		}
		if c.decision.Locality == routing.LocalityRemote && c.pull(st, r) {
			c.prepare(st, router, pool, r) // what there is to choose from may have changed
			continue
		}
		if c.decision.Locality == routing.LocalityRemote && !c.query.Held && slices.ContainsFunc(c.inputs, isHeld) {
			c.query.Held = true // waiting did not bring it here
			continue
		}
		ep, up := c.pick(r, w)
		if ep == nil {
			return routing.ReasonNoEndpoint
		}
		from := c.decision.ReadsFrom(ep)
		if !st.begin(ep, router, &c.decision) {
			continue // it got its last request meanwhile
		}
		if router.Snapshot() == before || c.stillGood(router, &ep, from) {
			st.endpoint, st.upstream, st.from = ep, up, from
			return routing.ReasonNone
		}
		// The copy this was chosen for may have left routing, and who waits for it
		// to be idle may not have seen this request.
		st.endFlight()
	}
	return routing.ReasonNoEndpoint
}

// isHeld reports whether a token names the input.
func isHeld(in routing.Input) bool { return in.Held }

// pull waits for objects to be copied to where the request can run beside them, if its
// policies say so, and says whether they are there: then the router is to be asked again.
// Only the first attempt of a request waits.
func (c *choice) pull(st *requestState, r *http.Request) bool {
	if c.policy.puller == nil || st.attempts > 1 || st.pulled {
		return false
	}
	plan, ok := c.decision.Pull()
	if !ok {
		return false
	}
	st.pulled = true
	return c.policy.puller.Pull(r.Context(), plan) == nil
}

// stillGood says whether the catalogue as it is now would offer the chosen endpoint
// too, with the data read from the same place, and brings it up to date. The request
// is counted in by now, so every later change of the catalogue sees it.
func (c *choice) stillGood(router *routing.Router, ep **routing.Endpoint, from string) bool {
	router.Route(&c.query, &c.decision)
	for _, now := range c.decision.Candidates {
		if now.Live == (*ep).Live {
			*ep = now
			return c.decision.ReadsFrom(now) == from
		}
	}
	return false
}

// prepare makes the question for the router.
func (c *choice) prepare(st *requestState, router *routing.Router, pool reverseproxy.UpstreamPool, r *http.Request) {
	p := c.policy
	c.inputs = p.names.of(c.inputs[:0], r, st.header)
	if st.attempts == 1 {
		st.setInputs(c.inputs)
		st.carries = p.names.carried(st.header)
	}
	c.ups = p.upstreamsFor(router.Snapshot().Endpoints(), pool)
	c.query = routing.Query{
		Inputs:           c.inputs,
		UnknownBucketAny: p.UnknownBucket == anyEndpoint,
		NoBucketReject:   p.NoBucket == reject || len(c.inputs) == 0 && st.carries,
		Spill:            p.Spill,
		Tried:            st.tried,
	}
	if c.ups.limited() {
		c.query.Usable = c.usable
	}
}

// pick balances among the candidates.
func (c *choice) pick(r *http.Request, w http.ResponseWriter) (*routing.Endpoint, *reverseproxy.Upstream) {
	policy := c.policy.balancers.of(&c.decision)
	if policy == nil {
		ep := leastLoaded(c.decision.Candidates)
		if ep == nil {
			return nil, nil
		}
		return ep, c.ups.of(ep)
	}
	c.offer()
	up := policy.Select(c.offered, r, w)
	if up == nil {
		return nil, nil
	}
	return c.endpointOf(up), up
}

// maxOffered bounds the pool another policy is offered.
const maxOffered = 1024

// offer makes the pool for another selection policy: each candidate as often as its
// weight says, one of each per round, so that policies that go round it mix them.
func (c *choice) offer() {
	c.offered, c.stands = c.offered[:0], c.stands[:0]
	candidates := c.decision.Candidates
	divisor := 0
	for _, ep := range candidates {
		divisor = gcd(divisor, weightOf(ep))
	}
	for round := 0; ; round++ {
		any := false
		for _, ep := range candidates {
			if weightOf(ep)/divisor <= round || (round > 0 && len(c.offered) >= maxOffered) {
				continue
			}
			any = true
			c.offered, c.stands = append(c.offered, c.ups.of(ep)), append(c.stands, ep)
		}
		if !any {
			return
		}
	}
}

// endpointOf returns the candidate an offered upstream stands for. Several may share
// an upstream: endpoints of one address with different path prefixes.
func (c *choice) endpointOf(up *reverseproxy.Upstream) *routing.Endpoint {
	var best *routing.Endpoint
	for i, offered := range c.offered {
		if offered == up && (best == nil || lessLoaded(c.stands[i], best)) {
			best = c.stands[i]
		}
	}
	return best
}
