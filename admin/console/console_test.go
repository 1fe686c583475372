package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/s3gateway/urls"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/state/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a store with a control, and what consoles see of both.
type world struct {
	t     *testing.T
	store state.Store
	ctl   *control.Control
	away  atomic.Bool // the store does not answer
	now   time.Time
	// endpoints are the S3 endpoints of the configuration.
	endpoints urls.Endpoints
}

func (w *world) Control() *control.Control { return w.ctl }
func (w *world) Version() string           { return "v0-test" }
func (w *world) Endpoints() *urls.Endpoints {
	return &w.endpoints
}

func (w *world) URLKey(context.Context) (*catalog.Key, error) {
	return &catalog.Key{Name: urls.SystemKey, Secret: "the-secret-of-the-store"}, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "fado.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{t: t, store: store, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	if w.ctl, err = control.New(control.Options{Store: awayStore{store, w}, Node: "n1"}); err != nil {
		t.Fatal(err)
	}
	if err := w.ctl.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.ctl.Close)
	return w
}

// awayStore is a store that can be out of reach.
type awayStore struct {
	state.Store
	w *world
}

func (s awayStore) Passes() state.Passes { return awayStorePasses{s.Store.Passes(), s} }

type awayStorePasses struct {
	state.Passes
	of awayStore
}

func (s awayStorePasses) GetPass(ctx context.Context, sum string) (state.Pass, error) {
	if s.of.w.away.Load() {
		return state.Pass{}, state.ErrUnavailable
	}
	return s.Passes.GetPass(ctx, sum)
}

// echo stands for the API: it says as whom it was asked for what.
type echo struct{}

func (echo) Serve(w http.ResponseWriter, r *http.Request, as admin.Role) {
	reply(w, http.StatusOK, []string{string(as), r.Method, r.URL.EscapedPath()})
}

var hashes = func() map[string]string {
	all := make(map[string]string)
	for _, name := range []string{"vera", "ola", "ada"} {
		h, _ := bcrypt.GenerateFromPassword([]byte("of "+name), bcrypt.MinCost)
		all[name] = string(h)
	}
	return all
}()

// console returns one that works on the world, of three users unless it is given otherwise.
func (w *world) console(h *Handler) *Handler {
	w.t.Helper()
	if h == nil {
		h = &Handler{Users: []*User{{"vera", hashes["vera"], "viewer"}, {"ola", hashes["ola"], "operator"}, {"ada", hashes["ada"], "admin"}}}
	}
	if err := h.provision(zap.NewNop(), nil); err != nil {
		w.t.Fatal(err)
	}
	h.app, h.gateway = func() (App, error) { return w, nil }, echo{}
	h.now = func() time.Time { return w.now }
	return h
}

// browser is a client that keeps cookies and says where its requests come from, as browsers
// do.
type browser struct {
	t      *testing.T
	h      *Handler
	host   string
	cookie *http.Cookie
	header http.Header
	vars   map[string]string // placeholders
}

func (w *world) browser(h *Handler) *browser {
	return &browser{t: w.t, h: h, host: "localhost:8090", header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
}

func (b *browser) do(method, path, body string, header ...string) *http.Response {
	b.t.Helper()
	r := httptest.NewRequest(method, "http://"+b.host+path, strings.NewReader(body))
	r.Header = b.header.Clone()
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	repl := caddy.NewReplacer()
	for k, v := range b.vars {
		repl.Set(k, v)
	}
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl)
	ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, *r)
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{})
	w := httptest.NewRecorder()
	if err := b.h.ServeHTTP(w, r.WithContext(ctx), nil); err != nil {
		b.t.Fatal(err)
	}
	resp := w.Result()
	for _, c := range resp.Cookies() {
		if b.cookie = c; c.MaxAge < 0 {
			b.cookie = nil
		}
	}
	return resp
}

// want returns the body of an answer with that status.
func (b *browser) want(status int, resp *http.Response) string {
	b.t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if resp.StatusCode != status {
		b.t.Fatalf("%d %s, want %d", resp.StatusCode, body, status)
	}
	return string(body)
}

func (b *browser) signIn(user string) {
	b.t.Helper()
	body, _ := json.Marshal(map[string]string{"user": user, "password": "of " + user})
	b.want(200, b.do("POST", "/api/session", string(body)))
}

// as says in which role the API is asked; "" for not at all.
func (b *browser) as() string {
	b.t.Helper()
	resp := b.do("GET", "/api/fado/buckets", "")
	var told []string
	if resp.StatusCode == 200 {
		_ = json.NewDecoder(resp.Body).Decode(&told)
		return told[0]
	}
	return ""
}

var saidID = regexp.MustCompile(`,"request(_id)?":"[a-z2-7]{16}"`)

// withoutID takes the ID of the request out of a body, which has to have one.
func withoutID(t *testing.T, body string) string {
	t.Helper()
	if n := len(saidID.FindAllString(body, -1)); n != 1 {
		t.Errorf("%d IDs of requests in %s", n, body)
	}
	return saidID.ReplaceAllString(body, "")
}

func TestClosedByDefault(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(&Handler{}))
	for _, path := range []string{"/api/session", "/api/fado/buckets", "/api/fado/", "/api/stream", "/api/tokens", "/api/sessions", "/api/nothing"} {
		body := b.want(401, b.do("GET", path, "", "Remote-User", "ada", "Authorization", "Basic YWRhOmFkYQ=="))
		if body = withoutID(t, body); body != `{"error":"not signed in"}`+"\n" {
			t.Errorf("%s: %s", path, body)
		}
		b.want(401, b.do("GET", path, "", "Authorization", "Bearer fado_x"))
	}
	b.want(401, b.do("POST", "/api/fado/replication/pause", ""))
	if b.cookie != nil {
		t.Error("a cookie was set")
	}
	page := b.want(200, b.do("GET", "/buckets/secret-plans", ""))
	if strings.Contains(page, "secret-plans") || strings.Contains(page, "v0-test") {
		t.Errorf("the page knows %s", page)
	}
}

func TestCookies(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.signIn("ada")
	c := b.cookie
	if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure || c.Name != "fado-session" {
		t.Fatalf("on loopback: %v", c)
	}
	remote := w.browser(h)
	remote.host = "console.example.org"
	if text := remote.want(400, remote.do("POST", "/api/session", `{"user":"ada","password":"of ada"}`)); !strings.Contains(text, "HTTPS") || remote.cookie != nil {
		t.Errorf("over plain HTTP: %s, %v", text, remote.cookie)
	}
	// What a client says of the scheme does not count.
	remote.want(400, remote.do("POST", "/api/session", `{"user":"ada","password":"of ada"}`, "X-Forwarded-Proto", "https"))

	r := httptest.NewRequest("POST", "https://console.example.org/api/session", strings.NewReader(`{"user":"ada","password":"of ada"}`))
	r.Header = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Content-Type": {"application/json"}}
	rec := httptest.NewRecorder()
	_ = h.ServeHTTP(rec, r, nil)
	if c := rec.Result().Cookies(); len(c) != 1 || c[0].Name != "__Host-fado" || !c[0].Secure || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode {
		t.Errorf("over TLS: %v", c)
	}
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	one, other := w.console(nil), w.console(nil)
	b := w.browser(one)
	b.signIn("ola")
	at := func(h *Handler) string {
		c := w.browser(h)
		c.cookie = b.cookie
		return c.as()
	}
	if at(one) != "operator" || at(other) != "operator" {
		t.Error("the session does not hold on both instances")
	}
	// Each use prolongs it, up to its end.
	for range 12 {
		w.now = w.now.Add(59 * time.Minute)
		if at(other) != "operator" {
			t.Fatal("it ended while it was used")
		}
	}
	w.now = w.now.Add(13 * time.Minute)
	if at(one) != "" {
		t.Error("it lives longer than 12 hours")
	}
	b.signIn("ola")
	w.now = w.now.Add(61 * time.Minute)
	if at(one) != "" {
		t.Error("it lives longer than an hour without use")
	}
	b.signIn("ola")
	for what, users := range map[string][]*User{
		"another role":     {{"ola", hashes["ola"], "viewer"}},
		"another password": {{"ola", hashes["ada"], "operator"}},
		"no user":          {{"ada", hashes["ada"], "admin"}},
	} {
		if at(w.console(&Handler{Users: users})) != "" {
			t.Errorf("it goes on with %s", what)
		}
	}
	former := b.cookie
	b.signIn("ola")
	if b.cookie.Value == former.Value || at(one) != "operator" {
		t.Error("signing in again makes no other session")
	}
	current := b.cookie
	b.cookie = former
	if b.as() != "" {
		t.Error("the session before goes on")
	}
	b.cookie = current
	b.want(204, b.do("DELETE", "/api/session", ""))
	b.cookie = current
	if at(one) != "" || at(other) != "" {
		t.Error("it goes on after signing out")
	}
}

// Without the database, sessions that were used here go on, and no other begins.
func TestWithoutTheDatabase(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.signIn("vera")
	if b.as() != "viewer" {
		t.Fatal("not signed in")
	}
	w.away.Store(true)
	if b.as() != "viewer" {
		t.Error("the session ended with the database")
	}
	unseen := w.browser(w.console(nil))
	unseen.cookie = b.cookie
	unseen.want(503, unseen.do("GET", "/api/fado/", ""))
}

func TestOtherOriginsAreRefused(t *testing.T) {
	w := newWorld(t)
	h := w.console(&Handler{Users: []*User{{"ada", hashes["ada"], "admin"}}, TrustedOrigins: []string{"https://portal.example.org"}})
	b := w.browser(h)
	b.signIn("ada")
	const pause, body = "/api/fado/replication/pause", "{}"
	for name, tc := range map[string]struct {
		method string
		status int
		header []string
	}{
		"the page itself":                {"POST", 200, nil},
		"an old browser":                 {"POST", 200, []string{"Sec-Fetch-Site", "", "Origin", "http://localhost:8090"}},
		"a trusted origin":               {"POST", 200, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://portal.example.org"}},
		"another site":                   {"POST", 403, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}},
		"another site, old":              {"POST", 403, []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}},
		"another port":                   {"POST", 403, []string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:6000"}},
		"another port, old":              {"POST", 403, []string{"Sec-Fetch-Site", "", "Origin", "http://localhost:6000"}},
		"a sandboxed frame":              {"POST", 403, []string{"Sec-Fetch-Site", "", "Origin", "null"}},
		"nobody knows":                   {"POST", 403, []string{"Sec-Fetch-Site", ""}},
		"a typed address":                {"POST", 403, []string{"Sec-Fetch-Site", "none"}},
		"a form":                         {"POST", 403, []string{"Content-Type", "text/plain"}},
		"a read by another site":         {"GET", 403, []string{"Sec-Fetch-Site", "cross-site"}},
		"a read by another port":         {"GET", 403, []string{"Sec-Fetch-Site", "same-site"}},
		"a read by another site, old":    {"GET", 403, []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}},
		"a read by the page, old":        {"GET", 200, []string{"Sec-Fetch-Site", "", "Origin", "http://localhost:8090"}},
		"a read that tells nothing":      {"GET", 200, []string{"Sec-Fetch-Site", ""}},
		"a read by a typed address":      {"GET", 200, []string{"Sec-Fetch-Site", "none"}},
		"a token needs to prove no page": {"POST", 401, []string{"Sec-Fetch-Site", "", "Authorization", "Bearer fado_x"}},
	} {
		sent := body
		if tc.method == "GET" {
			sent = ""
		}
		if resp := b.do(tc.method, pause, sent, tc.header...); resp.StatusCode != tc.status {
			text, _ := io.ReadAll(resp.Body)
			t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, text, tc.status)
		}
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(nil))
	for _, path := range []string{"/", "/buckets/x", "/api/session", "/assets/none.js"} {
		h := b.do("GET", path, "").Header
		csp := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe-") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "http") || strings.Contains(csp, "*") {
			t.Errorf("%s: CSP %s", path, csp)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
	}
	if got := b.do("GET", "/api/session", "").Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("the API may be kept: %q", got)
	}
}

func TestGuessingIsSlow(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(nil))
	guess := func(user string) *http.Response {
		return b.do("POST", "/api/session", `{"user":"`+user+`","password":"x"}`)
	}
	for range 5 {
		if text := b.want(401, guess("ada")); !strings.Contains(text, "User name or password is wrong") {
			t.Error(text)
		}
	}
	resp := guess("ada")
	if text := b.want(429, resp); !strings.Contains(text, "Try again in") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s, %v", text, resp.Header)
	}
	b.want(429, b.do("POST", "/api/session", `{"user":"ada","password":"of ada"}`))
	b.want(429, guess("ola")) // the same address
	b.want(429, b.do("POST", "/api/session", `{"token":"fado_x"}`))
	waited, sizes := time.Duration(0), map[time.Duration]bool{}
	for range 8 {
		wait := b.h.limit.struck["name ada"].until.Sub(w.now)
		sizes[wait] = true
		w.now = w.now.Add(wait)
		waited += wait
		b.want(401, guess("ada"))
	}
	if waited < 60*time.Minute || !sizes[30*time.Second] || !sizes[15*time.Minute] {
		t.Errorf("eight more guesses took %s: %v", waited, sizes)
	}
	// A link works all the same.
	b.want(401, b.do("POST", "/api/session", `{"code":"fado_x"}`))
	w.now = w.now.Add(time.Hour)
	b.signIn("ada")
	b.signIn("ada")
}

// However many try at once, no more than five are checked.
func TestGuessesAtOnce(t *testing.T) {
	l, now, n := newLimiter(), time.Now(), 0
	for range 100 {
		if l.try(now, "address a", "name n") == 0 {
			n++
		}
	}
	if n != maxStrikes {
		t.Errorf("%d attempts", n)
	}
	for range 3 * maxStruck {
		l.strike(now, newID())
	}
	if len(l.struck) > maxStruck {
		t.Errorf("%d are remembered", len(l.struck))
	}
	l, n = newLimiter(), 0
	for i := range 100 {
		if l.try(now, "address "+string(rune('a'+i))) == 0 {
			n++
		}
	}
	if n != maxAttempts {
		t.Errorf("%d attempts from everywhere", n)
	}
}

func TestUnknownNamesLookTheSame(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(nil))
	known := withoutID(t, b.want(401, b.do("POST", "/api/session", `{"user":"ada","password":"x"}`)))
	if unknown := withoutID(t, b.want(401, b.do("POST", "/api/session", `{"user":"nobody","password":"x"}`))); unknown != known {
		t.Errorf("%s and %s", known, unknown)
	}
	// A hash of the same cost is computed.
	u, err := b.h.accounts.checkPassword(t.Context(), "nobody", "of vera")
	if u != nil || err != nil {
		t.Errorf("%v, %v", u, err)
	}
}

func (w *world) link(role string) string {
	code, sum := newSecret()
	if err := w.store.Passes().PutPass(w.t.Context(), state.Pass{Kind: state.PassLink, Sum: sum, ID: newID(), Role: role, Created: w.now, Used: w.now, Until: w.now.Add(5 * time.Minute)}); err != nil {
		w.t.Fatal(err)
	}
	return code
}

func TestALinkOpensOnce(t *testing.T) {
	w := newWorld(t)
	one, other := w.browser(w.console(&Handler{})), w.browser(w.console(&Handler{}))
	code := w.link("operator")
	open := func(b *browser, code string) *http.Response {
		return b.do("POST", "/api/session", `{"code":"`+code+`"}`)
	}
	one.want(200, open(one, code))
	if one.as() != "operator" {
		t.Error("not signed in")
	}
	if text := other.want(401, open(other, code)); !strings.Contains(text, "no longer valid") || other.cookie != nil {
		t.Errorf("the second use: %s", text)
	}
	late := w.link("admin")
	w.now = w.now.Add(6 * time.Minute)
	other.want(401, open(other, late))
	// A session is no link, and a link no session.
	code = w.link("admin")
	other.cookie = &http.Cookie{Name: plainCookie, Value: code}
	if other.as() != "" {
		t.Error("a link is taken for a session")
	}
	other.want(401, open(other, one.cookie.Value))
}

func TestRolesOverHTTP(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	for user, role := range map[string]string{"vera": "viewer", "ola": "operator", "ada": "admin"} {
		b.signIn(user)
		if got := b.as(); got != role {
			t.Errorf("%s asks as %q", user, got)
		}
		status := 403
		if role == "admin" {
			status = 200
		}
		b.want(status, b.do("GET", "/api/tokens", ""))
		b.want(status, b.do("GET", "/api/sessions", ""))
		if status == 403 {
			b.want(403, b.do("POST", "/api/tokens", `{"name":"x","role":"viewer","days":1}`))
		}
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.signIn("ada")
	for body, want := range map[string]string{
		`{"name":"ci","role":"root","days":1}`:              "role",
		`{"name":" ","role":"viewer","days":1}`:             "name",
		`{"name":"ci","role":"viewer","days":366}`:          "days",
		`{"name":"ci","role":"viewer","days":1,"title":""}`: "unknown field",
	} {
		if text := b.want(400, b.do("POST", "/api/tokens", body)); !strings.Contains(text, want) {
			t.Errorf("%s: %s", body, text)
		}
	}
	var made passView
	_ = json.Unmarshal([]byte(b.want(201, b.do("POST", "/api/tokens", `{"name":"ci","role":"operator","days":30}`))), &made)
	if len(made.Secret) < 48 || made.Name != "ci" {
		t.Fatalf("made %+v", made)
	}
	script := w.browser(h)
	script.header = http.Header{"Authorization": {"Bearer " + made.Secret}}
	if script.as() != "operator" {
		t.Error("the token does not work")
	}
	script.want(200, script.do("POST", "/api/fado/replication/pause", ""))
	if text := script.want(409, script.do("DELETE", "/api/session", "")); !strings.Contains(text, "DELETE tokens/"+made.ID) || script.as() != "operator" {
		t.Errorf("a token that signs out: %s", text)
	}
	if text := b.want(200, b.do("GET", "/api/tokens", "")); strings.Contains(text, made.Secret) || !strings.Contains(text, made.ID) {
		t.Errorf("the list is %s", text)
	}
	person := w.browser(h)
	person.want(200, person.do("POST", "/api/session", `{"token":"`+made.Secret+`"}`))
	if person.as() != "operator" {
		t.Error("the token does not sign in")
	}
	off := w.browser(w.console(&Handler{TokensOff: true}))
	off.header = script.header
	if off.as() != "" {
		t.Error("tokens off takes one")
	}
	b.want(204, b.do("DELETE", "/api/tokens/"+made.ID, ""))
	if script.as() != "" || person.as() != "" {
		t.Error("a revoked token, or its session, goes on")
	}
	b.want(404, b.do("DELETE", "/api/tokens/"+made.ID, ""))
}

func TestTheStoreKeepsNoSecret(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(nil))
	b.signIn("ada")
	made := b.want(201, b.do("POST", "/api/tokens", `{"name":"ci","role":"operator","days":30}`))
	var token passView
	_ = json.Unmarshal([]byte(made), &token)
	all, err := w.store.Passes().ListPasses(t.Context(), "")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d passes, %v", len(all), err)
	}
	kept, _ := json.Marshal(all)
	for _, secret := range []string{b.cookie.Value, token.Secret, hashes["ada"], "of ada"} {
		if bytes.Contains(kept, []byte(secret)) {
			t.Errorf("the store keeps %s", secret)
		}
	}
	for _, p := range all {
		thief := w.browser(b.h)
		thief.cookie = &http.Cookie{Name: plainCookie, Value: p.Sum}
		if thief.as() != "" {
			t.Error("the hash signs in")
		}
		thief.want(401, thief.do("GET", "/api/session", "", "Authorization", "Bearer "+p.Sum))
	}
}

func TestIdentityCannotBeForged(t *testing.T) {
	for _, name := range []string{"{header.Remote-User}", "{http.request.header.Remote-User}", "{http.request.cookie.user}", "{query.user}", "ada", "{http.auth.user.id}{header.X}", "{env.USER}", "{http.vars.x}"} {
		if err := (&Handler{Identity: &Identity{Name: name, Roles: map[admin.Role][]string{"admin": {"ada"}}}}).check(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	w := newWorld(t)
	b := w.browser(w.console(&Handler{Identity: &Identity{
		Name: "{http.auth.user.id}", Groups: "{http.reverse_proxy.header.Remote-Groups}",
		Roles: map[admin.Role][]string{"viewer": {"vera", "@dev"}, "admin": {"@ops"}},
	}}))
	b.want(401, b.do("GET", "/api/fado/", "", "Remote-User", "vera", "Remote-Groups", "ops", "X-Remote-User", "vera"))
	for name, tc := range map[string]struct {
		user, groups, role string
		status             int
	}{
		"a user":              {"vera", "", "viewer", 200},
		"of a group":          {"x", "guests, dev", "viewer", 200},
		"the highest counts":  {"vera", "dev;ops", "admin", 200},
		"of none":             {"x", "guests", "", 403},
		"a name like a group": {"@ops", "", "", 403},
		"nobody":              {"", "ops", "", 401},
	} {
		b.vars = map[string]string{"http.auth.user.id": tc.user, "http.reverse_proxy.header.Remote-Groups": tc.groups}
		resp := b.do("GET", "/api/fado/", "", "Remote-Groups", "ops")
		if resp.StatusCode != tc.status || tc.status == 200 && b.as() != tc.role {
			t.Errorf("%s: %d as %q", name, resp.StatusCode, b.as())
		}
	}
}

// Everyone is told what gives them their role.
func TestWhyARoleIsYours(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(&Handler{Identity: &Identity{
		Name: "{http.auth.user.id}", Groups: "{http.reverse_proxy.header.Remote-Groups}",
		Roles: map[admin.Role][]string{"viewer": {"vera", "@dev"}},
	}}))
	for user, says := range map[string]string{"vera": "to you by the name", "x": "to the group dev"} {
		b.vars = map[string]string{"http.auth.user.id": user, "http.reverse_proxy.header.Remote-Groups": "dev"}
		if got := b.want(200, b.do("GET", "/api/session", "")); !strings.Contains(got, says) {
			t.Errorf("%s: %s", user, got)
		}
	}
	for how, says := range map[string]string{"password": "the user of this name", "token": "the token", "link": "the link"} {
		if got := (&caller{How: how}).why(); !strings.Contains(got, says) {
			t.Errorf("%s: %s", how, got)
		}
	}
}

func TestAPIPaths(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(nil))
	b.signIn("vera")
	if got := b.want(200, b.do("GET", "/api/fado/buckets/a%2Fb/objects?prefix=x", "")); got != `["viewer","GET","/fado/buckets/a%2Fb/objects"]`+"\n" {
		t.Error(got)
	}
	b.want(404, b.do("GET", "/api/config/", ""))
	b.want(404, b.do("GET", "/api/../config/", ""))
}

// Who signs in and out is on record, with the session's name and none of its secret, before the
// session can be used; where nothing can be put on record nobody signs in.
func TestSessionsAreOnRecord(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ctl.Attach(t.Context(), control.Config{AuditKeep: time.Hour}); err != nil {
		t.Fatal(err)
	}
	b := w.browser(w.console(nil))
	b.want(401, b.do("POST", "/api/session", `{"user":"ada","password":"wrong"}`))
	b.signIn("ada")
	secret := b.cookie.Value
	b.want(204, b.do("DELETE", "/api/session", ""))
	records, err := w.store.Audits().AuditRecords(t.Context(), state.AuditFilter{Kind: audit.Session}, 0)
	if err != nil || len(records) != 3 {
		t.Fatalf("%+v, %v", records, err)
	}
	records = records[1:] // see TestFailuresAreOnRecord
	var in, out audit.SessionBody
	if err := errors.Join(json.Unmarshal(records[0].Body, &in), json.Unmarshal(records[1].Body, &out)); err != nil {
		t.Fatal(err)
	}
	if in.Event != audit.SignedIn || in.User != "ada" || in.Role == "" || in.How != "password" || in.Session == "" || in.Address == "" ||
		records[0].Actor != "console ada" || strings.Contains(secret+sumOf(secret), in.Session) {
		t.Errorf("%+v by %s", in, records[0].Actor)
	}
	if in.Request == "" || out.Request == in.Request {
		t.Errorf("the requests were %s and %s", in.Request, out.Request)
	}
	if in.Event, in.Request = audit.SignedOut, out.Request; out != in {
		t.Errorf("signed in was %+v, signed out %+v", in, out)
	}
}

// sessionsOnRecord returns the bodies of the records about sessions, each with its actor before it.
func (w *world) sessionsOnRecord() (all []string) {
	w.t.Helper()
	records, err := w.store.Audits().AuditRecords(context.Background(), state.AuditFilter{Kind: audit.Session}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		all = append(all, r.Actor+" "+string(r.Body))
	}
	return all
}

// Who is not let in is on record, without what was typed; a code that is no link's costs no record.
func TestFailuresAreOnRecord(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ctl.Attach(t.Context(), control.Config{AuditKeep: time.Hour}); err != nil {
		t.Fatal(err)
	}
	b := w.browser(w.console(nil))
	b.want(401, b.do("POST", "/api/session", `{"user":"ada","password":"typed-wrong"}`))
	b.want(401, b.do("POST", "/api/session", `{"user":"typed-password","password":"x"}`))
	b.want(401, b.do("POST", "/api/session", `{"token":"fado_typed-token"}`))
	b.want(401, b.do("POST", "/api/session", `{"code":"fado_typed-code"}`))
	got := w.sessionsOnRecord()
	if len(got) != 3 || strings.Contains(strings.Join(got, ""), "typed") {
		t.Fatalf("%q", got)
	}
	for i, want := range []string{ // apart from the request
		`console ada {"address":"192.0.2.1","event":"sign-in-failed","how":"password","role":"","session":"","user":"ada"}`,
		`console {"address":"192.0.2.1","event":"sign-in-failed","how":"password","role":"","session":"","user":""}`,
		`console {"address":"192.0.2.1","event":"sign-in-failed","how":"token","role":"","session":"","user":""}`,
	} {
		if got := withoutID(t, got[i]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Tokens are on record before they can be used, and when they are revoked; their secrets are not.
func TestTokensAreOnRecord(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ctl.Attach(t.Context(), control.Config{AuditKeep: time.Hour}); err != nil {
		t.Fatal(err)
	}
	b := w.browser(w.console(nil))
	b.signIn("ada")
	var made passView
	if err := json.Unmarshal([]byte(b.want(201, b.do("POST", "/api/tokens", `{"name":"ci","role":"operator","days":1}`))), &made); err != nil {
		t.Fatal(err)
	}
	b.want(204, b.do("DELETE", "/api/tokens/"+made.ID, ""))
	got := w.sessionsOnRecord()
	if len(got) != 3 || strings.Contains(strings.Join(got, ""), made.Secret) || strings.Contains(strings.Join(got, ""), sumOf(made.Secret)) {
		t.Fatalf("%q", got)
	}
	for i, event := range []string{"token-made", "token-revoked"} {
		if r := got[i+1]; !strings.HasPrefix(r, "console ada ") || !strings.Contains(r, `"event":"`+event+`"`) || !strings.Contains(r, made.ID) {
			t.Errorf("%s: %s", event, r)
		}
	}
	if !strings.Contains(got[1], `"role":"operator"`) || !strings.Contains(got[1], `"user":"ci"`) {
		t.Errorf("%s", got[1])
	}
}
