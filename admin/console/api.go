package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/state"
)

// serveAPI answers a request below api/.
func (h *Handler) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	w.Header().Set("Cache-Control", "no-store")
	r = admin.As(r, audit.Caller{Address: address(r), Request: admin.Identify(w)})
	if _, isBearer := bearer(r); !isBearer {
		if err := h.sites.guard(r); err != nil {
			admin.WriteError(w, http.StatusForbidden, err.Error())
			return
		}
	}
	if path == "/session" && r.Method == http.MethodPost {
		h.signIn(w, r)
		return
	}
	c, err := h.callerOf(r)
	if err != nil {
		h.refuse(w, err)
		return
	}
	switch {
	case path == "/session" && r.Method == http.MethodGet:
		reply(w, http.StatusOK, h.viewCaller(r, c))
	case path == "/session" && r.Method == http.MethodDelete:
		h.signOut(w, r, c)
	case path == "/presign" && r.Method == http.MethodPost:
		h.presign(w, r, c)
	case path == "/stream" && r.Method == http.MethodGet:
		h.streams.serve(w, r, c)
	case path == "/sessions" || strings.HasPrefix(path, "/sessions/"):
		h.passesOf(state.PassSession, strings.TrimPrefix(path, "/sessions"), c)(w, r)
	case path == "/tokens" || strings.HasPrefix(path, "/tokens/"):
		h.passesOf(state.PassToken, strings.TrimPrefix(path, "/tokens"), c)(w, r)
	case path == "/fado/events" && r.Method == http.MethodGet:
		h.streams.hold(w, r, c, func(r *http.Request) { h.gateway.Serve(w, admin.As(below(r, path), c.audited(r)), c.Role) })
	case strings.HasPrefix(path, "/fado/"):
		h.gateway.Serve(w, admin.As(below(r, path), c.audited(r)), c.Role)
	default:
		admin.WriteError(w, http.StatusNotFound, "no such endpoint: api"+path)
	}
}

// below returns the request as the admin endpoint would have got it.
func below(r *http.Request, path string) *http.Request {
	r2 := r.Clone(r.Context())
	raw := r.URL.EscapedPath()
	if i := strings.Index(raw, "/api/fado/"); i >= 0 {
		r2.URL.RawPath = raw[i+len("/api"):]
	}
	r2.URL.Path = path
	return r2
}

// callerView answers GET and POST api/session.
type callerView struct {
	User    string     `json:"user"`
	Role    admin.Role `json:"role"`
	Why     string     `json:"why"` // why that role
	How     string     `json:"how"`
	Expires *time.Time `json:"expires"`
	SignOut string     `json:"sign_out"`
	Session string     `json:"session"`
	// Data is what the role may do with objects, at the S3 endpoint at S3; "" for none.
	Data Right  `json:"data"`
	S3   string `json:"s3"`
}

func (h *Handler) viewCaller(r *http.Request, c *caller) callerView {
	v := callerView{User: c.Name, Role: c.Role, Why: c.why(), How: c.How, SignOut: c.SignOut, Session: c.ID, Data: rights(h.Data).of(c.Role)}
	if e := h.endpoint(r); e != nil {
		v.S3 = e.URL()
	}
	if !c.Until.IsZero() {
		v.Expires = new(c.Until.UTC())
	}
	return v
}

// signInInput is the body of POST api/session: a name and a password, a token, or the code of a link.
type signInInput struct {
	User     string `json:"user"`
	Password string `json:"password"`
	Token    string `json:"token"`
	Code     string `json:"code"`
}

const (
	wrong        = "User name or password is wrong"
	wrongToken   = "The token is not valid"
	wrongLink    = "The link is no longer valid"
	needsPrivate = "Signing in needs HTTPS: the password and the session would cross the network in clear. (On this machine itself, use http://localhost.)"
)

// signIn begins a session.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) {
	if !overTLS(r) && !onLoopback(r) {
		admin.WriteError(w, http.StatusBadRequest, needsPrivate)
		return
	}
	var in signInInput
	if !readJSON(w, r, maxSignIn, &in) {
		return
	}
	p, text, err := h.admit(w, r, in)
	if err != nil {
		h.refuse(w, err)
		return
	}
	if p == nil {
		if text != "" {
			h.log.Info("a sign-in at the console failed", requestID(r), zap.String("address", address(r)), zap.String("why", text))
			h.failed(r, &in)
			admin.WriteError(w, http.StatusUnauthorized, text)
		}
		return
	}
	h.begin(w, r, p)
}

// failed puts on record that someone was not let in. Attempts with passwords and tokens are bounded;
// a code that is none costs no write. What can't be put on record now is in the log.
func (h *Handler) failed(r *http.Request, in *signInInput) {
	if in.Code != "" {
		return
	}
	how, user := "password", ""
	switch {
	case in.Token != "":
		how = "token"
	case h.accounts.byName[in.User] != nil:
		user = in.User
	}
	if err := h.passes.recordFailure(r, how, user); err != nil {
		h.log.Warn("could not put a failed sign-in on record", zap.Error(err))
	}
}

// admit returns what a session is given for: its name, role and proof; or the text for who is
// not let in. With neither, the request is answered.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, in signInInput) (*state.Pass, string, error) {
	if in.Code != "" { // random, and gone after one use: there is nothing to guess
		p, err := h.passes.takeLink(r.Context(), in.Code)
		return p, wrongLink, err
	}
	name, from := "name "+in.User[:min(len(in.User), maxName)], "address "+address(r) // no user has a longer name
	keys := []string{from}
	if in.Token == "" {
		keys = append(keys, name)
	}
	if wait := h.limit.try(h.now(), keys...); wait > 0 {
		seconds := int(wait/time.Second) + 1
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		admin.WriteError(w, http.StatusTooManyRequests, fmt.Sprintf("Too many failed attempts. Try again in %d s.", seconds))
		return nil, "", nil
	}
	if in.Token != "" {
		c, err := h.byToken(r.Context(), in.Token)
		if errors.Is(err, errSignIn) {
			return nil, wrongToken, nil
		}
		if err != nil {
			return nil, "", err
		}
		h.limit.succeed("", from)
		return &state.Pass{Name: c.Name, Role: string(c.Role), How: "token", Proof: sumOf(in.Token), Until: c.Until}, "", nil
	}
	u, err := h.accounts.checkPassword(r.Context(), in.User, in.Password)
	if err != nil || u == nil {
		return nil, wrong, err
	}
	h.limit.succeed(name, from)
	return &state.Pass{Name: u.Name, Role: string(u.Role), How: "password", Proof: sumOf(u.Hash)}, "", nil
}

// begin makes a session and sets its cookie; one that the browser had ends.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, p *state.Pass) {
	store, err := h.passes.store()
	if err != nil {
		h.refuse(w, err)
		return
	}
	now := h.now()
	secret, sum := newSecret()
	until := now.Add(time.Duration(h.SessionAbsolute))
	if !p.Until.IsZero() && p.Until.Before(until) { // a session ends with its token
		until = p.Until
	}
	p.Kind, p.Sum, p.ID, p.Created, p.Used, p.Until = state.PassSession, sum, newID(), now, now, until
	if former, err := h.bySession(r); err == nil && former != nil {
		if _, err := store.Passes().DeletePass(r.Context(), state.PassSession, former.ID); err == nil {
			h.passes.seen.forgetID(former.ID)
		}
	}
	h.passes.expire(r.Context(), store)
	who := &caller{Name: p.Name, Role: admin.Role(p.Role), How: p.How, Until: until, ID: p.ID}
	if err := h.passes.recordSession(r, audit.SignedIn, who); err != nil { // before it can be used
		h.refuse(w, err)
		return
	}
	if err := store.Passes().PutPass(r.Context(), *p); err != nil {
		h.refuse(w, err)
		return
	}
	h.log.Info("signed in at the console", requestID(r), zap.String("user", p.Name), zap.String("role", p.Role), zap.String("how", p.How), zap.String("address", address(r)))
	setCookie(w, r, secret, until)
	reply(w, http.StatusOK, h.viewCaller(r, who))
}

func setCookie(w http.ResponseWriter, r *http.Request, secret string, until time.Time) {
	c := &http.Cookie{Name: plainCookie, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Expires: until}
	if overTLS(r) {
		c.Name, c.Secure = secureCookie, true
	}
	if secret == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// signOut ends the session on every instance. Who came another way has none.
func (h *Handler) signOut(w http.ResponseWriter, r *http.Request, c *caller) {
	if c.How == "identity" {
		admin.WriteError(w, http.StatusConflict, "the site's own authentication signed you in: sign out there")
		return
	}
	if _, is := bearer(r); is {
		admin.WriteError(w, http.StatusConflict, "a token is no session, and goes on until it is revoked: DELETE tokens/"+c.ID)
		return
	}
	store, err := h.passes.store()
	if err == nil {
		err = h.passes.recordSession(r, audit.SignedOut, c)
	}
	if err == nil {
		_, err = store.Passes().DeletePass(r.Context(), state.PassSession, c.ID)
	}
	if err != nil {
		h.refuse(w, err)
		return
	}
	h.passes.seen.forget(sumOf(sessionSecret(r)))
	setCookie(w, r, "", time.Unix(1, 0))
	w.WriteHeader(http.StatusNoContent)
}
