package lbpolicy

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/routing"
)

// stateVar is the request variable that holds the request's *requestState.
const stateVar = "fado.request"

// requestState is what a request carries from one attempt to the next, and from the
// policy to the transport. All of it belongs to the goroutine that serves the request,
// but for the atomics.
type requestState struct {
	// handler and req say whose state this is: a request may pass through several
	// proxies, each of which works on a clone of its own through all its attempts.
	handler *reverseproxy.Handler
	req     *http.Request

	// header is the map that Caddy starts every attempt's headers from.
	header http.Header

	// client is the header that the client is answered with.
	client http.Header

	attempts int
	began    time.Time         // the first attempt; zero where there is no lb_try_duration
	endpoint *routing.Endpoint // chosen for this attempt; nil when refused
	locality routing.Locality  // of the data, at endpoint
	from     string            // the cluster that the first input is read in; "" for none
	reason   routing.Reason    // why there is no endpoint
	refusal  routing.Reason    // what the transport is to answer instead of asking an endpoint
	upstream *reverseproxy.Upstream
	tried    []*routing.Endpoint
	triedBuf [4]*routing.Endpoint

	buckets   []string // the distinct buckets named
	bucketBuf [2]string
	object    string // the first object, or prefix, named
	carries   bool   // the request has headers that name data

	// Values of the headers to the function and to the client, of the first attempt.
	forwarded [4]string
	answered  [2]string

	counted bool // the decision was counted
	pulled  bool // waited for objects to be copied
	refused bool // the response headers of a refusal are set
	guarded bool // the end of the request ends its flight

	first     flight // saves an allocation: flight of the first attempt
	flight    atomic.Pointer[flight]
	rejection atomic.Pointer[routing.Reason] // to be counted when the request ends so
	watched   bool                           // the end of the request counts rejection
}

// stateFor returns the state of a request in a handler's proxy loop, a new one in its
// first attempt.
func stateFor(h *reverseproxy.Handler, r *http.Request) *requestState {
	st, ok := caddyhttp.GetVar(r.Context(), stateVar).(*requestState)
	if ok && st.handler == h && st.req == r {
		return st
	}
	st = &requestState{handler: h, req: r, header: r.Header}
	st.tried, st.buckets = st.triedBuf[:0], st.bucketBuf[:0]
	if h != nil && h.LoadBalancing != nil && h.LoadBalancing.TryDuration > 0 {
		st.began = time.Now()
	}
	caddyhttp.SetVar(r.Context(), stateVar, st)
	st.tell(r.Context(), !ok)
	return st
}

// stateOf returns the state the policy of the same handler left for the transport;
// nil if it did not choose the upstream that is about to be used.
func stateOf(h *reverseproxy.Handler, r *http.Request) *requestState {
	st, ok := caddyhttp.GetVar(r.Context(), stateVar).(*requestState)
	if !ok || st.handler != h || st.endpoint == nil {
		return nil
	}
	if di, ok := reverseproxy.GetDialInfo(r.Context()); !ok || di.Upstream != st.upstream {
		return nil
	}
	return st
}

// nextAttempt gets the state ready for another choice.
func (st *requestState) nextAttempt() {
	st.endFlight()
	if st.endpoint != nil {
		st.tried = append(st.tried, st.endpoint)
	}
	st.endpoint, st.upstream, st.from = nil, nil, ""
	st.reason, st.refusal = routing.ReasonNone, routing.ReasonNone
	st.attempts++
}

// setInputs notes the distinct buckets a request names and its first object, in its first
// attempt.
func (st *requestState) setInputs(inputs []routing.Input) {
next:
	for i := range inputs {
		if st.object == "" {
			st.object = inputs[i].Key
		}
		for _, b := range st.buckets {
			if b == inputs[i].Bucket {
				continue next
			}
		}
		st.buckets = append(st.buckets, inputs[i].Bucket)
	}
}

// begin counts the request in at an endpoint. It says no when the endpoint has
// max_requests already.
func (st *requestState) begin(ep *routing.Endpoint, router *routing.Router, d *routing.Decision) bool {
	f := &st.first
	if f.endpoint != nil { // a body of an earlier attempt may still refer to it
		f = new(flight)
	}
	if !f.begin(ep, router, d) {
		return false
	}
	st.flight.Store(f)
	return true
}

// endFlight counts the request out, if it is still counted in.
func (st *requestState) endFlight() {
	if f := st.flight.Swap(nil); f != nil {
		f.end()
	}
}

// guard ends the flight with the request, where no transport of ours does.
func (st *requestState) guard(ctx context.Context) {
	if !st.guarded {
		st.guarded = true
		context.AfterFunc(ctx, st.endFlight)
	} else if ctx.Err() != nil { // the end came before this attempt's flight
		st.endFlight()
	}
}

// headersForAttempt returns the header map to write this attempt's headers into.
//
// Caddy sends r.Header. If there are header operations to apply, it rebuilds that
// from st.header after the choice, in every attempt; if there are none, it sends the
// same map each time, and a transport that gave up on an earlier attempt may still be
// reading it: then a retry gets a map of its own.
func (st *requestState) headersForAttempt() http.Header {
	if st.attempts > 1 && sameMap(st.req.Header, st.header) {
		st.header = st.header.Clone()
		st.req.Header = st.header
	}
	return st.header
}

func sameMap(a, b http.Header) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// flight is one attempt being served: counted in at its endpoint, and for each of its
// buckets where it runs and reads. It stands in for the body of the response, whose
// Close counts it out.
type flight struct {
	endpoint *routing.Endpoint
	held     routing.Flight
	ended    atomic.Bool
	body     io.ReadCloser
	response *http.Response // whose body it is
}

func (f *flight) begin(ep *routing.Endpoint, router *routing.Router, d *routing.Decision) bool {
	if n := ep.Live.InFlight.Add(1); ep.MaxRequests > 0 && n > int64(ep.MaxRequests) {
		ep.Live.InFlight.Add(-1)
		return false
	}
	f.endpoint, f.held = ep, router.Hold(d, ep)
	return true
}

// count begins a flight of which only the endpoint is known, which another policy has
// chosen: there is no going back.
func (f *flight) count(ep *routing.Endpoint) {
	ep.Live.InFlight.Add(1)
	f.endpoint = ep
}

// end counts out; only its first call does.
func (f *flight) end() {
	if !f.ended.CompareAndSwap(false, true) {
		return
	}
	f.endpoint.Live.InFlight.Add(-1)
	f.held.End()
}

// wrap makes the body of a response one whose Close ends the flight. The connection of a
// protocol upgrade stays writable.
func (f *flight) wrap(res *http.Response) {
	f.body, f.response = res.Body, res
	if conn, ok := res.Body.(io.ReadWriteCloser); ok {
		res.Body = upgraded{flight: f, Writer: conn}
		return
	}
	res.Body = f
}

// Read implements io.Reader. At the end of the body the trailers are there.
func (f *flight) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	if err != nil && f.response != nil {
		stripAnswered(f.response.Trailer)
	}
	return n, err
}

// Close implements io.Closer.
func (f *flight) Close() error {
	err := f.body.Close()
	f.end()
	return err
}

// upgraded is the body of a 101 response: the connection itself.
type upgraded struct {
	*flight
	io.Writer
}

// Interface guards
var (
	_ io.ReadCloser      = (*flight)(nil)
	_ io.ReadWriteCloser = upgraded{}
)
