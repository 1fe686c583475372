package s3

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// trailerSizes are the checksums that may follow a body, with their sizes in bytes (S3 User
// Guide, "Checking object integrity").
var trailerSizes = map[string]int{
	"X-Amz-Checksum-Crc32":     4,
	CRC32C:                     4,
	"X-Amz-Checksum-Crc64nvme": 8,
	"X-Amz-Checksum-Sha1":      20,
	"X-Amz-Checksum-Sha256":    32,
}

// KnownTrailer reports whether a checksum, by the canonical name of its header, may follow a
// body.
func KnownTrailer(name string) bool { return trailerSizes[name] > 0 }

// emptyTrailer returns a trailer with values of the lengths that are to come: the length of
// the whole body is announced first.
func emptyTrailer(names []string) (http.Header, error) {
	h := make(http.Header, len(names))
	for _, n := range names {
		if !KnownTrailer(n) {
			return nil, fmt.Errorf("trailer %s: expected a checksum of S3's", n)
		}
		h[n] = []string{base64.StdEncoding.EncodeToString(make([]byte, trailerSizes[n]))}
	}
	return h, nil
}

// givenTrailer fills the trailer in when the body has ended, before the signer's reader
// sends it.
type givenTrailer struct {
	r       io.Reader
	given   func() http.Header
	trailer http.Header
}

func (t *givenTrailer) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	given := t.given()
	for name := range t.trailer {
		v := given.Get(name)
		if len(v) != base64.StdEncoding.EncodedLen(trailerSizes[name]) {
			return 0, fmt.Errorf("the trailing checksum %s is missing or malformed", name)
		}
		t.trailer.Set(name, v)
	}
	return n, err
}
