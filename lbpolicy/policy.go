package lbpolicy

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/fado-project/fado/routing"
)

func init() {
	caddy.RegisterModule(new(DataAware))
	caddy.RegisterModule(new(Upstreams))
	caddy.RegisterModule(new(Transport))
}

// Select returns the upstream of the best endpoint for the request; nil when it may
// go to none, with the reason in the response headers.
func (p *DataAware) Select(pool reverseproxy.UpstreamPool, r *http.Request, w http.ResponseWriter) *reverseproxy.Upstream {
	if p.nested() {
		return reverseproxy.LeastConnSelection{}.Select(pool, r, w)
	}
	st := stateFor(p.handler, r)
	st.nextAttempt()
	st.client = w.Header()
	c := p.choices.Get().(*choice)
	defer c.release()
	if reason := p.decide(c, st, pool, r, w); reason != routing.ReasonNone {
		return p.refuse(st, w, reason) //nolint:contextcheck // counted when the request has ended
	}
	if p.ownTransport() == nil {
		cleanRequestTrailers(r)
	}
	if !p.endsFlights() {
		st.guard(r.Context())
	}
	p.announce(st, &c.decision, w)
	return st.upstream
}

// nested says whether p is somewhere inside the policy another data_aware balances
// with. What it is offered is decided already.
func (p *DataAware) nested() bool {
	if p.handler == nil || p.handler.LoadBalancing == nil {
		return false
	}
	outer, ok := p.handler.LoadBalancing.SelectionPolicy.(*DataAware)
	return ok && outer != p
}

// decide has c choose where the request goes, or says why it goes nowhere.
func (p *DataAware) decide(
	c *choice, st *requestState, pool reverseproxy.UpstreamPool, r *http.Request, w http.ResponseWriter,
) routing.Reason {
	switch {
	case !awaitReady(r.Context(), p.app):
		return routing.ReasonNoEndpoint
	case p.forbidsPath(r):
		return routing.ReasonBadPath
	case r.Method == http.MethodConnect && p.Connect != pass:
		return routing.ReasonBadMethod
	}
	return c.make(st, pool, r, w)
}

// forbidsPath says whether the path of a request could leave the prefix of an endpoint that
// it may be sent to. It is the same for all requests to a site, whichever endpoint they
// would go to: the same path is asked of every cluster.
func (p *DataAware) forbidsPath(r *http.Request) bool {
	return p.ownTransport() != nil && leavesPrefix(r.URL) &&
		slices.ContainsFunc(p.app.Router().Snapshot().Endpoints(), func(ep *routing.Endpoint) bool { return ep.BasePath != "" })
}

// refuse tells the client why its request goes nowhere, and counts it unless a later
// attempt may be luckier. It returns what Select is to return: nil where Caddy may try
// again, or has to answer itself.
func (p *DataAware) refuse(st *requestState, w http.ResponseWriter, reason routing.Reason) *reverseproxy.Upstream {
	st.reason = reason
	setRefusal(st, w, reason)
	if c := p.logger.Check(zapcore.DebugLevel, "no endpoint for request"); c != nil {
		c.Write(zap.String("reason", string(reason)), zap.Strings("buckets", st.buckets), zap.Int("attempt", st.attempts))
	}
	// After an attempt that failed the answer is Caddy's, which tells of that failure.
	last := isFinal(reason) || !p.retries() || len(st.tried) == 0 && p.isLast(st)
	if last && p.answers() {
		st.rejection.Store(nil)
		p.app.Invocations().CountRejection(reason)
		st.refusal, st.upstream = reason, refusedUpstream()
		return st.upstream
	}
	if !p.retries() {
		p.app.Invocations().CountRejection(reason)
		return nil
	}
	st.rejection.Store(&reason)
	if !st.watched {
		st.watched = true
		countAtEnd(st, p.app)
	}
	return nil
}

// announce counts the decision and puts it into the headers to function and client.
func (p *DataAware) announce(st *requestState, d *routing.Decision, w http.ResponseWriter) {
	if !st.counted {
		st.counted = true
		p.app.Invocations().CountDecision(st.endpoint.Cluster, d.Locality)
		p.app.Router().Ledger.Invoked(d, st.endpoint)
	}
	if st.watched {
		st.rejection.Store(nil)
	}
	st.locality = d.Locality
	setForwarded(st, d, p.forward)
	p.tellInputs(st, d)
	setResponse(st, d, w)
}

// Interface guards
var (
	_ caddy.Module          = (*DataAware)(nil)
	_ caddy.Provisioner     = (*DataAware)(nil)
	_ caddy.Validator       = (*DataAware)(nil)
	_ caddy.CleanerUpper    = (*DataAware)(nil)
	_ reverseproxy.Selector = (*DataAware)(nil)
)
