package lbpolicy

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/routing"
)

// The request headers that name data, in canonical form.
const (
	headerBucket = "X-Fado-Bucket"
	headerObject = "X-Fado-Object"
	headerData   = "X-Fado-Data"
)

// maxInputs bounds what one request may name. One that names more is refused like
// one that names a bucket nobody knows.
const maxInputs = 1000

// unreadable stands for an input that can't be read. It can't be the name of a
// bucket, so such a request is treated as one that names an unknown bucket, and never
// routed by half of what it asks for.
const unreadable = "(unreadable)"

// source is where the names of buckets or objects come from: a header, read as it
// is, or any other placeholder.
type source struct {
	header      string // canonical name; "" when it is not a header's placeholder
	placeholder string
}

// newSource recognises {header.X} and {http.request.header.X}. A header's values
// are read one by one; the placeholder would join them.
func newSource(value string) source {
	name, ok := strings.CutPrefix(value, "{http.request.header.")
	if !ok {
		name, ok = strings.CutPrefix(value, "{header.")
	}
	if name, closed := strings.CutSuffix(name, "}"); ok && closed && name != "" && !strings.ContainsAny(name, "{}*") {
		return source{header: http.CanonicalHeaderKey(name)}
	}
	return source{placeholder: value}
}

// evaluate returns the value of a source that is not a header.
func (s source) evaluate(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	return repl.ReplaceAll(s.placeholder, "")
}

// inputsOf appends what a request works on to dst: the objects of the first bucket
// named, or that bucket as a whole when no object is; the other buckets as wholes;
// and what X-FaDO-Data names. Objects without a bucket name nothing.
func (p *DataAware) inputsOf(dst []routing.Input, r *http.Request, h http.Header) []routing.Input {
	first := len(dst)
	if p.bucket.header != "" {
		for _, v := range h[p.bucket.header] {
			dst = routing.AppendBuckets(dst, v, maxInputs)
		}
	} else {
		dst = routing.AppendBuckets(dst, p.bucket.evaluate(r), maxInputs)
	}
	if len(dst) > first {
		dst = p.appendObjects(dst, first, r, h)
	}
	for _, v := range h[headerData] {
		in, ok := routing.ParseInput(v)
		if !ok {
			in.Bucket = unreadable
		}
		dst = append(dst, in)
	}
	if len(dst) > maxInputs {
		dst = append(dst[:first], routing.Input{Bucket: unreadable})
	}
	return dst
}

// appendObjects makes the bucket at index first one object of it, and appends its
// other objects.
func (p *DataAware) appendObjects(dst []routing.Input, first int, r *http.Request, h http.Header) []routing.Input {
	if p.object.header == "" {
		// Such placeholders are decoded already: {query.x}, {path.1}.
		return routing.AppendObject(dst, first, p.object.evaluate(r))
	}
	for _, v := range h[p.object.header] {
		dst = routing.AppendObject(dst, first, routing.DecodeKey(v))
	}
	return dst
}
