package sums

import (
	"crypto/md5" // what S3's ETags are
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/minio/crc64nvme"
)

// Castagnoli is the table of CRC-32C.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Content is a checksum over an object's whole content that the source keeps:
// the full-object checksum it was uploaded with, or the MD5 that is its ETag. It is
// computed in order, part by part, and its state outlives the process.
type Content struct {
	Name string
	Want string // as Text puts it
	New  func() hash.Hash
	Text func([]byte) string
}

// fullChecksums are the headers of checksums that S3 keeps over a whole object (S3 API
// reference, "Checking object integrity"), the cheapest to compute first. SHA sums cost
// more than an ETag's MD5.
var fullChecksums = []Content{
	{Name: "X-Amz-Checksum-Crc32c", New: func() hash.Hash { return crc32.New(Castagnoli) }},
	{Name: "X-Amz-Checksum-Crc64nvme", New: func() hash.Hash { return crc64nvme.New() }},
	{Name: "X-Amz-Checksum-Crc32", New: func() hash.Hash { return crc32.NewIEEE() }},
}

// Of finds the best digest in a source's answer; nil for none.
func Of(etag string, h http.Header) *Content {
	if h.Get("X-Amz-Checksum-Type") != "COMPOSITE" {
		for _, d := range fullChecksums {
			sum, err := base64.StdEncoding.DecodeString(h.Get(d.Name))
			if err == nil && len(sum) == d.New().Size() { // a composite one has a dash and a number behind it
				d.Want, d.Text = h.Get(d.Name), base64.StdEncoding.EncodeToString
				return &d
			}
		}
	}
	if IsMD5(etag) && !Encrypted(h) {
		return &Content{Name: "MD5", Want: etag, New: md5.New, Text: hex.EncodeToString}
	}
	return nil
}

// Resume makes a hash that continues from a state; nil is the beginning.
func (d *Content) Resume(state []byte) (hash.Hash, error) {
	h := d.New()
	if state == nil {
		return h, nil
	}
	u, ok := h.(encoding.BinaryUnmarshaler)
	if !ok {
		return nil, fmt.Errorf("%s keeps no state", d.Name)
	}
	return h, u.UnmarshalBinary(state)
}

// State returns a hash's state, for Resume.
func State(h hash.Hash) ([]byte, error) {
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, fmt.Errorf("%T keeps no state", h)
	}
	return m.MarshalBinary()
}

var md5ETag = regexp.MustCompile(`^[0-9a-f]{32}$`)

// IsMD5 reports whether an ETag has the form of an MD5 of the content, as S3 gives
// objects that were uploaded in one request and not encrypted with a KMS.
func IsMD5(etag string) bool { return md5ETag.MatchString(etag) }

// PartsOf returns the number of parts in a multipart upload's ETag; 0 if it is none.
func PartsOf(etag string) int {
	sum, n, ok := strings.Cut(etag, "-")
	if !ok || !IsMD5(sum) {
		return 0
	}
	parts, err := strconv.ParseUint(n, 10, 31)
	if err != nil {
		return 0
	}
	return int(parts)
}

// Encrypted reports whether an answer is of an object whose ETag is not its MD5 for
// being Encrypted (S3 API reference, "Object", ETag).
func Encrypted(h http.Header) bool {
	return h.Get("X-Amz-Server-Side-Encryption") == "aws:kms" ||
		h.Get("X-Amz-Server-Side-Encryption") == "aws:kms:dsse" ||
		h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != ""
}
