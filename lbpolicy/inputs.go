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
	headerBytes  = "X-Fado-Bytes"
	headerToken  = "X-Fado-Token" //nolint:gosec // the name of a header
)

// maxInputs bounds what one request may name. One that names more is refused.
const maxInputs = 1000

// unreadable stands for an input that can't be read, or for more than there may be. It
// can't be the name of a bucket. A request that has it is refused, whatever else it names:
// it is never routed by half of what it asks for.
const unreadable = "(unreadable)"

func isUnreadable(in routing.Input) bool { return in.Bucket == unreadable }

// isNoName says whether no bucket can have the name of an input's, so that another reader
// may take it for that of another: "eu%2Ddata", " eu-data".
func isNoName(in routing.Input) bool {
	for i := range len(in.Bucket) {
		switch c := in.Bucket[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '.':
		default:
			return true
		}
	}
	return false
}

// carriesHeaders says whether a request has any of the headers that name data. One that
// names none by them is not taken for one that works on no data.
func (p *DataAware) carriesHeaders(h http.Header) bool {
	for _, name := range [...]string{p.bucket.header, p.object.header, headerData, headerBytes, headerToken} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

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
		var ok bool
		if dst, ok = routing.AppendData(dst, v); !ok {
			dst = append(dst, routing.Input{Bucket: unreadable})
		}
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
		dst = routing.AppendEncodedObject(dst, first, v)
	}
	return dst
}
