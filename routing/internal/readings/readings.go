// Package readings tells what else than itself the name of an object may be read as, by those who come after:
// a function that decodes it, or a storage that cleans it. A request is judged by every reading.
package readings

import (
	"encoding/hex"
	"net/url"
	"path"
	"strings"
)

// AsPath returns the key that a storage takes a key for that it cleans as a path; false where that is
// the key itself, or none. MinIO drops slashes that a key begins with, so that a function that asks it for
// "/k" gets "k", and storages that keep objects as files clean all of it. Other storages have both, so
// that a request is judged by both.
func AsPath(key string) (string, bool) {
	if isClean(key) {
		return "", false
	}
	clean := strings.TrimPrefix(path.Clean("/"+key), "/")
	if clean != "" && strings.HasSuffix(key, "/") {
		clean += "/"
	}
	return clean, clean != "" && clean != key
}

// isClean reports whether a key is the same as a path.
func isClean(key string) bool {
	for rest := key; rest != ""; {
		var segment string
		switch segment, rest, _ = strings.Cut(rest, "/"); segment {
		case "", ".", "..":
			return false
		}
	}
	return true
}

// Decoded returns what is left of a key that is not valid percent-encoding when what
// is valid in it is decoded; false where that makes no difference.
func Decoded(v string) (string, bool) {
	if !strings.Contains(v, "%") {
		return "", false
	}
	if _, err := url.PathUnescape(v); err == nil {
		return "", false
	}
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			if b, err := hex.DecodeString(v[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, v[i])
	}
	return string(out), len(out) != len(v)
}
