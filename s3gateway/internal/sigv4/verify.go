package sigv4

import (
	"errors"
	"net/http"
)

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
