package storage

import (
	"crypto/md5" // what S3's ETags are
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"

	"github.com/minio/crc64nvme"
)

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A contentDigest is a checksum over an object's whole content that the source keeps:
// the full-object checksum it was uploaded with, or the MD5 that is its ETag. It is
// computed in order, part by part, and its state outlives the process.
type contentDigest struct {
	name string
	want string
	new  func() hash.Hash
	text func([]byte) string
}

// fullChecksums are the headers of checksums that S3 keeps over a whole object (S3 API
// reference, "Checking object integrity"), the cheapest to compute first. SHA sums cost
// more than an ETag's MD5.
var fullChecksums = []contentDigest{
	{name: "X-Amz-Checksum-Crc32c", new: func() hash.Hash { return crc32.New(castagnoli) }},
	{name: "X-Amz-Checksum-Crc64nvme", new: func() hash.Hash { return crc64nvme.New() }},
	{name: "X-Amz-Checksum-Crc32", new: func() hash.Hash { return crc32.NewIEEE() }},
}

// contentDigestOf finds the best digest in a source's answer; nil for none.
func contentDigestOf(etag string, h http.Header) *contentDigest {
	if h.Get("X-Amz-Checksum-Type") != "COMPOSITE" {
		for _, d := range fullChecksums {
			sum, err := base64.StdEncoding.DecodeString(h.Get(d.name))
			if err == nil && len(sum) == d.new().Size() { // a composite one has a dash and a number behind it
				d.want, d.text = h.Get(d.name), base64.StdEncoding.EncodeToString
				return &d
			}
		}
	}
	if plainMD5(etag) && !encrypted(h) {
		return &contentDigest{name: "MD5", want: etag, new: md5.New, text: hex.EncodeToString}
	}
	return nil
}

// resume makes a hash that continues from a state; nil is the beginning.
func (d *contentDigest) resume(state []byte) (hash.Hash, error) {
	h := d.new()
	if state == nil {
		return h, nil
	}
	u, ok := h.(encoding.BinaryUnmarshaler)
	if !ok {
		return nil, fmt.Errorf("%s keeps no state", d.name)
	}
	return h, u.UnmarshalBinary(state)
}

// stateOf returns a hash's state, for resume.
func stateOf(h hash.Hash) ([]byte, error) {
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil, fmt.Errorf("%T keeps no state", h)
	}
	return m.MarshalBinary()
}
