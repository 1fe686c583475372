package s3gateway

import (
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/s3gateway/internal/sigv4"
	"github.com/fado-project/fado/s3gateway/urls"
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

// accessKey finds a key: one of this endpoint's, one made at /fado/keys, or that of a URL that FaDO
// signed.
func (h *Handler) accessKey(id string) (*catalog.Key, bool) {
	if id == urls.SystemKey {
		return nil, false // URLs have keys of their own
	}
	if g, ok := urls.ParseID(id); ok {
		return h.urlKey(g)
	}
	if k, ok := h.keys[id]; ok {
		return k, true
	}
	made := h.app.Router().Snapshot().Key(id)
	return made, made != nil
}

// public reports whether everyone may read a bucket's objects.
func (h *Handler) public(bucket string) bool {
	return len(h.Anonymous) > 0 && (&catalog.Key{Buckets: h.Anonymous}).Allows(bucket)
}

// urlKey returns the key of a URL that FaDO signed.
func (h *Handler) urlKey(g urls.Grant) (*catalog.Key, bool) {
	system := h.app.Router().Snapshot().Key(urls.SystemKey)
	if system == nil || !g.Begun(h.now()) {
		return nil, false
	}
	k := g.Key(system)
	return k, k != nil
}
