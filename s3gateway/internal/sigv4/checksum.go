package sigv4

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1" //nolint:gosec // S3 offers SHA-1 as a checksum
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"
)

const checksumPrefix = "x-amz-checksum-"

// checksum is an algorithm of x-amz-checksum-*.
type checksum struct {
	name string // as S3 writes it
	size int    // bytes
	new  func() hash.Hash
}

func (c *checksum) header() string { return checksumPrefix + strings.ToLower(c.name) }

var checksums = []*checksum{
	{"CRC32", crc32.Size, func() hash.Hash { return crc32.NewIEEE() }},
	{"CRC32C", crc32.Size, func() hash.Hash { return crc32.New(castagnoli) }},
	{"CRC64NVME", crc64nvme.Size, func() hash.Hash { return crc64nvme.New() }},
	{"SHA1", sha1.Size, sha1.New},
	{"SHA256", sha256.Size, sha256.New},
	{"SHA512", sha512.Size, sha512.New},
	{"MD5", md5.Size, md5.New},
	{"XXHASH64", 8, func() hash.Hash { return xxhash.New() }},
	{"XXHASH3", 8, func() hash.Hash { return xxh3.New() }},
	{"XXHASH128", 16, func() hash.Hash { return xxh3.New128() }},
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumOf returns the algorithm of a header or trailer, nil if it names none.
func checksumOf(name string) *checksum {
	for _, c := range checksums {
		if c.header() == name {
			return c
		}
	}
	return nil
}

// decode reads a checksum's value.
func (c *checksum) decode(value string) ([]byte, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(value)
	return b, err == nil && len(b) == c.size
}

// digest is one thing that is known of a body before it is read.
type digest struct {
	hash.Hash
	want []byte
	bad  *Error // if the body is another
	tell string // the detail that says of which sum the body is; "" for none
}

func (d *digest) verify() error {
	got := d.Sum(nil)
	if bytes.Equal(got, d.want) {
		return nil
	}
	if d.tell == "" {
		return d.bad
	}
	bad := *d.bad
	bad.Details = append(slices.Clone(bad.Details), Detail{d.tell, hex.EncodeToString(got)})
	return &bad
}

func (c *checksum) digest(want []byte) *digest {
	return &digest{Hash: c.new(), want: want, bad: badRequest("BadDigest", "The %s you specified did not match the calculated checksum.", c.name)}
}

func payloadDigest(hash string) *digest {
	want, _ := hex.DecodeString(hash) // isSHA256 has looked at it
	bad := badRequest("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	bad.Details = []Detail{{"ClientComputedContentSHA256", hash}}
	return &digest{sha256.New(), want, bad, "S3ComputedContentSHA256"}
}

// headerDigests returns what the headers say of the body: Content-MD5 and at most one x-amz-checksum-*. The checksum is nil
// if there is none.
func headerDigests(h http.Header) ([]*digest, *checksum, error) {
	var digests []*digest
	if values := h.Values("Content-Md5"); len(values) > 0 {
		want, err := base64.StdEncoding.Strict().DecodeString(values[0])
		if err != nil || len(want) != md5.Size {
			e := badRequest("InvalidDigest", "The Content-MD5 you specified is not valid.")
			e.Details = []Detail{{"Content-MD5", values[0]}}
			return nil, nil, e
		}
		bad := badRequest("BadDigest", "The Content-MD5 you specified did not match what we received.")
		digests = append(digests, &digest{Hash: md5.New(), want: want, bad: bad})
	}
	c, value, err := checksumHeader(h)
	if c == nil || err != nil {
		return digests, nil, err
	}
	want, ok := c.decode(value)
	if !ok {
		return nil, nil, invalidRequest("Value for %s header is invalid.", c.header())
	}
	return append(digests, c.digest(want)), c, nil
}

// checksumHeader finds the one x-amz-checksum-* header that carries a value.
func checksumHeader(h http.Header) (found *checksum, value string, err error) {
	for name, values := range h {
		low := strings.ToLower(name)
		if !strings.HasPrefix(low, checksumPrefix) || len(values) == 0 {
			continue
		}
		switch strings.TrimPrefix(low, checksumPrefix) {
		case "algorithm", "type", "mode": // settings of operations
			continue
		}
		c := checksumOf(low)
		switch {
		case c == nil:
			return nil, "", invalidRequest("The algorithm type you specified in x-amz-checksum- header is invalid.")
		case found != nil || len(values) > 1:
			return nil, "", manyChecksums()
		}
		found, value = c, values[0]
	}
	return found, value, nil
}

func manyChecksums() *Error {
	return invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// sdkAgrees looks whether x-amz-sdk-checksum-algorithm, if there, names the checksum that the request carries.
func sdkAgrees(h http.Header, c *checksum) error {
	const name = "x-amz-sdk-checksum-algorithm"
	if said := h.Get(name); c != nil && said != "" && !strings.EqualFold(said, c.name) {
		return invalidRequest("Value for %s header is invalid.", name)
	}
	return nil
}
