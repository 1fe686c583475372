package storage

import (
	"net/http"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// setIfMatch makes a request conditional on an ETag, if the storage has given one; else the
// answer has to be read.
func setIfMatch(h http.Header, etag string) {
	if sums.RealETag(etag) {
		h.Set("If-Match", s3.QuoteETag(etag))
	}
}

// answersFor reports whether an answer, be it of a range or part only, is of the object as
// it was seen, and the answer's ETag for a message.
func answersFor(o Object, h http.Header) (etag string, ok bool) {
	etag = s3.TrimETag(h.Get("ETag"))
	if etag == "" {
		modified, _ := http.ParseTime(h.Get("Last-Modified"))
		etag = sums.ETagOr("", o.Size, modified)
	}
	return etag, etag == o.ETag
}
