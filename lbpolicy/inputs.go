package lbpolicy

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/catalog"
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
func (p *DataAware) inputsOf(dst []catalog.Input, r *http.Request, h http.Header) []catalog.Input {
	first := len(dst)
	if p.bucket.header != "" {
		for _, v := range h[p.bucket.header] {
			dst = appendBuckets(dst, v)
		}
	} else {
		dst = appendBuckets(dst, p.bucket.evaluate(r))
	}
	if len(dst) > first {
		dst = p.appendObjects(dst, first, r, h)
	}
	for _, v := range h[headerData] {
		dst = append(dst, parseData(v))
	}
	if len(dst) > maxInputs {
		dst = append(dst[:first], catalog.Input{Bucket: unreadable})
	}
	return dst
}

// appendBuckets appends the buckets of a comma-separated list.
func appendBuckets(dst []catalog.Input, list string) []catalog.Input {
	for more := list != ""; more && len(dst) <= maxInputs; {
		var name string
		name, list, more = strings.Cut(list, ",")
		if name = strings.TrimSpace(name); name != "" {
			dst = append(dst, catalog.Input{Bucket: name})
		}
	}
	return dst
}

// appendObjects makes the bucket at index first one object of it, and appends its
// other objects.
func (p *DataAware) appendObjects(dst []catalog.Input, first int, r *http.Request, h http.Header) []catalog.Input {
	if p.object.header == "" {
		// Such placeholders are decoded already: {query.x}, {path.1}.
		if key := p.object.evaluate(r); key != "" {
			dst[first].Key, dst[first].Scope = key, catalog.ScopeObject
		}
		return dst
	}
	for _, v := range h[p.object.header] {
		switch {
		case v == "":
		case dst[first].Scope == catalog.ScopeBucket:
			dst[first].Key, dst[first].Scope = decodeKey(v), catalog.ScopeObject
		default:
			dst = append(dst, catalog.Input{Bucket: dst[first].Bucket, Key: decodeKey(v), Scope: catalog.ScopeObject})
		}
	}
	return dst
}

// parseData reads s3://bucket/key, s3://bucket/prefix/ (every key below it),
// s3://bucket/ or s3://bucket. Anything else is an unreadable input.
func parseData(v string) catalog.Input {
	v = strings.TrimSpace(v)
	rest, ok := strings.CutPrefix(v, "s3://")
	if !ok {
		return catalog.Input{Bucket: unreadable}
	}
	bucket, key, _ := strings.Cut(rest, "/")
	if bucket == "" {
		return catalog.Input{Bucket: unreadable}
	}
	in := catalog.Input{Bucket: bucket}
	if key != "" {
		in.Key, in.Scope = decodeKey(key), catalog.ScopeObject
		if strings.HasSuffix(key, "/") {
			in.Scope = catalog.ScopePrefix
		}
	}
	return in
}

// decodeKey undoes percent-encoding. What is not valid percent-encoding is a key as
// it is: a client that does not encode may well have a "%" in one.
func decodeKey(v string) string {
	if !strings.Contains(v, "%") {
		return v
	}
	if key, err := url.PathUnescape(v); err == nil {
		return key
	}
	return v
}
