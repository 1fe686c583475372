package eventhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"path"
	"strings"
)

// errNoToken answers a request without the secret, with what was expected.
var (
	errNoToken    = errors.New("expected the token: Authorization: Bearer <token>, Authorization: Basic with it as the password, ?token=<token>, or it as the last part of the path")
	errWrongToken = errors.New("the token is not the one of this endpoint")
)

// secret is the hash of the token that senders show.
type secret [sha256.Size]byte

func secretOf(token string) secret { return sha256.Sum256([]byte(token)) }

// authorize checks the secret in constant time. It may come as a bearer token (RFC 6750), as
// the password of any user (RFC 7617), as the query parameter token, or as the last segment of
// the path, for senders that can set nothing else.
func (s secret) authorize(w http.ResponseWriter, r *http.Request) error {
	const challenge = `Bearer realm="fado_events"`
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
	case strings.EqualFold(scheme, "Basic"):
		_, token, _ = r.BasicAuth()
	case r.URL.Query().Has("token"):
		token = r.URL.Query().Get("token")
	case s.is(path.Base(r.URL.Path)):
		return nil
	default:
		w.Header().Set("WWW-Authenticate", challenge)
		return errNoToken
	}
	if !s.is(strings.TrimSpace(token)) {
		w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
		return errWrongToken
	}
	return nil
}

func (s secret) is(token string) bool {
	other := secretOf(token)
	return subtle.ConstantTimeCompare(other[:], s[:]) == 1
}
