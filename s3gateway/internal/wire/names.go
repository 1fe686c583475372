package wire

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

// MaxPage is the most entries of a page.
const MaxPage = 1000

// EncodesNames reads encoding-type.
func EncodesNames(query url.Values) (bool, error) {
	switch query.Get("encoding-type") {
	case "url":
		return true, nil
	case "":
		return false, nil
	}
	return false, s3err.BadRequest("InvalidArgument", "Invalid Encoding Method specified in Request")
}

// LimitOf reads the size of a page.
func LimitOf(s, name string) (int, error) {
	if s == "" {
		return MaxPage, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, s3err.BadRequest("InvalidArgument", "Argument %s must be an integer between 0 and 2147483647", name)
	}
	return min(n, MaxPage), nil
}

// EncodePage makes the token of a page: the last name on it, so that it holds at any copy and any
// instance.
func EncodePage(last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte("1" + last))
}

// DecodePage returns the last name on the page before, and whether it is a token at all.
func DecodePage(token string) (last string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) == 0 || b[0] != '1' {
		return "", false
	}
	return string(b[1:]), true
}

// EncodeName encodes as S3 does for encoding-type=url: slashes stay.
func EncodeName(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "%2F", "/"), "%2A", "*")
}

// EncodeUpload makes the ID of an upload, which says which storage has it: its cluster's name and
// its ID there.
func EncodeUpload(cluster, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte("1." + cluster + "." + id))
}

// DecodeUpload returns where an upload is, and whether it is an ID at all.
func DecodeUpload(s string) (cluster, id string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(string(b), "1.")
	if !ok {
		return "", "", false
	}
	cluster, id, ok = strings.Cut(rest, ".")
	return cluster, id, ok && cluster != "" && id != ""
}

// Source is what a copy is made of, an object or, where Version is set, a version of one.
type Source struct{ Bucket, Key, Version string }

// ParseSource reads x-amz-copy-source: [/]bucket/key[?versionId=id], encoded as a URL.
func ParseSource(v string) (Source, error) {
	path, version, _ := strings.Cut(v, "?versionId=")
	path = strings.TrimPrefix(path, "/")
	if plain, err := url.PathUnescape(path); err == nil {
		path = strings.TrimPrefix(plain, "/")
	}
	if plain, err := url.QueryUnescape(version); err == nil {
		version = plain
	}
	bucket, key, _ := strings.Cut(path, "/")
	if bucket == "" || key == "" || strings.HasPrefix(v, "arn:") {
		return Source{}, s3err.BadRequest("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	return Source{Bucket: bucket, Key: key, Version: version}, nil
}

// Range is a range of bytes: from First to Last, both counted from 0; where First is below 0, so many
// last bytes; where Last is -1, to the end.
type Range struct{ First, Last int64 }

// ParseRange reads a Range of one range (RFC 9110, section 14.1.2); false for any other.
func ParseRange(spec string) (r Range, ok bool) {
	spec, ok = strings.CutPrefix(spec, "bytes=")
	from, to, dash := strings.Cut(spec, "-")
	if !ok || !dash {
		return Range{}, false
	}
	number := func(s string) int64 {
		if strings.TrimLeft(s, "0123456789") != "" {
			return -1
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return -1
		}
		return n
	}
	switch {
	case from == "":
		n := number(to)
		return Range{-n, -1}, n > 0
	case to == "":
		r = Range{number(from), -1}
		return r, r.First >= 0
	default:
		r = Range{number(from), number(to)}
		return r, r.First >= 0 && r.Last >= r.First
	}
}

// In returns where the range begins and ends in a body of some length, the end not counted; false
// where there is nothing of it.
func (r Range) In(length int64) (from, to int64, ok bool) {
	from, to = r.First, length
	if from < 0 {
		from = max(0, length+from)
	}
	if r.Last >= 0 {
		to = min(length, r.Last+1)
	}
	return from, to, from < length
}

// Pick returns the parameters of a query that pass.
func Pick(query url.Values, names []string) url.Values {
	out := make(url.Values)
	for _, n := range names {
		if v, ok := query[n]; ok {
			out[n] = v[:1]
		}
	}
	return out
}
