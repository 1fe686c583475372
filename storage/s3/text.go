package s3

import (
	"strings"
)

// CRC32C is the header of S3's CRC-32C checksum, in a request and in its answer.
const CRC32C = "X-Amz-Checksum-Crc32c"

// TrimETag takes the quotes and the mark of a weak comparison off an ETag header.
func TrimETag(s string) string {
	return strings.Trim(strings.TrimPrefix(s, "W/"), `"`)
}

// QuoteETag is an ETag as a header has it.
func QuoteETag(s string) string { return `"` + s + `"` }

// shorten makes one line of a foreign text, of at most 200 characters.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
