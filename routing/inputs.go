package routing

import (
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/fado-project/fado/routing/internal/readings"
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

// AppendObject adds a key of the bucket at index first, in every reading: the input that named the
// bucket as a whole becomes its first object, further ones are appended. An empty key
// names nothing.
func AppendObject(dst []Input, first int, key string) []Input {
	dst = appendKey(dst, first, key)
	if other, two := readings.AsPath(key); two {
		dst = appendKey(dst, first, other)
	}
	return dst
}

func appendKey(dst []Input, first int, key string) []Input {
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

// AppendEncodedObject is AppendObject for a percent-encoded key, of which it appends every
// reading; see [DecodeKey].
func AppendEncodedObject(dst []Input, first int, encoded string) []Input {
	dst = AppendObject(dst, first, DecodeKey(encoded))
	if other, ok := readings.Decoded(encoded); ok {
		dst = AppendObject(dst, first, other)
	}
	return dst
}

// AppendData appends what a value of X-FaDO-Data names. An intermediary may have joined
// several values by commas, so that a comma before "s3://" begins another one: in a key it
// has to be encoded. False, and nothing appended, if any part can't be read. A key that
// can be read in several ways is appended in each.
func AppendData(dst []Input, list string) ([]Input, bool) {
	n := len(dst)
	for more := true; more; {
		var ref string
		ref, list, more = cutJoined(list)
		in, key, ok := parseRef(ref)
		if !ok {
			return dst[:n], false
		}
		dst = appendRef(dst, in)
		if other, two := readings.Decoded(key); two {
			in.Key = other
			dst = appendRef(dst, in)
		}
	}
	return dst, true
}

// appendRef appends an input, and what a storage may take its key for.
func appendRef(dst []Input, in Input) []Input {
	dst = append(dst, in)
	if other, two := readings.AsPath(in.Key); two {
		in.Key = other
		dst = append(dst, in)
	}
	return dst
}

// cutJoined cuts the first reference off a list that may hold several.
func cutJoined(list string) (ref, rest string, more bool) {
	const scheme = "s3://"
	for from := 0; ; {
		comma := strings.IndexByte(list[from:], ',')
		if comma < 0 {
			return list, "", false
		}
		comma += from
		rest = strings.TrimLeft(list[comma:], ", \t")
		if len(rest) >= len(scheme) && strings.EqualFold(rest[:len(scheme)], scheme) {
			return list[:comma], rest, true
		}
		from = len(list) - len(rest)
	}
}

// ParseInput reads s3://bucket/key, s3://bucket/prefix/ (every key below it),
// s3://bucket/ or s3://bucket; false for anything else.
func ParseInput(ref string) (Input, bool) {
	in, _, ok := parseRef(ref)
	return in, ok
}

// parseRef is ParseInput, and returns the key as it is written, too.
func parseRef(ref string) (in Input, key string, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(ref), "s3://")
	in.Bucket, key, _ = strings.Cut(rest, "/")
	if !ok || in.Bucket == "" {
		return Input{}, "", false
	}
	if key != "" {
		in.Key, in.Scope = DecodeKey(key), ScopeObject
		if strings.HasSuffix(key, "/") {
			in.Scope = ScopePrefix
		}
	}
	return in, key, true
}

// MarkSizes gives inputs the sizes of a comma-separated list, in their order, as far as it goes.
// One of more sizes than inputs is of no use, and left alone. A key counts as often as it has
// readings. False if one is no number of bytes.
func MarkSizes(inputs []Input, list string) bool {
	n, ok := 0, true
	eachSize(list, func(size int64) {
		ok = ok && size >= 0
		n++
	})
	if !ok || n > len(inputs) {
		return ok
	}
	i := 0
	eachSize(list, func(size int64) {
		inputs[i].Bytes = size + 1
		i++
	})
	return true
}

// eachSize calls f with each part of a list, -1 for what is no number of bytes.
func eachSize(list string, f func(int64)) {
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil || n < 0 || n == math.MaxInt64 {
			n = -1
		}
		f(n)
	}
}

// DecodeKey undoes percent-encoding. What is not valid percent-encoding is a key as it is:
// a client that does not encode may well have a "%" in one. But then a function may decode
// what can be decoded of it, so that such a key has a second reading. A request is judged
// by both.
func DecodeKey(v string) string {
	if !strings.Contains(v, "%") {
		return v
	}
	if key, err := url.PathUnescape(v); err == nil {
		return key
	}
	return v
}
