package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// secretPrefix begins every secret that FaDO makes, so that scanners for leaked secrets can
// tell them.
const secretPrefix = "fado_"

// newSecret makes 256 random bits, and the hash that the store keeps of them. They are
// random, so a fast hash is enough.
func newSecret() (secret, sum string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	return secret, sumOf(secret)
}

// newID makes the public name of a pass.
func newID() string { return strings.ToLower(rand.Text()[:12]) }

// sumOf is the hash of a secret that the store keeps.
func sumOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// maxSecret bounds what is taken for a secret.
const maxSecret = 200

// store returns the running app's.
func (h *Handler) store() (state.Store, error) {
	ctl, err := h.control()
	if err != nil {
		return nil, err
	}
	return ctl.Store(), nil
}

// control returns the running app's.
func (h *Handler) control() (*control.Control, error) {
	app, err := h.app()
	if err != nil {
		return nil, err
	}
	ctl := app.Control()
	if ctl == nil {
		return nil, errStarting
	}
	return ctl, nil
}

var errStarting = errors.New("the fado app is starting")

// pass finds a session or a token by its secret; nil if there is none. Without the
// database, sessions that were used here lately go on: what changes something is refused by
// the store itself.
func (h *Handler) pass(ctx context.Context, kind state.PassKind, secret string) (*state.Pass, error) {
	if len(secret) > maxSecret || !strings.HasPrefix(secret, secretPrefix) {
		return nil, nil
	}
	store, err := h.store()
	if err != nil {
		return nil, err
	}
	sum := sumOf(secret)
	p, err := store.GetPass(ctx, sum)
	switch {
	case errors.Is(err, state.ErrNotFound):
		h.seen.forget(sum)
		return nil, nil
	case errors.Is(err, state.ErrUnavailable):
		var ok bool
		if p, ok = h.seen.get(sum); !ok {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		h.seen.put(p)
	}
	if p.Kind != kind || !h.valid(p) {
		return nil, nil
	}
	h.touch(ctx, store, p)
	return &p, nil
}

// valid says whether a pass is one still.
func (h *Handler) valid(p state.Pass) bool {
	now := h.now()
	if !admin.Role(p.Role).Valid() || !now.Before(p.Until) {
		return false
	}
	return p.Kind != state.PassSession || now.Sub(p.Used) < time.Duration(h.SessionIdle)
}

// touch notes a use, coarsely.
func (h *Handler) touch(ctx context.Context, store state.Store, p state.Pass) {
	now := h.now()
	if now.Sub(p.Used) < min(time.Minute, time.Duration(h.SessionIdle)/10) {
		return
	}
	// A use that is not noted ends the session early, at worst.
	if store.TouchPass(ctx, p.Sum, now) == nil {
		p.Used = now
		h.seen.put(p)
	}
}
