package lbpolicy

import (
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// sending follows one request to an https endpoint, to tell what certainly was not sent,
// and may be sent elsewhere, from what may have been. The type of an error does not tell:
// crypto/tls returns the same ones during the handshake and long after it.
type sending struct {
	failed    atomic.Bool // a handshake made for the request failed
	connected atomic.Bool // the request got a connection
}

// watch returns the request as one that s follows.
func (s *sending) watch(req *http.Request) *http.Request {
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				s.failed.Store(true)
			}
		},
		GotConn: func(httptrace.GotConnInfo) { s.connected.Store(true) },
	}))
}

// neverBegan says whether the request failed since there was no TLS on its connection, and
// was not sent on any other.
func (s *sending) neverBegan() bool { return s.failed.Load() && !s.connected.Load() }
