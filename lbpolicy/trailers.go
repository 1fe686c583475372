package lbpolicy

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// Trailers may carry whatever headers carry, and function frameworks merge them into the
// headers. So what only FaDO may say is removed from them, too: when they are announced,
// and when they have arrived, which is at the end of the body.

// cleanRequestTrailers keeps a client's trailers from saying what only FaDO may tell a
// function.
func cleanRequestTrailers(r *http.Request) {
	if r.Trailer == nil || r.Body == nil || r.Body == http.NoBody {
		return
	}
	stripForwarded(r.Trailer)
	if body, ok := r.Body.(*cleanTrailers); ok && body.of == r {
		return
	}
	r.Body = &cleanTrailers{ReadCloser: r.Body, of: r}
}

// cleanTrailers is the body of a request whose trailers are cleaned at its end.
type cleanTrailers struct {
	io.ReadCloser
	of    *http.Request
	ended atomic.Bool // all of it was read
}

// Read implements io.Reader.
func (c *cleanTrailers) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil {
		c.ended.Store(errors.Is(err, io.EOF))
		stripForwarded(c.of.Trailer)
	}
	return n, err
}

// endConnection has the client's connection closed after an answer, or a failure (res is
// nil), that came before all of the request was read. Caddy puts a reader of its own in the place of a request's body, and
// net/http then can't tell that the body was given up: it would read what is left of it as
// the client's next request, which may be another client's, behind a proxy that shares
// connections.
func (st *requestState) endConnection(req *http.Request, res *http.Response) {
	body, ok := req.Body.(*cleanTrailers)
	if !ok || body.ended.Load() || st == nil || st.client == nil || st.req.ProtoMajor != 1 {
		return
	}
	if res != nil && res.StatusCode == http.StatusSwitchingProtocols {
		return
	}
	st.client["Connection"] = []string{"close"}
}

// stripAnswered removes what only FaDO may tell a client.
func stripAnswered(h http.Header) {
	for _, name := range responseHeaders {
		delete(h, name)
	}
}
