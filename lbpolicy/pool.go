package lbpolicy

import (
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/routing"
)

// upstreams tells, for one choice, which of Caddy's upstreams an endpoint is, and
// whether it may be used.
type upstreams struct {
	// From FaDO's own source: all endpoints, by address.
	own *upstreamTable
	// From anywhere else: what Caddy offers for this request, and its index if that
	// is the static list.
	pool  reverseproxy.UpstreamPool
	index map[string]*reverseproxy.Upstream

	checked bool      // Caddy may know that upstreams are not available
	reach   transport // what the proxy's transport can reach
}

// upstreamsFor says what there is to choose from. own is set when the upstreams come
// from FaDO's source, by way of p alone.
func (p *DataAware) upstreamsFor(eps []*routing.Endpoint, pool reverseproxy.UpstreamPool) upstreams {
	u := upstreams{reach: transportOf(p.handler)}
	if src := p.ownSource(); src != nil {
		u.own = src.learn(eps, pool)
		u.checked = p.handler.CB != nil || (p.handler.HealthChecks != nil && p.handler.HealthChecks.Passive != nil)
		return u
	}
	u.pool, u.checked = pool, true
	if p.handler != nil && p.handler.DynamicUpstreams == nil {
		u.index = p.staticIndex()
	}
	return u
}

// limited says whether some endpoints may not be usable.
func (u *upstreams) limited() bool { return u.checked || u.reach != anyTransport }

// usable says whether an endpoint can be used by this proxy now.
func (u *upstreams) usable(ep *routing.Endpoint) bool {
	if !u.reach.reaches(ep) {
		return false
	}
	up := u.find(ep.Dial)
	if up == nil {
		return u.own != nil // new, so nothing speaks against it
	}
	return !u.checked || up.Available()
}

// of returns the upstream of a usable endpoint.
func (u *upstreams) of(ep *routing.Endpoint) *reverseproxy.Upstream {
	if up := u.find(ep.Dial); up != nil {
		return up
	}
	// An endpoint that came in between the source's turn and ours: Caddy has not set
	// its upstream up yet. It counts on its own, which does no harm once.
	return &reverseproxy.Upstream{Host: new(reverseproxy.Host), Dial: ep.Dial}
}

func (u *upstreams) find(address string) *reverseproxy.Upstream {
	if u.own != nil {
		return u.own.byDial[address]
	}
	if u.index != nil {
		return u.index[strings.ToLower(address)]
	}
	for _, up := range u.pool {
		if strings.EqualFold(addressOf(up), address) {
			return up
		}
	}
	return nil
}

// staticIndex returns the proxy's static upstreams by address.
func (p *DataAware) staticIndex() map[string]*reverseproxy.Upstream {
	p.static.once.Do(func() {
		p.static.index = make(map[string]*reverseproxy.Upstream, len(p.handler.Upstreams))
		for _, up := range p.handler.Upstreams {
			p.static.index[strings.ToLower(addressOf(up))] = up
		}
	})
	return p.static.index
}

// addressOf returns the host:port an upstream dials, in the form endpoints have it.
func addressOf(up *reverseproxy.Upstream) string { return strings.TrimPrefix(up.Dial, "tcp/") }
