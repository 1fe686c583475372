package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/state"
)

// passes returns what a list of sessions or tokens has.
func (b *browser) passes(path string) (all []passView) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.want(200, b.do("GET", path, ""))), &all); err != nil {
		b.t.Fatal(err)
	}
	return all
}

// Sessions and tokens are shown to admins, and made and ended by them alone.
func TestPassesAreForAdmins(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	for _, user := range []string{"vera", "ola"} {
		b := w.browser(h)
		for _, request := range []string{"GET /api/sessions", "GET /api/tokens", "POST /api/tokens", "DELETE /api/sessions/x", "DELETE /api/tokens/x"} {
			method, path, _ := strings.Cut(request, " ")
			b.want(401, b.do(method, path, ""))
		}
		b.signIn(user)
		for _, request := range []string{"GET /api/sessions", "GET /api/tokens", "POST /api/tokens", "DELETE /api/sessions/x", "DELETE /api/tokens/x"} {
			method, path, _ := strings.Cut(request, " ")
			if text := b.want(403, b.do(method, path, "")); !strings.Contains(text, "this needs the role admin, and you are ") {
				t.Errorf("%s %s: %s", user, request, text)
			}
		}
	}
	b := w.browser(h)
	b.signIn("ada")
	for _, request := range []string{"POST /api/sessions", "PUT /api/tokens", "PATCH /api/tokens/x", "GET /api/tokens/x"} {
		method, path, _ := strings.Cut(request, " ")
		b.want(405, b.do(method, path, ""))
	}
	b.want(404, b.do("DELETE", "/api/sessions/none", ""))
	b.want(404, b.do("DELETE", "/api/tokens/none", ""))
}

// An admin sees who is signed in, which session is the own one, and ends another's at once.
func TestSessionsAreEndedByAdmins(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	vera, ada := w.browser(h), w.browser(h)
	vera.signIn("vera")
	ada.signIn("ada")
	var hers string
	for _, p := range ada.passes("/api/sessions") {
		if p.Current != (p.Name == "ada") || p.How != "password" || p.Secret != "" || !p.Expires.After(w.now) {
			t.Errorf("%+v", p)
		}
		if p.Name == "vera" {
			hers = p.ID
		}
	}
	if hers == "" || vera.as() != "viewer" {
		t.Fatalf("vera's session is %q, she is asked as %q", hers, vera.as())
	}
	ada.want(404, ada.do("DELETE", "/api/tokens/"+hers, "")) // it is no token
	ada.want(204, ada.do("DELETE", "/api/sessions/"+hers, ""))
	if vera.as() != "" || ada.as() != "admin" {
		t.Errorf("vera is asked as %q, ada as %q", vera.as(), ada.as())
	}
	ada.want(404, ada.do("DELETE", "/api/sessions/"+hers, ""))
}

// A token that has expired is listed no more, signs nobody in, and ends the sessions that it began.
func TestTokensExpire(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.signIn("ada")
	var made passView
	_ = json.Unmarshal([]byte(b.want(201, b.do("POST", "/api/tokens", `{"name":" ci ","role":"viewer","days":1}`))), &made)
	if made.Name != "ci" || made.How != "ada" || !made.Expires.Equal(w.now.Add(24*time.Hour)) {
		t.Errorf("%+v", made)
	}
	person := w.browser(h)
	signIn := fmt.Sprintf(`{"token":%q}`, made.Secret)
	person.want(200, person.do("POST", "/api/session", signIn))
	w.now = w.now.Add(24 * time.Hour)
	if person.as() != "" {
		t.Error("a session goes on behind its token's end")
	}
	person.want(401, person.do("POST", "/api/session", signIn))
	b.signIn("ada")
	if all := b.passes("/api/tokens"); len(all) != 0 {
		t.Errorf("listed: %+v", all)
	}
}

// Bodies are read strictly, and so far.
func TestBodiesAreReadStrictly(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.signIn("ada")
	for body, want := range map[string]int{
		`{"name":"ci","role":"viewer","days":1} {}`: 400,
		`{"name":"ci"`: 400,
		`["ci"]`:       400,
		`{"name":"ci","role":"viewer","days":"1"}`:                                     400,
		`{"name":"ci","role":"viewer","days":0}`:                                       400,
		`{"name":"` + strings.Repeat("n", 129) + `","role":"viewer","days":1}`:         400,
		`{"name":"` + strings.Repeat("n", maxSignIn) + `","role":"viewer","days":1}`:   413,
		`{"name":"` + strings.Repeat("n", 128) + `","role":"viewer","days":365}` + " ": 201,
	} {
		b.want(want, b.do("POST", "/api/tokens", body))
	}
	h.TokensOff = true
	if text := b.want(409, b.do("POST", "/api/tokens", `{"name":"ci","role":"viewer","days":1}`)); !strings.Contains(text, "tokens off") {
		t.Error(text)
	}
	// A form can't send what is read as JSON.
	b.want(403, b.do("POST", "/api/tokens", `{}`, "Content-Type", "text/plain"))
}

// Tokens that have expired take no room from others: nobody sees them, to revoke them.
func TestExpiredTokensLeaveRoom(t *testing.T) {
	w := newWorld(t)
	b := w.browser(w.console(nil))
	b.signIn("ada")
	for i := range maxTokens {
		p := state.Pass{
			Kind: state.PassToken, Sum: fmt.Sprint("sum", i), ID: fmt.Sprint("id", i), Name: "ci", Role: "viewer", How: "ada",
			Created: w.now, Used: w.now, Until: w.now.Add(time.Minute),
		}
		if err := w.store.Passes().PutPass(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	b.want(409, b.do("POST", "/api/tokens", `{"name":"ci","role":"viewer","days":1}`))
	w.now = w.now.Add(2 * time.Minute)
	if all := b.passes("/api/tokens"); len(all) != 0 {
		t.Errorf("%d are listed", len(all))
	}
	b.want(201, b.do("POST", "/api/tokens", `{"name":"ci","role":"viewer","days":1}`))
}

// A session that an admin ended, or that another took the place of, does not come back while the database is away.
func TestEndedSessionsStayEnded(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	vera, ada := w.browser(h), w.browser(h)
	vera.signIn("vera")
	ada.signIn("ada")
	former, current := *vera.cookie, ""
	if vera.as() != "viewer" {
		t.Fatal("not signed in")
	}
	vera.signIn("vera")
	if vera.as() != "viewer" {
		t.Fatal("not signed in")
	}
	for _, p := range ada.passes("/api/sessions") {
		if p.Name == "vera" {
			current = p.ID
		}
	}
	ada.want(204, ada.do("DELETE", "/api/sessions/"+current, ""))
	w.away.Store(true)
	if as := vera.as(); as != "" {
		t.Errorf("a session that was ended is that of a %s", as)
	}
	vera.cookie = &former
	if as := vera.as(); as != "" {
		t.Errorf("a session that another took the place of is that of a %s", as)
	}
}

// A sign-in at one console leaves alone who is signed in at another, whose sessions live longer without use.
func TestSessionsOfOtherConsolesStay(t *testing.T) {
	w := newWorld(t)
	users := []*User{{"ola", hashes["ola"], "operator"}, {"ada", hashes["ada"], "admin"}}
	long := w.console(&Handler{Users: users, SessionIdle: caddy.Duration(8 * time.Hour)})
	short := w.console(&Handler{Users: users, SessionIdle: caddy.Duration(5 * time.Minute)})
	ola, ada := w.browser(long), w.browser(short)
	ola.signIn("ola")
	w.now = w.now.Add(2 * time.Hour)
	ada.signIn("ada")
	if as := ola.as(); as != "operator" {
		t.Errorf("the session is that of %q", as)
	}
}

// A configuration that gives sessions less time gives it to those that there are, too.
func TestSessionsKeepToTheConfigurationOfNow(t *testing.T) {
	w := newWorld(t)
	users := []*User{{"ola", hashes["ola"], "operator"}}
	before := w.console(&Handler{Users: users, SessionIdle: caddy.Duration(24 * time.Hour), SessionAbsolute: caddy.Duration(maxSession)})
	b := w.browser(before)
	b.signIn("ola")
	b.h = w.console(&Handler{Users: users, SessionIdle: caddy.Duration(2 * time.Hour), SessionAbsolute: caddy.Duration(2 * time.Hour)})
	for range 2 {
		w.now = w.now.Add(59 * time.Minute)
		if as := b.as(); as != "operator" {
			t.Fatalf("it is that of %q before its time", as)
		}
	}
	w.now = w.now.Add(3 * time.Minute)
	if as := b.as(); as != "" {
		t.Errorf("it goes on as %s behind its time", as)
	}
}

// What is remembered of failed attempts is small, whatever they name.
func TestLimiterRemembersLittle(t *testing.T) {
	w := newWorld(t)
	h := w.console(nil)
	b := w.browser(h)
	b.want(401, b.do("POST", "/api/session", `{"user":"`+strings.Repeat("n", 10_000)+`","password":"x"}`))
	for key := range h.limit.struck {
		if len(key) > 2*maxName {
			t.Errorf("a key has %d bytes", len(key))
		}
	}
}
