package sums

import (
	"fmt"
	"strings"
	"time"
)

// noETag begins what stands for the ETag of an object that has none: files that came into
// a storage's directory other than through it. It tells that the object is still the one
// seen, by size and time, and nothing of its content: no request names it.
const noETag = "fado-none-"

// ETagOr is an object's ETag, or what stands for it.
func ETagOr(etag string, size int64, modified time.Time) string {
	if etag != "" {
		return etag
	}
	return fmt.Sprintf("%s%d-%d", noETag, size, modified.Unix())
}

// RealETag reports whether an ETag is the storage's.
func RealETag(etag string) bool { return etag != "" && !strings.HasPrefix(etag, noETag) }
