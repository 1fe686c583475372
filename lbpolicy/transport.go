package lbpolicy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/internal/dress"
	"github.com/fado-project/fado/routing"
)

// Transport reaches each function endpoint the way its URL says: by http or https,
// with its certificate authority, below its path prefix. One proxy can so have endpoints
// of all kinds.
//
// It takes the options of the `http` transport, but for HTTP/3. They apply to all
// endpoints; TLS options to https endpoints, whose own `ca_file` and
// `insecure_skip_verify` come first. An upstream that is no function endpoint of FaDO's
// is reached as by the `http` transport.
//
// An https endpoint is asked with its own host in the Host header, as function URLs in
// public clouds need it, unless the proxy's header operations set Host. An http endpoint
// gets the client's, as with the `http` transport.
type Transport struct {
	reverseproxy.HTTPTransport

	app      App
	handler  *reverseproxy.Handler
	keepHost bool // the user's header operations have the say on Host
	secure   secureTransports
	index    atomic.Pointer[endpointIndex]
	signs    atomic.Bool // a body may have been read to be signed
}

// CaddyModule returns the Caddy module information.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.fado",
		New: func() caddy.Module { return new(Transport) },
	}
}

// Provision sets up t.
func (t *Transport) Provision(ctx caddy.Context) error {
	if slices.Contains(t.Versions, "3") {
		return errors.New("versions: HTTP version 3 can't be used with the fado transport; expected 1.1, 2 or h2c")
	}
	var err error
	if t.app, err = appOf(ctx); err != nil {
		return err
	}
	t.handler = handlerOf(ctx)
	if err = needUpstreams(t.handler, "the transport fado has no upstreams to reach"); err != nil {
		return err
	}
	t.keepHost = setsHost(t.handler)
	t.secure.init(ctx, t.HTTPTransport) // before Provision consumes the options
	return t.HTTPTransport.Provision(ctx)
}

// Cleanup closes idle connections. Those in use are closed when their request ends.
func (t *Transport) Cleanup() error {
	t.secure.close()
	return t.HTTPTransport.Cleanup()
}

// RequestHeaderOps returns nothing: which Host an endpoint is asked with depends on
// the endpoint, not on the transport.
func (t *Transport) RequestHeaderOps() *headers.HeaderOps { return nil }

// RoundTrip sends the request to its endpoint.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	st, _ := caddyhttp.GetVar(req.Context(), stateVar).(*requestState)
	if reason := refusedBy(st, t.handler, req); reason != routing.ReasonNone {
		closeBody(req)
		return refusal(req, reason, st.carries), nil
	}
	cleanRequestTrailers(req)
	ep, f := t.endpointOf(req)
	if ep == nil {
		stripForwarded(req.Header)
		return t.HTTPTransport.RoundTrip(req)
	}
	if ep.BasePath != "" && leavesPrefix(req.URL) {
		f.end()
		closeBody(req)
		return refusal(req, routing.ReasonBadPath, false), nil
	}
	rt, err := t.roundTripper(req.Context(), ep)
	if err != nil {
		f.end()
		closeBody(req)
		t.failed(ep, err)
		// Nothing was sent, so another endpoint may be tried.
		return nil, reverseproxy.NewDialError(fmt.Errorf("endpoint %s: %w", ep.URL, err))
	}
	out := t.direct(req, ep)
	if isDressed(ep) || t.signs.Load() {
		if out, err = t.dress(out, ep); err != nil {
			f.end()
			closeBody(req)
			if errors.Is(err, dress.ErrTooLarge) {
				return tooLarge(req), nil
			}
			return nil, fmt.Errorf("endpoint %s: %w", ep.URL, err)
		}
	}
	var seen sending
	if ep.Parsed.Scheme == "https" {
		out = seen.watch(out)
	}
	began, chosen := time.Now(), stateOf(t.handler, req)
	res, err := rt.RoundTrip(out)
	t.countServed(req, ep, chosen, time.Since(began), res, err)
	chosen.endConnection(req, res)
	if err != nil {
		f.end()
		if seen.neverBegan() {
			t.secure.refused(req.Context(), ep)
			err = reverseproxy.NewDialError(err) // which it is not to Caddy, as it dialled
		}
		if endpointsFault(req, err) {
			t.failed(ep, err)
		}
		return nil, err
	}
	stripAnswered(res.Header)
	stripAnswered(res.Trailer)
	f.wrap(res)
	return res, nil
}

// countServed counts an attempt at its endpoint, and where it reads if that is elsewhere. One
// whose client left says nothing.
func (t *Transport) countServed(req *http.Request, ep *routing.Endpoint, chosen *requestState, took time.Duration, res *http.Response, err error) {
	if err != nil && req.Context().Err() != nil {
		return
	}
	locality := routing.LocalityNone
	if chosen != nil {
		locality = chosen.locality
		if locality == routing.LocalityRemote && chosen.from != "" {
			t.app.Invocations().CountRead(chosen.from, ep.Cluster)
		}
	}
	ep.Live.Served.Count(locality, took, err != nil || res.StatusCode >= http.StatusInternalServerError)
}

// endpointOf returns the endpoint a request goes to, and its flight. Without
// data_aware it is found by its address, and counted from here on.
func (t *Transport) endpointOf(req *http.Request) (*routing.Endpoint, *flight) {
	if st := stateOf(t.handler, req); st != nil {
		f := st.flight.Load()
		if f == nil { // the client left in the meantime; the request fails at once
			f = &flight{endpoint: st.endpoint}
			f.ended.Store(true)
		}
		return st.endpoint, f
	}
	di, ok := reverseproxy.GetDialInfo(req.Context())
	if !ok {
		return nil, nil
	}
	ep := t.lookUp(di.Address)
	if ep == nil {
		return nil, nil
	}
	stripForwarded(req.Header)
	f := new(flight)
	f.count(ep)
	return ep, f
}

// endpointIndex finds endpoints by address.
type endpointIndex struct {
	eps    []*routing.Endpoint
	byDial map[string]*routing.Endpoint
}

func (t *Transport) lookUp(address string) *routing.Endpoint {
	router := t.app.Router()
	if router == nil {
		return nil
	}
	eps := router.Snapshot().Endpoints()
	idx := t.index.Load()
	if idx == nil || !sameSlice(idx.eps, eps) {
		idx = &endpointIndex{eps: eps, byDial: make(map[string]*routing.Endpoint, len(eps))}
		for _, ep := range slices.Backward(eps) { // the first of an address wins
			idx.byDial[strings.ToLower(ep.Dial)] = ep
		}
		t.index.Store(idx)
	}
	return idx.byDial[strings.ToLower(address)]
}

// direct points a request at its endpoint: scheme, path prefix and Host. The address
// is there already.
func (t *Transport) direct(req *http.Request, ep *routing.Endpoint) *http.Request {
	secure := ep.Parsed.Scheme == "https"
	if !secure && ep.BasePath == "" {
		req.URL.Scheme = "http" // all that Caddy's own transport does, too
		return req
	}
	// The URL is shared by all attempts of the request, which may go to endpoints
	// with other prefixes.
	out := new(http.Request)
	*out = *req
	out.URL = new(url.URL)
	*out.URL = *req.URL
	out.URL.Scheme = ep.Parsed.Scheme
	if ep.BasePath != "" {
		prefixPath(out.URL, ep.Parsed)
	}
	if secure && !t.keepHost {
		out.Host = ep.Parsed.Host
	}
	return out
}

// prefixPath puts the path of base before u's, both decoded and as written.
func prefixPath(u, base *url.URL) {
	if u.Path == "*" { // OPTIONS * asks about the server
		return
	}
	decoded := strings.TrimRight(base.Path, "/") + rooted(u.Path)
	written := strings.TrimRight(base.EscapedPath(), "/") + rooted(u.EscapedPath())
	u.Path, u.RawPath = decoded, written
}

func rooted(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

// roundTripper returns what dials an endpoint.
func (t *Transport) roundTripper(ctx context.Context, ep *routing.Endpoint) (http.RoundTripper, error) {
	if ep.Parsed.Scheme != "https" {
		return t.Transport, nil
	}
	return t.secure.of(ctx, ep)
}

// failed tells the app that an endpoint could not be dialled.
func (t *Transport) failed(ep *routing.Endpoint, err error) {
	if r, ok := t.app.(FailureReporter); ok {
		r.EndpointFailed(ep, err)
		return
	}
	ep.Live.SetHealthy(false, err.Error())
}

// proxyVar is the request variable in which Caddy notes the forward proxy used.
const proxyVar = "reverse_proxy.proxy"

// endpointsFault says whether an error means that the endpoint can't be dialled, and
// not that the client left, a forward proxy failed or this machine is short of something.
func endpointsFault(req *http.Request, err error) bool {
	var dial reverseproxy.DialError
	if !errors.As(err, &dial) || req.Context().Err() != nil || caddyhttp.GetVar(req.Context(), proxyVar) != nil {
		return false
	}
	for _, own := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		// A DialError does not unwrap.
		if strings.Contains(err.Error(), own.Error()) {
			return false
		}
	}
	return true
}

// setsHost says whether the proxy's header operations deal with Host.
func setsHost(h *reverseproxy.Handler) bool {
	if h == nil || h.Headers == nil || h.Headers.Request == nil {
		return false
	}
	ops := h.Headers.Request
	isHost := func(name string) bool { return strings.EqualFold(name, "Host") }
	return slices.ContainsFunc(slices.Collect(maps.Keys(ops.Set)), isHost) ||
		slices.ContainsFunc(slices.Collect(maps.Keys(ops.Add)), isHost) ||
		slices.ContainsFunc(slices.Collect(maps.Keys(ops.Replace)), isHost)
}

// Interface guards
var (
	_ caddy.Module                           = (*Transport)(nil)
	_ caddy.Provisioner                      = (*Transport)(nil)
	_ caddy.CleanerUpper                     = (*Transport)(nil)
	_ http.RoundTripper                      = (*Transport)(nil)
	_ reverseproxy.TLSTransport              = (*Transport)(nil)
	_ reverseproxy.H2CTransport              = (*Transport)(nil)
	_ reverseproxy.ProxyProtocolTransport    = (*Transport)(nil)
	_ reverseproxy.RequestHeaderOpsTransport = (*Transport)(nil)
)
