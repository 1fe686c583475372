package lbpolicy

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
)

// DataAware is a selection policy that sends a request to a function endpoint in a
// cluster that holds the data the request works on.
//
// The data is named by the bucket and object values below and by the request header
// X-FaDO-Data, which may be repeated: `s3://bucket/key`, `s3://bucket/prefix/` for
// every key below a prefix, or `s3://bucket/`; or by several of these, joined by commas. A
// value of X-FaDO-Data that is none of these, and a request that names more than 1000
// inputs, are refused as bad input. Objects without a bucket name nothing.
//
// It is best used with the upstream source and the transport named `fado`, but works
// with any upstreams: one belongs to the cluster whose function URL has its address
// (host and port, as written). With a transport other than `fado`, a function endpoint
// of another scheme than the transport's or with a path prefix is not used.
//
// A request that names objects of a policy with `on_miss pull`, which no cluster with a free
// endpoint holds, waits in its first attempt for them to be copied to one, at most for the
// policy's `pull_timeout` and as long as its client does.
//
// With `lb_try_duration` or `lb_retries` Caddy asks again after a refusal that may be
// overcome, as it does when no upstream is available; with another transport than `fado` and
// `http` after every refusal. The last answer counts.
type DataAware struct {
	// Where the bucket a request works on is named: a placeholder. Several buckets
	// may be separated by commas; a header may also be repeated.
	// Default: `{http.request.header.X-FaDO-Bucket}`
	Bucket string `json:"bucket,omitempty"`

	// Where the object in that bucket (the first, if there are several) is named: a
	// placeholder. A header may be repeated and is percent-decoded; one that is not valid
	// percent-encoding is judged as it is and by what can be decoded of it. The value of
	// any other placeholder is the key as it is.
	// Default: `{http.request.header.X-FaDO-Object}`
	Object string `json:"object,omitempty"`

	// The selection policy that balances among the endpoints which are equally good
	// by their data, unless the bucket's policy in FaDO names one. It is given an
	// endpoint of weight n as n upstreams. The default is Caddy's least_conn with
	// weights: fewest requests in flight per weight; when equal, at random by weight.
	// Default: `{"policy": "least_conn"}`
	BalanceRaw json.RawMessage `json:"balance,omitempty" caddy:"namespace=http.reverse_proxy.selection_policies inline_key=policy"`

	// What to do with a request that names a bucket FaDO does not know: `reject` it,
	// or send it to `any` endpoint. Default: `reject`
	UnknownBucket string `json:"unknown_bucket,omitempty"`

	// What to do with a request that names no bucket: send it to `any` endpoint, or
	// `reject` it. One that has any of FaDO's headers all the same is always rejected.
	// Default: `any`
	NoBucket string `json:"no_bucket,omitempty"`

	// What to do with the method CONNECT, which asks for a tunnel through the endpoint:
	// `reject` it, or `pass` it on. WebSockets over HTTP/2 and HTTP/3 begin with another
	// CONNECT, which Caddy translates, and always pass. Default: `reject`
	Connect string `json:"connect,omitempty"`

	// With more than so many requests in flight at each free endpoint where the data
	// is, the next best cluster that is allowed takes the request. Default: 0, which is off.
	Spill int `json:"spill,omitempty"`

	// How long a URL holds by which the function reads an object without a key: the parameter
	// url in the header X-FaDO-Inputs. From 1s to 7d. Default: 0, which is off.
	Presign caddy.Duration `json:"presign,omitempty"`

	// Whether the function is told, in request headers, its cluster, the locality of
	// the data and where to read it. Headers of these names that the client sent are
	// removed in any case. Default: true
	ForwardHeaders *bool `json:"forward_headers,omitempty"`

	app       App
	puller    Puller                // nil: objects are not copied on demand
	presigner Presigner             // nil: functions are given no URLs
	handler   *reverseproxy.Handler // the proxy this is the policy of; nil without one
	names     inputNames
	forward   bool
	balancers *balancers
	choices   sync.Pool // of *choice
	static    struct {  // the proxy's static upstreams, by address
		once  sync.Once
		index map[string]*reverseproxy.Upstream
	}
	logger *zap.Logger
}

// maxPresign is how long a URL can hold by Signature Version 4.
const maxPresign = 7 * 24 * time.Hour

// The values of unknown_bucket, no_bucket and connect.
const (
	anyEndpoint = "any"
	reject      = "reject"
	pass        = "pass"
)

// CaddyModule returns the Caddy module information.
func (*DataAware) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.selection_policies.data_aware",
		New: func() caddy.Module { return new(DataAware) },
	}
}

// Provision sets up p.
func (p *DataAware) Provision(ctx caddy.Context) error {
	var err error
	if p.app, err = appOf(ctx); err != nil {
		return err
	}
	p.puller, _ = p.app.(Puller)
	if p.Presign != 0 {
		var ok bool
		if p.presigner, ok = p.app.(Presigner); !ok {
			return fmt.Errorf("presign: the fado app (%T) can't make URLs", p.app)
		}
	}
	p.logger = ctx.Logger()
	p.handler = handlerOf(ctx)
	p.names.bucket, p.names.object = newSource(p.Bucket), newSource(p.Object)
	if p.Bucket == "" {
		p.names.bucket = source{header: headerBucket}
	}
	if p.Object == "" {
		p.names.object = source{header: headerObject}
	}
	p.forward = p.ForwardHeaders == nil || *p.ForwardHeaders
	p.balancers, err = newBalancers(ctx, p)
	if err != nil {
		return err
	}
	p.choices.New = func() any { return newChoice(p) }
	p.hideUpstreamHeaders()
	return putRefusing(ctx, p.handler)
}

// newBalancers loads the policy configured at p.
func newBalancers(ctx caddy.Context, p *DataAware) (*balancers, error) {
	b := &balancers{logger: p.logger}
	b.byText.Store(&map[string]*balancer{})
	if p.BalanceRaw != nil {
		name, err := policyName(p.BalanceRaw)
		if err != nil {
			return nil, fmt.Errorf("balance: %w", err)
		}
		raw := slices.Clone(p.BalanceRaw) // loading clears it
		mod, err := ctx.LoadModule(p, "BalanceRaw")
		if err != nil {
			return nil, fmt.Errorf("loading balance: %w", err)
		}
		if name != leastConn {
			b.fallback = newBalancer(mod.(reverseproxy.Selector), catalog.RawObject(raw))
		}
	}
	// What is loaded while requests are served needs a context of its own: the
	// config's may be unloaded at any time, and is not made for concurrent use.
	b.ctx, b.cancel = caddy.NewContext(ctx)
	return b, nil
}

// Validate ensures that p's configuration is valid.
func (p *DataAware) Validate() error {
	for _, f := range []struct{ name, value, open string }{
		{"unknown_bucket", p.UnknownBucket, anyEndpoint}, {"no_bucket", p.NoBucket, anyEndpoint}, {"connect", p.Connect, pass},
	} {
		if f.value != "" && f.value != f.open && f.value != reject {
			return fmt.Errorf("%s: %q: expected %q or %q", f.name, f.value, f.open, reject)
		}
	}
	if p.Spill < 0 {
		return fmt.Errorf("spill: %d: expected 0 (off) or a positive number of requests", p.Spill)
	}
	if d := time.Duration(p.Presign); d != 0 && (d < time.Second || d > maxPresign) {
		return fmt.Errorf("presign: %s: expected a duration from 1s to 7d", d)
	}
	return needUpstreams(p.handler, "data_aware has no upstreams to choose from")
}

// Cleanup unloads the policies that balance.
func (p *DataAware) Cleanup() error {
	if p.balancers != nil {
		p.balancers.close()
	}
	return nil
}

// hideUpstreamHeaders makes the proxy drop what a function answers in the headers
// that FaDO answers in. The fado transport does so itself.
func (p *DataAware) hideUpstreamHeaders() {
	if p.handler == nil || p.ownTransport() != nil {
		return
	}
	if p.handler.Headers == nil {
		p.handler.Headers = new(headers.Handler)
	}
	h := p.handler.Headers
	if h.Response == nil {
		h.Response = new(headers.RespHeaderOps)
	}
	if h.Response.HeaderOps == nil {
		h.Response.HeaderOps = new(headers.HeaderOps)
	}
	h.Response.Delete = append(h.Response.Delete, responseHeaders[:]...)
}

// ownTransport returns the proxy's transport if it is FaDO's.
func (p *DataAware) ownTransport() *Transport {
	if p.handler == nil {
		return nil
	}
	t, _ := p.handler.Transport.(*Transport)
	return t
}

// ownSource returns the proxy's source of upstreams if it is FaDO's and leaves the
// choice to p.
func (p *DataAware) ownSource() *Upstreams {
	if p.handler == nil || p.handler.LoadBalancing == nil || p.handler.LoadBalancing.SelectionPolicy != reverseproxy.Selector(p) {
		return nil
	}
	u, _ := p.handler.DynamicUpstreams.(*Upstreams)
	return u
}

// endsFlights says whether every request chosen here ends at the transport, which
// counts it out. Other transports don't, and a proxy that buffers requests may refuse
// one between the choice and the transport.
func (p *DataAware) endsFlights() bool {
	return p.ownTransport() != nil && p.handler.RequestBuffers == 0
}

// retries says whether the proxy may choose again after a refusal.
func (p *DataAware) retries() bool {
	if p.handler == nil || p.handler.LoadBalancing == nil {
		return false
	}
	return p.handler.LoadBalancing.TryDuration > 0 || p.handler.LoadBalancing.Retries > 0
}

// lastMoment is how long before the end of lb_try_duration an attempt counts as the last one:
// Caddy's time runs from a moment before FaDO's, and it looks at it a moment later.
const lastMoment = 5 * time.Millisecond

// isLast says whether Caddy makes no attempt after this one.
func (p *DataAware) isLast(st *requestState) bool {
	if !p.retries() {
		return true
	}
	lb := p.handler.LoadBalancing
	return lb.Retries > 0 && st.attempts > lb.Retries ||
		lb.TryDuration > 0 && time.Since(st.began) >= time.Duration(lb.TryDuration)-lastMoment
}
