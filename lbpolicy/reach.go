package lbpolicy

import (
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/routing"
)

// transport is what a proxy's transport can reach.
type transport uint8

const (
	anyTransport   transport = iota // FaDO's: every endpoint
	plainTransport                  // http endpoints without a path prefix
	tlsTransport                    // https endpoints without a path prefix
)

func transportOf(h *reverseproxy.Handler) transport {
	if h == nil {
		return plainTransport
	}
	switch t := h.Transport.(type) {
	case *Transport:
		return anyTransport
	case reverseproxy.TLSTransport:
		if t.TLSEnabled() {
			return tlsTransport
		}
	}
	return plainTransport
}

func (t transport) reaches(ep *routing.Endpoint) bool {
	return t == anyTransport ||
		(ep.BasePath == "" && (ep.Parsed.Scheme == "https") == (t == tlsTransport))
}
