package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/state"
)

// caller is who asks.
type caller struct {
	Name string
	Role admin.Role
	// How they came in: password, token, link or identity.
	How string
	// Until is when the session ends at the latest; zero for an identity.
	Until time.Time
	// ID of the session or the token.
	ID string
	// SignOut leads out of the site's own authentication.
	SignOut string
}

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
	p, err := h.pass(ctx, state.PassToken, secret)
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
	p, err := h.pass(r.Context(), state.PassSession, secret)
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
		u := h.users[p.Name]
		return u != nil && string(u.Role) == p.Role && sumOf(u.Hash) == p.Proof, nil
	case "token":
		if h.TokensOff {
			return false, nil
		}
		store, err := h.store()
		if err != nil {
			return false, err
		}
		token, err := store.GetPass(ctx, p.Proof)
		if errors.Is(err, state.ErrUnavailable) {
			return true, nil // as with every session
		}
		if errors.Is(err, state.ErrNotFound) {
			return false, nil
		}
		return err == nil && token.Kind == state.PassToken && token.Role == p.Role && h.valid(token), err
	case "link":
		return true, nil
	default:
		return false, nil
	}
}

// maxHashing is how many passwords are checked at a time: argon2id takes 46 MiB each.
const maxHashing = 2

// checkPassword returns the user whose password it is; nil for nobody. It takes the same time
// for names that are not known.
func (h *Handler) checkPassword(ctx context.Context, name, password string) (*User, error) {
	select {
	case h.hashing <- struct{}{}:
		defer func() { <-h.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	u := h.users[name]
	hash := string(caddyauth.Argon2idHash{}.FakeHash())
	switch {
	case u != nil:
		hash = u.Hash
	case len(h.Users) > 0:
		hash = h.Users[0].Hash
	}
	comparer, err := comparerOf(hash)
	if err != nil {
		return nil, err
	}
	ok, err := comparer.Compare([]byte(hash), []byte(password))
	if err != nil || !ok || u == nil {
		return nil, err
	}
	return u, nil
}

// comparerOf returns what checks passwords against a hash.
func comparerOf(hash string) (caddyauth.Comparer, error) {
	switch {
	case strings.HasPrefix(hash, "$argon2id$"):
		if _, _, err := caddyauth.DecodeHash([]byte(hash)); err != nil {
			return nil, fmt.Errorf("hash: %w: expected what \"caddy hash-password\" prints", err)
		}
		return caddyauth.Argon2idHash{}, nil
	case len(hash) == 60 && strings.HasPrefix(hash, "$2"):
		return caddyauth.BcryptHash{}, nil
	default:
		return nil, errors.New("hash: expected what \"caddy hash-password\" prints, argon2id or bcrypt: a password in clear is refused")
	}
}
