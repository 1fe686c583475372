package sigv4

import (
	"errors"
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

// Verify authenticates r by its Authorization header or its presigned query. The error is an *Error, or ErrAnonymous if r
// carries no signature at all. It reads from r.Body only where the payload is empty, which nobody else reads: such requests are
// verified completely.
func (v *Verifier) Verify(r *http.Request) (*Verified, error) {
	sig, err := v.parse(r)
	if err != nil {
		return nil, err
	}
	if missing := unsignedHeaders(r, sig.signed); len(missing) > 0 {
		return nil, notSigned(missing)
	}
	canonical := canonicalRequest(r, sig)
	key, err := v.check(sig, canonical)
	if err != nil {
		return nil, err
	}
	return v.openBody(r, sig, key)
}

// Presigned returns the key of a presigned URL that allows a request by a method: what a browser asks before it makes that
// request (CORS) goes to the same URL, and is not signed itself.
func (v *Verifier) Presigned(r *http.Request, method string) (keyID string, err error) {
	asked := *r
	asked.Method = method
	sig, err := v.parse(&asked)
	if err != nil {
		return "", err
	}
	if !sig.presigned {
		return "", ErrAnonymous
	}
	if _, err := v.check(sig, canonicalRequest(&asked, sig)); err != nil {
		return "", err
	}
	return sig.cred.keyID, nil
}

// check compares the signature and returns the signing key, which signs the chunks of the body, too.
func (v *Verifier) check(sig *signature, canonical []byte) (key []byte, err error) {
	toSign := stringToSign(sig, canonical)
	key, err = v.checkString(sig, toSign)
	var e *Error
	if errors.As(err, &e) && e.Code == "SignatureDoesNotMatch" && len(canonical) <= maxEcho {
		e.Details = append(e.Details, Detail{"CanonicalRequest", string(canonical)})
	}
	return key, err
}

// checkString compares the signature of toSign. An unknown key goes the same way with a secret that is nobody's.
func (v *Verifier) checkString(sig *signature, toSign string) ([]byte, error) {
	secret, known := v.Secret(sig.cred.keyID)
	known = known && secret != ""
	if !known {
		secret = nobodysSecret
	}
	key := signingKey(secret, sig.cred)
	match := equal(hexHMAC(key, toSign), sig.value)
	switch {
	case !known:
		return nil, unknownKey(sig.cred.keyID)
	case !match:
		details := []Detail{{"AWSAccessKeyId", sig.cred.keyID}, {"SignatureProvided", sig.value}}
		if len(toSign) <= maxEcho {
			details = append(details, Detail{"StringToSign", toSign})
		}
		return nil, wrongSignature(details...)
	case v.Expired != nil && v.Expired(sig.cred.keyID):
		return nil, expiredToken()
	}
	return key, nil
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
