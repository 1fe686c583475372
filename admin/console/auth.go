package console

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/state"
)

// The cookie of a session: on plain HTTP, which is for loopback only, browsers take none
// that has the prefix.
const (
	secureCookie = "__Host-fado"
	plainCookie  = "fado-session"
)

// errSignIn answers who has to sign in.
var errSignIn = errors.New("sign in")

// callerOf finds out who asks: by a bearer token, by a session, or by the site's own
// authentication.
func (h *Handler) callerOf(r *http.Request) (*caller, error) {
	if token, ok := bearer(r); ok {
		return h.byToken(r.Context(), token)
	}
	if c, err := h.bySession(r); c != nil || err != nil {
		return c, err
	}
	if h.Identity != nil {
		if c, err := h.Identity.of(r); c != nil || err != nil {
			return c, err
		}
	}
	return nil, errSignIn
}

// bearer returns the token of a request (RFC 6750).
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

func (h *Handler) byToken(ctx context.Context, secret string) (*caller, error) {
	if h.TokensOff {
		return nil, errSignIn
	}
	p, err := h.passes.find(ctx, state.PassToken, secret)
	if err != nil || p == nil {
		return nil, or(err, errSignIn)
	}
	return &caller{Name: p.Name, Role: admin.Role(p.Role), How: "token", Until: p.Until, ID: p.ID}, nil
}

// or returns the first error there is.
func or(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// bySession returns who has a session; nil for nobody.
func (h *Handler) bySession(r *http.Request) (*caller, error) {
	secret := sessionSecret(r)
	if secret == "" {
		return nil, nil
	}
	p, err := h.passes.find(r.Context(), state.PassSession, secret)
	if err != nil || p == nil {
		return nil, err
	}
	if ok, err := h.stands(r.Context(), p); !ok || err != nil {
		return nil, err
	}
	return &caller{Name: p.Name, Role: admin.Role(p.Role), How: p.How, Until: p.Until, ID: p.ID}, nil
}

func sessionSecret(r *http.Request) string {
	name := plainCookie
	if overTLS(r) {
		name = secureCookie
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// stands says whether what a session was given for is there still: it ends with the user, the
// password, the role or the token.
func (h *Handler) stands(ctx context.Context, p *state.Pass) (bool, error) {
	switch p.How {
	case "password":
		u := h.accounts.byName[p.Name]
		return u != nil && string(u.Role) == p.Role && sumOf(u.Hash) == p.Proof, nil
	case "token":
		if h.TokensOff {
			return false, nil
		}
		store, err := h.passes.store()
		if err != nil {
			return false, err
		}
		token, err := store.Passes().GetPass(ctx, p.Proof)
		if errors.Is(err, state.ErrUnavailable) {
			return true, nil // as with every session
		}
		if errors.Is(err, state.ErrNotFound) {
			return false, nil
		}
		return err == nil && token.Kind == state.PassToken && token.Role == p.Role && h.passes.valid(token), err
	case "link":
		return true, nil
	default:
		return false, nil
	}
}
