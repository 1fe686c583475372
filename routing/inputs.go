package routing

import (
	"net/url"
	"strings"
)

// How inputs are written, by headers and query parameters alike.

// AppendBuckets appends the buckets of a comma-separated list to dst, but not many
// more than most inputs.
func AppendBuckets(dst []Input, list string, most int) []Input {
	for more := list != ""; more && len(dst) <= most; {
		var name string
		name, list, more = strings.Cut(list, ",")
		if name = strings.TrimSpace(name); name != "" {
			dst = append(dst, Input{Bucket: name})
		}
	}
	return dst
}

// AppendObject adds a key of the bucket at index first: the input that named the
// bucket as a whole becomes its first object, further ones are appended. An empty key
// names nothing.
func AppendObject(dst []Input, first int, key string) []Input {
	switch {
	case key == "":
		return dst
	case dst[first].Scope == ScopeBucket:
		dst[first].Key, dst[first].Scope = key, ScopeObject
		return dst
	default:
		return append(dst, Input{Bucket: dst[first].Bucket, Key: key, Scope: ScopeObject})
	}
}

// ParseInput reads s3://bucket/key, s3://bucket/prefix/ (every key below it),
// s3://bucket/ or s3://bucket; false for anything else.
func ParseInput(ref string) (Input, bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(ref), "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return Input{}, false
	}
	in := Input{Bucket: bucket}
	if key != "" {
		in.Key, in.Scope = DecodeKey(key), ScopeObject
		if strings.HasSuffix(key, "/") {
			in.Scope = ScopePrefix
		}
	}
	return in, true
}

// DecodeKey undoes percent-encoding. What is not valid percent-encoding is a key as
// it is: a client that does not encode may well have a "%" in one.
func DecodeKey(v string) string {
	if !strings.Contains(v, "%") {
		return v
	}
	if key, err := url.PathUnescape(v); err == nil {
		return key
	}
	return v
}
