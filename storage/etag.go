package storage

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/fado-project/fado/storage/s3"
)

// noETag begins what stands for the ETag of an object that has none: files that came into
// a storage's directory other than through it. It tells that the object is still the one
// seen, by size and time, and nothing of its content: no request names it.
const noETag = "fado-none-"

// etagOr is an object's ETag, or what stands for it.
func etagOr(etag string, size int64, modified time.Time) string {
	if etag != "" {
		return etag
	}
	return fmt.Sprintf("%s%d-%d", noETag, size, modified.Unix())
}

// realETag reports whether an ETag is the storage's.
func realETag(etag string) bool { return etag != "" && !strings.HasPrefix(etag, noETag) }

// setIfMatch makes a request conditional on an ETag, if the storage has given one; else the
// answer has to be read.
func setIfMatch(h http.Header, etag string) {
	if realETag(etag) {
		h.Set("If-Match", s3.QuoteETag(etag))
	}
}

// answersFor reports whether an answer, be it of a range or part only, is of the object as
// it was seen, and the answer's ETag for a message.
func answersFor(o Object, h http.Header) (etag string, ok bool) {
	etag = s3.TrimETag(h.Get("ETag"))
	if etag == "" {
		modified, _ := http.ParseTime(h.Get("Last-Modified"))
		etag = etagOr("", o.Size, modified)
	}
	return etag, etag == o.ETag
}
