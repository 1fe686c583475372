package wire

import (
	"net/http"
	"strings"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/storage"
)

// CopySource is the header that names what a copy is made of.
const CopySource = "X-Amz-Copy-Source"

// passed are the request headers that are the storage's business, beside x-amz-*.
var passed = []string{
	"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Md5", "Content-Type", "Expires",
	"If-Match", "If-Modified-Since", "If-None-Match", "If-Unmodified-Since", "Range",
}

// kept are x-amz-* request headers that concern this endpoint alone.
var kept = map[string]bool{
	"X-Amz-Acl":                    true, // see CheckHeaders
	"X-Amz-Content-Sha256":         true,
	CopySource:                     true, // names another bucket
	"X-Amz-Date":                   true,
	"X-Amz-Decoded-Content-Length": true,
	"X-Amz-Expected-Bucket-Owner":  true,
	"X-Amz-Mfa":                    true,
	"X-Amz-Replication-Status":     true, // FaDO's mark
	"X-Amz-Request-Payer":          true,
	"X-Amz-Sdk-Checksum-Algorithm": true, // the checksum itself passes
	"X-Amz-Security-Token":         true,
	"X-Amz-Trailer":                true, // what follows a body is verified
	"X-Amz-User-Agent":             true,
}

// RequestHeaders returns the headers of a request that pass to a storage. What only FaDO writes,
// the mark of its own copies, is left out.
func RequestHeaders(h http.Header) http.Header {
	out := make(http.Header)
	for _, name := range passed {
		if v := h.Get(name); v != "" {
			out.Set(name, v)
		}
	}
	if v := withoutCoding(h.Get("Content-Encoding")); v != "" {
		out.Set("Content-Encoding", v)
	} else {
		out.Del("Content-Encoding")
	}
	for name, values := range h {
		if strings.HasPrefix(name, "X-Amz-") && !kept[name] && !storage.Stamped(name) {
			out[name] = []string{strings.Join(values, ",")}
		}
	}
	return out
}

// withoutCoding removes the transfer coding of the upload from a Content-Encoding.
func withoutCoding(list string) string {
	var rest []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" && part != "aws-chunked" {
			rest = append(rest, part)
		}
	}
	return strings.Join(rest, ",")
}

// Bounds of a request's head: of all of it, where S3 takes 8 KiB, and of the metadata in it (S3
// User Guide, "User-defined object metadata").
const (
	maxHead     = 32 << 10
	maxMetadata = 2 << 10
)

// CheckSize refuses heads that are too large.
func CheckSize(r *http.Request) error {
	size, metadata := len(r.RequestURI), 0
	for name, values := range r.Header {
		n := len(name)
		for _, v := range values {
			n += len(v)
		}
		size += n
		if strings.HasPrefix(name, MetaPrefix) {
			metadata += n - len(MetaPrefix)
		}
	}
	switch {
	case size > maxHead:
		return s3err.BadRequest("RequestHeaderSectionTooLarge", "Your request header and query parameters used to make the request exceed the maximum allowed size.")
	case metadata > maxMetadata:
		return s3err.BadRequest("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	return nil
}

// MetaPrefix begins the headers of an object's own metadata.
const MetaPrefix = "X-Amz-Meta-"

// CheckHeaders refuses what no storage is asked for.
func CheckHeaders(h http.Header) error {
	for name := range h {
		switch {
		case strings.HasPrefix(name, "X-Amz-Server-Side-Encryption-Customer-"),
			strings.HasPrefix(name, "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"):
			return s3err.NotImplemented("Encryption with keys of the client (SSE-C), of which no copies can be made,")
		case strings.HasPrefix(name, "X-Amz-Grant-"):
			return s3err.NoACLs()
		}
	}
	if acl := h.Get("X-Amz-Acl"); acl != "" && acl != "private" && acl != "bucket-owner-full-control" {
		return s3err.NoACLs()
	}
	return nil
}

// own are the answer headers that this endpoint sets itself.
var own = map[string]bool{
	"X-Amz-Bucket-Region": true, "X-Amz-Id-2": true, "X-Amz-Request-Id": true, "X-Amz-Replication-Status": true,
}

// AnswerHeaders adds the headers of a storage's answer that are the client's business. The names
// of metadata are in lower case, as S3 writes them: clients make keys of them.
func AnswerHeaders(to, from http.Header) {
	for name, values := range from {
		switch {
		case own[name]:
		case strings.HasPrefix(name, MetaPrefix):
			to[strings.ToLower(name)] = values
		case strings.HasPrefix(name, "X-Amz-"), strings.HasPrefix(name, "Content-") && name != "Content-Security-Policy",
			name == "Accept-Ranges", name == "Cache-Control", name == "Etag", name == "Expires", name == "Last-Modified":
			to[name] = values
		}
	}
}
