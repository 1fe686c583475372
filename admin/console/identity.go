package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/admin"
)

// Identity takes over who the site's own authentication found someone to be.
type Identity struct {
	// The placeholder that names the user: {http.auth.user.id} after basic_auth and other
	// authentication of Caddy, {http.reverse_proxy.header.Remote-User} after forward_auth,
	// {http.request.tls.client.subject} with client certificates. What clients send
	// themselves, such as {header.Remote-User}, is refused. Required.
	Name string `json:"name,omitempty"`

	// The placeholder that lists the user's groups, separated by commas, semicolons or spaces.
	// Default: none.
	Groups string `json:"groups,omitempty"`

	// Who has which role: names of users, and of groups behind an @. Of several roles the
	// highest counts; with none there is no access. Required.
	Roles map[admin.Role][]string `json:"roles,omitempty"`

	// Where "Sign out" leads. Default: nowhere, the console can't end the site's session.
	SignOut string `json:"sign_out,omitempty"`
}

// unforgeable are the placeholders that hold what Caddy or an authentication server found out.
var unforgeable = regexp.MustCompile(`^\{http\.(auth\.user|reverse_proxy\.header|request\.tls\.client)\.[A-Za-z0-9_.-]+\}$`)

func (id *Identity) check() error {
	var errs []error
	for what, placeholder := range map[string]string{"identity": id.Name, "groups": id.Groups} {
		if what == "groups" && placeholder == "" {
			continue
		}
		if !unforgeable.MatchString(placeholder) {
			errs = append(errs, fmt.Errorf("%s: %q: expected a placeholder that clients can't forge: {http.auth.user.*}, {http.reverse_proxy.header.*} or {http.request.tls.client.*}", what, placeholder))
		}
	}
	if len(id.Roles) == 0 {
		errs = append(errs, errors.New("identity: without a role nobody has access: expected role <role> <user|@group...>"))
	}
	for role, who := range id.Roles {
		if !role.Valid() {
			errs = append(errs, fmt.Errorf("identity: role: %q: expected viewer, operator or admin", role))
		}
		if slices.Contains(who, "") || slices.Contains(who, "@") {
			errs = append(errs, fmt.Errorf("identity: role %s: expected names of users, or of groups behind an @", role))
		}
	}
	if u, err := url.Parse(id.SignOut); err != nil || id.SignOut != "" && u.Scheme != "https" && u.Scheme != "http" && !strings.HasPrefix(id.SignOut, "/") {
		errs = append(errs, fmt.Errorf("identity: sign_out: %q: expected a URL or a path", id.SignOut))
	}
	return errors.Join(errs...)
}

// errNoAccess answers someone whom the site knows and the console gives no role.
var errNoAccess = errors.New("no role of the console is yours")

// of returns who asks; nil if the site's authentication named nobody.
func (id *Identity) of(r *http.Request) (*caller, error) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return nil, nil
	}
	name := strings.TrimSpace(repl.ReplaceAll(id.Name, ""))
	if name == "" {
		return nil, nil
	}
	who := []string{name}
	if id.Groups != "" {
		for _, g := range strings.FieldsFunc(repl.ReplaceAll(id.Groups, ""), func(c rune) bool { return strings.ContainsRune(",; \t", c) }) {
			who = append(who, "@"+g)
		}
	}
	// A user's name that begins with an @ would be taken for a group.
	if strings.HasPrefix(name, "@") {
		return nil, errNoAccess
	}
	for _, role := range []admin.Role{admin.RoleAdmin, admin.RoleOperator, admin.RoleViewer} {
		for _, named := range id.Roles[role] {
			if slices.Contains(who, named) {
				return &caller{Name: name, Role: role, How: "identity", SignOut: id.SignOut, Named: named}, nil
			}
		}
	}
	return nil, errNoAccess
}
