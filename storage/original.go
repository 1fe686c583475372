package storage

import (
	"net/http"
	"strings"
	"time"

	"github.com/fado-project/fado/storage/s3"
)

// Original makes the headers of an answer about an object those that its original has: a copy
// at a storage that can't keep ETag, version ID and modification time has a stamp that tells
// them. The stamp itself is removed.
func Original(h http.Header, bucket, key string) {
	src, _, ok := parseStamp(h, bucket, key)
	for name := range h {
		if strings.HasPrefix(name, stampPrefix) || name == stampShort {
			delete(h, name)
		}
	}
	h.Del(replicaStatus)
	if !ok {
		return
	}
	h.Set("ETag", `"`+s3.TrimETag(src.ETag)+`"`)
	h.Del("X-Amz-Version-Id")
	if src.VersionID != "" {
		h.Set("X-Amz-Version-Id", src.VersionID)
	}
	if !src.ModTime.IsZero() {
		h.Set("Last-Modified", src.ModTime.UTC().Truncate(time.Second).Format(http.TimeFormat))
	}
}

// Stamped reports whether a header of user metadata is part of a stamp, which only FaDO writes.
func Stamped(name string) bool {
	name = http.CanonicalHeaderKey(name)
	return strings.HasPrefix(name, stampPrefix) || name == stampShort
}
