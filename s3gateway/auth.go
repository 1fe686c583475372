package s3gateway

import (
	"errors"
	"net/http"
	"strings"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/sigv4"
)

// authenticate verifies the signature and finds out who asks.
func (s serving) authenticate() error {
	c := s.c
	if c.op != nil && c.op.open {
		return nil
	}
	if c.op != nil && c.op.form {
		return s.authenticateForm()
	}
	v, err := c.h.verifier().Verify(c.r)
	if errors.Is(err, sigv4.ErrAnonymous) {
		return s.authenticateNobody()
	}
	if err != nil {
		if names := dropped(c.r); len(names) > 0 {
			return s3err.BadRequest("InvalidRequest", "The web server dropped the signed headers %s: it takes names with _ or . only where its server options "+
				"expected_underscore_headers and expected_dot_headers name them.", strings.Join(names, ", "))
		}
		return err
	}
	c.verified = v
	k, ok := c.h.accessKey(v.KeyID)
	if !ok {
		return s3err.Denied("Access Denied.") // it went between the two
	}
	c.asker = k
	return nil
}

// authenticateNobody lets a request without a signature pass where public reading is.
func (s serving) authenticateNobody() error {
	c := s.c
	if c.op == nil || !c.op.anonymous || !c.h.public(c.bucket) {
		return s3err.Denied("Access Denied.")
	}
	for name := range c.query {
		if strings.HasPrefix(name, "response-") {
			return s3err.BadRequest("InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
		}
	}
	return nil
}

// authorize checks that who asks may do this here. It does not tell whether there is a bucket
// that a key does not see.
func (s serving) authorize() error {
	c := s.c
	switch {
	case c.asker == nil: // a public bucket, or a browser's question
		return nil
	case c.op.level != atService && !c.sees(c.bucket):
		return s3err.Denied("Access Denied.")
	case c.op.write && c.asker.ReadOnly:
		return s3err.Denied("This key may only read.")
	}
	return nil
}

// dropped returns signed headers that did not arrive and whose names Caddy does not let pass.
func dropped(r *http.Request) (names []string) {
	_, list, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	if list == "" {
		list = r.URL.Query().Get("X-Amz-SignedHeaders")
	}
	for name := range strings.SplitSeq(list, ";") {
		if strings.ContainsAny(name, "_.") && r.Header.Values(name) == nil {
			names = append(names, name)
		}
	}
	return names
}
