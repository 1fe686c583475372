package lbpolicy

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/routing"
)

// A policy that returns no upstream makes Caddy try again until lb_try_duration is over,
// and answer 503 without a body. Where the proxy's transport is FaDO's, a refusal that is
// the last word, of the last attempt too, is answered by it instead: the policy returns an upstream that stands for
// the refusal, and the transport answers without dialling. Caddy's transport http is given a
// front that does the same.

// refusing is Caddy's transport http behind a front that answers refusals.
type refusing struct {
	*reverseproxy.HTTPTransport
	handler *reverseproxy.Handler
}

// RoundTrip implements [http.RoundTripper].
func (t *refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	st, _ := caddyhttp.GetVar(req.Context(), stateVar).(*requestState)
	if reason := refusedBy(st, t.handler, req); reason != routing.ReasonNone {
		closeBody(req)
		return refusal(req, reason, st.carries), nil
	}
	return t.HTTPTransport.RoundTrip(req)
}

// putRefusing has a proxy's transport http answer refusals. A proxy without a transport is given
// Caddy's default, as Caddy does after its policy is set up.
func putRefusing(ctx caddy.Context, h *reverseproxy.Handler) error {
	if h == nil {
		return nil
	}
	if h.Transport == nil {
		t := new(reverseproxy.HTTPTransport)
		if err := t.Provision(ctx); err != nil {
			return fmt.Errorf("setting up the default transport: %w", err)
		}
		h.Transport = t
	}
	if t, ok := h.Transport.(*reverseproxy.HTTPTransport); ok {
		h.Transport = &refusing{t, h}
	}
	return nil
}

// answers says whether the proxy's transport answers a refusal that is the last word.
func (p *DataAware) answers() bool {
	if p.ownTransport() != nil {
		return true
	}
	if p.handler == nil {
		return false
	}
	_, ok := p.handler.Transport.(*refusing)
	return ok
}

// refusals says, for each reason, what the client is told in the body.
var refusals = map[routing.Reason]string{
	routing.ReasonUnknownBucket: "A bucket that the request names is not known here.",
	routing.ReasonNoFreshCopy:   "No cluster that holds the current version of the data has a free function endpoint.",
	routing.ReasonNoEndpoint:    "No function endpoint that may serve the request is healthy and free.",
	routing.ReasonZoneForbidden: "No cluster with function endpoints is in the zones that the policy of the data allows.",
	routing.ReasonNoBucket:      "The request names no bucket.",
	routing.ReasonBadInput: "What the request names in X-FaDO-Bucket, X-FaDO-Object, X-FaDO-Data or X-FaDO-Token can't be read, or is more than " +
		strconv.Itoa(maxInputs) + " inputs: expected names of buckets, percent-encoded keys, s3://bucket/key, tokens of the S3 endpoint.",
	routing.ReasonBadPath:   `The path has a segment "." or "..", or one that could be read so: functions below a path prefix are not asked for it.`,
	routing.ReasonBadMethod: "CONNECT is not passed on to functions.",
}

// isFinal says whether no retry can help.
func isFinal(reason routing.Reason) bool {
	return reason != routing.ReasonNoEndpoint && reason != routing.ReasonNoFreshCopy
}

// statusOf returns what a refusal is answered with. carried: the request has FaDO's headers,
// so that to name no bucket is the client's mistake.
func statusOf(reason routing.Reason, carried bool) int {
	switch {
	case reason == routing.ReasonBadInput, reason == routing.ReasonBadPath, reason == routing.ReasonNoBucket && carried:
		return http.StatusBadRequest
	case reason == routing.ReasonBadMethod:
		return http.StatusNotImplemented // RFC 9110, 9.1: a method that is implemented for nothing here
	default:
		return http.StatusServiceUnavailable
	}
}

// refusedUpstream stands for a refusal. Nothing dials it.
func refusedUpstream() *reverseproxy.Upstream {
	return &reverseproxy.Upstream{Host: new(reverseproxy.Host), Dial: "refused.invalid:1"}
}

// refusal answers a request without an upstream.
func refusal(req *http.Request, reason routing.Reason, carried bool) *http.Response {
	return answer(req, statusOf(reason, carried), refusals[reason])
}

// answer answers a request with a sentence.
func answer(req *http.Request, status int, text string) *http.Response {
	body := text + "\n"
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type":           {"text/plain; charset=utf-8"},
			"Content-Length":         {strconv.Itoa(len(body))},
			"X-Content-Type-Options": {"nosniff"},
		},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}
}

// refusedBy returns the reason with which the policy of the same handler refused the
// request that is about to be sent; "" if it did not.
func refusedBy(st *requestState, h *reverseproxy.Handler, req *http.Request) routing.Reason {
	if st == nil || st.handler != h || st.refusal == routing.ReasonNone {
		return routing.ReasonNone
	}
	if di, ok := reverseproxy.GetDialInfo(req.Context()); !ok || di.Upstream != st.upstream {
		return routing.ReasonNone
	}
	return st.refusal
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
