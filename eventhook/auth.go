package eventhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// errNoToken answers a request without the secret, with what was expected.
var (
	errNoToken    = errors.New("expected the token: Authorization: Bearer <token>, Authorization: Basic with it as the password, ?token=<token>, or it as the last part of the path")
	errWrongToken = errors.New("the token is not the one of this endpoint")
)

// authorize checks the secret in constant time. It may come as a bearer token (RFC 6750), as
// the password of any user (RFC 7617), as the query parameter token, or as the last segment of
// the path, for senders that can set nothing else.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) error {
	const challenge = `Bearer realm="fado_events"`
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
	case strings.EqualFold(scheme, "Basic"):
		_, token, _ = r.BasicAuth()
	case r.URL.Query().Has("token"):
		token = r.URL.Query().Get("token")
	case h.is(path.Base(r.URL.Path)):
		return nil
	default:
		w.Header().Set("WWW-Authenticate", challenge)
		return errNoToken
	}
	if !h.is(strings.TrimSpace(token)) {
		w.Header().Set("WWW-Authenticate", challenge+`, error="invalid_token"`)
		return errWrongToken
	}
	return nil
}

func (h *Handler) is(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], h.sum[:]) == 1
}

const (
	// refusalEvery is the time between log lines about the refused events of one sender, of
	// which so many are remembered.
	refusalEvery   = time.Minute
	refusalSenders = 1000
)

// refusals logs refused events, at most one line a minute and sender.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// tell reports whether a refusal of a sender's events is to be logged now.
func (f *refusals) tell(sender string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.last[sender]; ok && now.Sub(at) < refusalEvery {
		return false
	}
	if f.last == nil || len(f.last) >= refusalSenders {
		f.last = make(map[string]time.Time)
	}
	f.last[sender] = now
	return true
}

// refused logs that events were refused.
func (h *Handler) refused(r *http.Request, status int, err error) {
	sender := r.RemoteAddr
	if host, _, splitErr := net.SplitHostPort(sender); splitErr == nil {
		sender = host
	}
	if h.refusals.tell(sender, h.now()) {
		h.log.Warn("events refused; further refusals of this sender are not logged for a minute",
			zap.Int("status", status), zap.String("sender", sender), zap.Error(err))
	}
}
