package lbpolicy

import (
	"encoding/hex"
	"net/url"
	"strings"
)

// The path prefix of an endpoint is a wall: what a client asks for stays below it. What a
// function platform makes of "..", in which of its spellings, differs, so a path that any
// of them could read as going up or staying (a segment ".." or ".") is refused and not
// cleaned: cleaning would change keys in paths.

// mostDecodings is how often a path is percent-decoded beyond the once that net/url does.
// One that is encoded more often still is refused.
const mostDecodings = 4

// leavesPrefix says whether a path could be read as one that leaves the prefix it is put
// below: whether a segment of it is "." or "..", by itself or after more decoding, with "\"
// for "/", with parameters (";x"), or with what else readers cut off or overlook.
func leavesPrefix(u *url.URL) bool {
	path := u.Path
	for range mostDecodings {
		if hasDotSegment(path) {
			return true
		}
		next := decodeLenient(path)
		if next == path {
			return false
		}
		path = next
	}
	return true
}

func hasDotSegment(path string) bool {
	if !strings.Contains(path, ".") {
		return false
	}
	for len(path) > 0 {
		var segment string
		if i := strings.IndexAny(path, `/\`); i >= 0 {
			segment, path = path[:i], path[i+1:]
		} else {
			segment, path = path, ""
		}
		if isDots(segment) {
			return true
		}
	}
	return false
}

// isDots says whether a segment could be taken for "." or "..": without parameters, a
// query or fragment that became part of it by decoding, what follows a NUL, and without
// blanks and control characters.
func isDots(segment string) bool {
	if i := strings.IndexAny(segment, ";?#\x00"); i >= 0 {
		segment = segment[:i]
	}
	dots := 0
	for i := range len(segment) {
		switch c := segment[i]; {
		case c == '.':
			dots++
		case c > ' ' && c != 0x7f:
			return false
		}
	}
	return dots == 1 || dots == 2
}

// decodeLenient decodes what can be decoded of a path, as lenient readers do: %XX, %uXXXX
// for ASCII, and the overlong forms of UTF-8 for ASCII.
func decodeLenient(path string) string {
	if strings.IndexByte(path, '%') < 0 && strings.IndexByte(path, 0xc0) < 0 && strings.IndexByte(path, 0xc1) < 0 {
		return path
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); {
		b, n := decodeAt(path[i:])
		out = append(out, b)
		i += n
	}
	return string(out)
}

// decodeAt returns the byte that a string begins with, and how many it takes up there.
func decodeAt(s string) (b byte, n int) {
	if s[0] == '%' {
		for _, prefix := range []string{"%u00", "%U00", "%"} {
			if rest, ok := strings.CutPrefix(s, prefix); ok && len(rest) >= 2 {
				if v, err := hex.DecodeString(rest[:2]); err == nil {
					return v[0], len(prefix) + 2
				}
			}
		}
	}
	if (s[0] == 0xc0 || s[0] == 0xc1) && len(s) > 1 && s[1]&0xc0 == 0x80 {
		return s[0]<<6 | s[1]&0x3f, 2
	}
	return s[0], 1
}
