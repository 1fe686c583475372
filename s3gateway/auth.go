package s3gateway

import (
	"errors"
	"path"
	"time"

	"github.com/fado-project/fado/s3gateway/internal/sigv4"
)

// identity is who asks: a key, or nobody.
type identity struct {
	id       string // "" for nobody
	buckets  []string
	readOnly bool
}

// sees reports whether the key may know of a bucket.
func (i identity) sees(bucket string) bool {
	return i.id != "" && (len(i.buckets) == 0 || matchesAny(i.buckets, bucket))
}

// matchesAny reports whether a name matches one of the patterns, which have been checked.
func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}

// accessKey is a key as requests are checked by it.
type accessKey struct {
	secret   string
	buckets  []string
	readOnly bool
	expires  time.Time // zero: never
}

// authenticate verifies the signature and finds out who asks.
func (c *call) authenticate() error {
	v, err := c.h.verifier().Verify(c.r)
	if errors.Is(err, sigv4.ErrAnonymous) {
		return c.authenticateNobody()
	}
	if err != nil {
		return err
	}
	c.verified = v
	k, ok := c.h.accessKey(v.KeyID)
	if !ok {
		return denied("Access Denied.") // it went between the two
	}
	c.key0 = identity{id: v.KeyID, buckets: k.buckets, readOnly: k.readOnly}
	return nil
}

// authenticateNobody lets a request without a signature pass where public reading is.
func (c *call) authenticateNobody() error {
	if c.op == nil || !c.op.anonymous || !matchesAny(c.h.Anonymous, c.bucket) {
		return denied("Access Denied.")
	}
	return nil
}

// authorize checks that who asks may do this here. It does not tell whether there is a bucket
// that a key does not see.
func (c *call) authorize() error {
	switch {
	case c.key0.id == "": // a public bucket
		return nil
	case c.op.level != atService && !c.key0.sees(c.bucket):
		return denied("Access Denied.")
	case c.op.write && c.key0.readOnly:
		return denied("This key may only read.")
	}
	return nil
}

// verifier returns the verifier of signatures.
func (h *Handler) verifier() *sigv4.Verifier {
	return &sigv4.Verifier{
		Region: h.Region, MaxSkew: time.Duration(h.MaxClockSkew), Now: h.now,
		Secret: func(id string) (string, bool) {
			k, ok := h.accessKey(id)
			return k.secret, ok
		},
		Expired: func(id string) bool {
			k, ok := h.accessKey(id)
			return ok && !k.expires.IsZero() && !h.now().Before(k.expires)
		},
	}
}

// accessKey finds a key: one of this endpoint's, or one made at /fado/keys.
func (h *Handler) accessKey(id string) (accessKey, bool) {
	if k, ok := h.keys[id]; ok {
		return k, true
	}
	k, ok := h.app.Key(id)
	if !ok {
		return accessKey{}, false
	}
	return accessKey{secret: k.Secret, buckets: k.Buckets, readOnly: k.ReadOnly, expires: k.Expires}, true
}
