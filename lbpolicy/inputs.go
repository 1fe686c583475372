package lbpolicy

import (
	"net/http"
	"strings"

	"github.com/fado-project/fado/routing"
)

// The request headers that name data, in canonical form.
const (
	headerBucket = "X-Fado-Bucket"
	headerObject = "X-Fado-Object"
	headerData   = "X-Fado-Data"
	headerBytes  = "X-Fado-Bytes"
	headerToken  = "X-Fado-Token" //nolint:gosec // the name of a header
)

// maxTokens bounds the tokens of one request.
const maxTokens = 32

// maxInputs bounds what one request may name. One that names more is refused.
const maxInputs = 1000

// inputNames is where the inputs of a request are named: the bucket and the objects in a header or by a
// placeholder each, the rest in headers of FaDO's.
type inputNames struct{ bucket, object source }

// carried says whether a request has any of the headers that name data. One that
// names none by them is not taken for one that works on no data.
func (n *inputNames) carried(h http.Header) bool {
	for _, name := range [...]string{n.bucket.header, n.object.header, headerData, headerBytes, headerToken} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// of appends what a request works on to dst: the objects of the first bucket
// named, or that bucket as a whole when no object is; the other buckets as wholes;
// and what X-FaDO-Data names. Objects without a bucket name nothing.
func (n *inputNames) of(dst []routing.Input, r *http.Request, h http.Header) []routing.Input {
	first := len(dst)
	if n.bucket.header != "" {
		for _, v := range h[n.bucket.header] {
			dst = routing.AppendBuckets(dst, v, maxInputs)
		}
	} else {
		dst = routing.AppendBuckets(dst, n.bucket.evaluate(r), maxInputs)
	}
	if len(dst) > first {
		dst = n.appendObjects(dst, first, r, h)
	}
	for _, v := range h[headerData] {
		var ok bool
		if dst, ok = routing.AppendData(dst, v); !ok {
			dst = append(dst, routing.Input{Bucket: unreadable})
		}
	}
	if len(dst) > maxInputs { // which is also what tokens may be compared with
		return append(dst[:first], routing.Input{Bucket: unreadable})
	}
	if sizes := h[headerBytes]; len(sizes) > 0 && !routing.MarkSizes(dst[first:], strings.Join(sizes, ",")) {
		dst = append(dst, routing.Input{Bucket: unreadable})
	}
	if tokens := h[headerToken]; len(tokens) > 0 && !routing.MarkTokens(dst[first:], strings.Join(tokens, ","), maxTokens) {
		dst = append(dst, routing.Input{Bucket: unreadable})
	}
	return dst
}

// appendObjects makes the bucket at index first one object of it, and appends its
// other objects.
func (n *inputNames) appendObjects(dst []routing.Input, first int, r *http.Request, h http.Header) []routing.Input {
	if n.object.header == "" {
		// Such placeholders are decoded already: {query.x}, {path.1}.
		return routing.AppendObject(dst, first, n.object.evaluate(r))
	}
	for _, v := range h[n.object.header] {
		dst = routing.AppendEncodedObject(dst, first, v)
	}
	return dst
}
