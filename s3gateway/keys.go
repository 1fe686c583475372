package s3gateway

import (
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/s3gateway/internal/sigv4"
)

// verifier returns the verifier of signatures.
func (h *Handler) verifier() *sigv4.Verifier {
	return &sigv4.Verifier{
		Region: h.Region, MaxSkew: time.Duration(h.MaxClockSkew), Now: h.now,
		Secret: func(id string) (string, bool) {
			k, ok := h.accessKey(id)
			if !ok {
				return "", false
			}
			return k.Secret, true
		},
		Expired: func(id string) bool {
			k, ok := h.accessKey(id)
			return ok && k.Expired(h.now())
		},
	}
}

// accessKey finds a key: one of this endpoint's, or one made at /fado/keys.
func (h *Handler) accessKey(id string) (*catalog.Key, bool) {
	if k, ok := h.keys[id]; ok {
		return k, true
	}
	return h.app.Key(id)
}

// public reports whether everyone may read a bucket's objects.
func (h *Handler) public(bucket string) bool {
	return len(h.Anonymous) > 0 && (&catalog.Key{Buckets: h.Anonymous}).Allows(bucket)
}
