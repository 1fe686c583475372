package lbpolicy

import (
	"io"
	"net/http"
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
	of *http.Request
}

// Read implements io.Reader.
func (c *cleanTrailers) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil {
		stripForwarded(c.of.Trailer)
	}
	return n, err
}

// stripAnswered removes what only FaDO may tell a client.
func stripAnswered(h http.Header) {
	for _, name := range responseHeaders {
		delete(h, name)
	}
}
