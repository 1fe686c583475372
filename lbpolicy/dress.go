package lbpolicy

import (
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/internal/dress"
	"github.com/fado-project/fado/routing"
)

// isDressed reports whether an endpoint's declaration says how requests to it look.
func isDressed(ep *routing.Endpoint) bool {
	return ep.Host != "" || len(ep.Header) > 0 || ep.Sign != nil
}

// dress dresses a copy of a request that is about to be sent, since further attempts may go to
// other endpoints.
func (t *Transport) dress(req *http.Request, ep *routing.Endpoint) (*http.Request, error) {
	if ep.Sign != nil {
		t.signs.Store(true)
	} else {
		req = dress.AfterSigning(req)
	}
	if !isDressed(ep) {
		return req, nil
	}
	out := req.WithContext(req.Context())
	out.Header, out.URL = req.Header.Clone(), cloneURL(req.URL)
	repl, ok := req.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		repl = caddy.NewReplacer()
	}
	return out, dress.Request(out, &ep.Function, repl)
}

func cloneURL(u *url.URL) *url.URL {
	c := *u
	return &c
}

// tooLarge answers a request whose body can't be signed.
func tooLarge(req *http.Request) *http.Response {
	return answer(req, http.StatusRequestEntityTooLarge, dress.ErrTooLarge.Error())
}
