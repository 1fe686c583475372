// Package dress puts on a request to a function endpoint what the endpoint's declaration says
// of it: a Host, headers, a signature. Invocations and health checks are dressed alike.
package dress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/fado-project/fado/catalog"
)

// maxSigned is the largest body that is signed: it is held in memory as a whole.
const maxSigned = 6 << 20

// ErrTooLarge says that a body can't be signed.
var ErrTooLarge = errors.New("the body is larger than 6 MiB, which is the most that is signed")

// signedBodyVar is the request variable that keeps a body which was read to be signed, for
// further attempts.
const signedBodyVar = "fado.signed_body"

// Request sets on a request what the declaration of the endpoint it goes to says: Host, headers,
// a signature. The request is changed, its body replaced by one in memory if it is signed.
// Placeholders are resolved now, so that a rotated secret is used at once.
func Request(req *http.Request, f *catalog.Function, repl *caddy.Replacer) error {
	if f.Host != "" {
		host, err := resolved(repl, "host", f.Host)
		if err != nil {
			return err
		}
		req.Host = host
	}
	for _, h := range f.Header {
		value, err := resolved(repl, "header "+h.Name, h.Value)
		if err != nil {
			return err
		}
		req.Header.Set(h.Name, value)
	}
	if f.Sign == nil {
		return nil
	}
	return sign(req, f.Sign, repl)
}

// resolved replaces the placeholders of a value. One that is not known is an error that does
// not hold the value.
func resolved(repl *caddy.Replacer, field, value string) (string, error) {
	out, err := repl.ReplaceOrErr(value, false, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", field, err)
	}
	return out, nil
}

// sign signs a request by AWS's Signature Version 4.
func sign(req *http.Request, s *catalog.Sign, repl *caddy.Replacer) error {
	var creds aws.Credentials
	for _, v := range []struct {
		field, value string
		to           *string
	}{
		{"sign.access_key", s.AccessKey, &creds.AccessKeyID},
		{"sign.secret_key", s.SecretKey, &creds.SecretAccessKey},
		{"sign.session_token", s.SessionToken, &creds.SessionToken},
	} {
		var err error
		if *v.to, err = resolved(repl, v.field, v.value); err != nil {
			return err
		}
	}
	body, err := bodyOf(req)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Del("Authorization")
	req.Header.Set("X-Amz-Content-Sha256", hash)
	return v4.NewSigner().SignHTTP(req.Context(), creds, req, hash, s.Service, s.Region, time.Now())
}

// bodyOf reads a request's body as a whole, and has the request send that.
func bodyOf(req *http.Request) ([]byte, error) {
	body, _ := signedBody(req)
	if body == nil && req.Body != nil && req.Body != http.NoBody {
		var err error
		body, err = io.ReadAll(io.LimitReader(req.Body, maxSigned+1))
		if err != nil {
			return nil, fmt.Errorf("reading the body to sign it: %w", err)
		}
		if len(body) > maxSigned {
			return nil, ErrTooLarge
		}
		_ = req.Body.Close() // it was read
		if req.Context().Value(caddyhttp.VarsCtxKey) != nil {
			caddyhttp.SetVar(req.Context(), signedBodyVar, body)
		}
	}
	setBody(req, body)
	return body, nil
}

func setBody(req *http.Request, body []byte) {
	req.ContentLength, req.TransferEncoding, req.Body = int64(len(body)), nil, http.NoBody
	req.Header.Del("Content-Length")
	if len(body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
}

func signedBody(req *http.Request) (body []byte, read bool) {
	body, read = caddyhttp.GetVar(req.Context(), signedBodyVar).([]byte)
	return body, read
}

// AfterSigning returns a request to an endpoint that asks for no signature: one whose body an
// earlier attempt has read sends what was read.
func AfterSigning(req *http.Request) *http.Request {
	body, read := signedBody(req)
	if !read {
		return req
	}
	out := req.WithContext(req.Context())
	out.Header = req.Header.Clone()
	setBody(out, body)
	return out
}
