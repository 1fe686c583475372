package sigv4

import (
	"io"
	"net/http"
	"time"
)

const (
	defaultSkew = 15 * time.Minute
	defaultBody = 5 << 30 // what S3 takes in one PUT
)

// Verifier authenticates requests. Its fields are set before the first use and not changed afterwards; it is safe for
// concurrent use.
type Verifier struct {
	// Region is the region that credentials must name.
	Region string
	// MaxSkew bounds how far the time of a signature may lie from now. Default: 15 minutes.
	MaxSkew time.Duration
	// MaxBody bounds what one request may upload, in bytes. Default: 5 GiB.
	MaxBody int64
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Secret returns the secret of an access key.
	Secret func(accessKeyID string) (secret string, ok bool)
	// Expired reports whether a key that Secret knows has expired: its requests are ExpiredToken, once their signature has
	// proved that the client has the secret. Optional.
	Expired func(accessKeyID string) bool
}

// Verified is an authenticated request.
type Verified struct {
	KeyID     string
	Presigned bool
	// Body is the payload, decoded from aws-chunked and verified while it is read against all that the request tells of it:
	// x-amz-content-sha256, signatures of chunks, trailer, Content-MD5, x-amz-checksum-*. Where Length is known an error
	// comes in place of the last bytes, else in place of io.EOF.
	Body io.ReadCloser
	// Length is the length of Body, -1 if the request doesn't tell it.
	Length int64
	// Trailer returns the verified trailing checksums, after Body returned io.EOF; before, and without a trailer, nil.
	Trailer func() http.Header
	// Err returns why Body failed, nil if it did not (yet). A client that Body was given to may have lost the error.
	Err func() error
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

func (v *Verifier) skew() time.Duration {
	if v.MaxSkew > 0 {
		return v.MaxSkew
	}
	return defaultSkew
}

func (v *Verifier) maxBody() int64 {
	if v.MaxBody > 0 {
		return v.MaxBody
	}
	return defaultBody
}
