package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/state"
)

// signInLinkInput is the body of POST /fado/console/links; it may be empty.
type signInLinkInput struct {
	// The role of the person who opens the link. Default: admin.
	Role role `json:"role,omitempty"`
	// Where the console is, such as https://console.example.org/.
	URL string `json:"url,omitempty"`
}

// signInLinkView answers POST /fado/console/links.
type signInLinkView struct {
	// What to open in a browser: the URL given, with the code after its #.
	Link string `json:"link"`
	// The code alone, for a console whose address was not given.
	Code    string    `json:"code"`
	Role    role      `json:"role"`    // the role of the person who opens it
	Expires time.Time `json:"expires"` // when it stops working
}

// linkLife is how long a link can be opened.
const linkLife = 5 * time.Minute

// LinkFragment is what stands before the code of a link to sign in with: in the fragment of
// the URL, which browsers send nowhere.
const LinkFragment = "#sign-in="

// makeLink makes a link that signs one browser in at the console, once. Who may use the admin
// endpoint may do what every role may.
func makeLink(c *call) error {
	in, err := c.signInLinkInput()
	if err != nil {
		return err
	}
	code, now := "fado_"+rand.Text(), time.Now()
	sum := sha256.Sum256([]byte(code))
	p := state.Pass{
		Kind: state.PassLink, Sum: hex.EncodeToString(sum[:]), ID: strings.ToLower(rand.Text()[:12]), Name: "link",
		Role: string(in.Role), How: "link", Created: now, Used: now, Until: now.Add(linkLife),
	}
	if err := c.catalogue.Store().Passes().PutPass(c.R.Context(), p); err != nil {
		return err
	}
	c.W.Header().Set("Cache-Control", "no-store")
	return c.Reply(http.StatusCreated, signInLinkView{Link: in.URL + LinkFragment + code, Code: code, Role: in.Role, Expires: p.Until.UTC().Truncate(time.Second)})
}

func (c *call) signInLinkInput() (in signInLinkInput, err error) {
	body, err := c.Peek()
	if err != nil {
		return in, err
	}
	if len(strings.TrimSpace(string(body))) > 0 {
		if err := request.Decode(body, &in, `{"role": "viewer", "operator" or "admin", "url": "…"}`); err != nil {
			return in, err
		}
	}
	if in.Role == "" {
		in.Role = roleAdmin
	}
	if in.Role.rank() == 0 {
		return in, request.Bad("role: %q: expected viewer, operator or admin", in.Role)
	}
	if in.URL != "" {
		u, err := url.Parse(in.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return in, request.Bad("url: %q: expected the console's address, such as https://console.example.org/", in.URL)
		}
	}
	return in, nil
}
