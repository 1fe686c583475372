package console

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/fado-project/fado/admin"
)

func TestParse(t *testing.T) {
	h := new(Handler)
	err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(`fado_console {
		user ada ` + hashes["ada"] + ` admin
		user ola ` + hashes["ola"] + ` operator
		identity {http.auth.user.id} {
			groups {http.reverse_proxy.header.Remote-Groups}
			role admin @ops
			role viewer @dev eve
			role viewer mallory
			sign_out /logout
		}
		tokens off
		session 10m 2h
		data viewer read
		data admin none
		s3 https://s3.example.org
		trusted_origin https://portal.example.org
		base_path /console
	}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Handler{
		Users: []*User{{"ada", hashes["ada"], "admin"}, {"ola", hashes["ola"], "operator"}},
		Identity: &Identity{
			Name: "{http.auth.user.id}", Groups: "{http.reverse_proxy.header.Remote-Groups}", SignOut: "/logout",
			Roles: map[admin.Role][]string{"admin": {"@ops"}, "viewer": {"@dev", "eve", "mallory"}},
		},
		TokensOff: true, SessionIdle: caddy.Duration(10 * time.Minute), SessionAbsolute: caddy.Duration(2 * time.Hour),
		Data: map[admin.Role]Right{"viewer": RightRead, "admin": RightNone}, S3: "https://s3.example.org",
		TrustedOrigins: []string{"https://portal.example.org"}, BasePath: "/console",
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("%+v, want %+v", h, want)
	}
	if err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser("fado_console")); err != nil {
		t.Error(err)
	}
}

func TestParseErrors(t *testing.T) {
	for input, want := range map[string]string{
		"fado_console x":                                                                                "unexpected argument",
		"fado_console {\n wat\n}":                                                                       "expected user, identity, tokens, session, data, s3, trusted_origin or base_path",
		"fado_console {\n user ada\n}":                                                                  "expected user <name> <hash>",
		"fado_console {\n user ada secret admin\n}":                                                     "a password in clear is refused",
		"fado_console {\n user ada " + hashes["ada"] + " root\n}":                                       "expected viewer, operator or admin",
		"fado_console {\n data viewer\n}":                                                               "expected data <role> none|read|write",
		"fado_console {\n data root read\n}":                                                            "expected viewer, operator or admin",
		"fado_console {\n data viewer all\n}":                                                           "expected none, read or write",
		"fado_console {\n data viewer read\n data viewer none\n}":                                       "given twice",
		"fado_console {\n s3 s3.example.org\n}":                                                         "expected scheme and host",
		"fado_console {\n tokens on\n}":                                                                 "expected off",
		"fado_console {\n session 1h\n}":                                                                "expected session <idle> <absolute>",
		"fado_console {\n session 2h 1h\n}":                                                             "longer than",
		"fado_console {\n session 1h 60d\n}":                                                            "at most",
		"fado_console {\n session x 1h\n}":                                                              "expected a duration",
		"fado_console {\n base_path console\n}":                                                         "expected a path",
		"fado_console {\n base_path //evil.example\n}":                                                  "expected a path",
		"fado_console {\n trusted_origin portal\n}":                                                     "expected scheme and host",
		"fado_console {\n tokens off\n tokens off\n}":                                                   "given twice",
		"fado_console {\n identity {http.auth.user.id}\n}":                                              "nobody has access",
		"fado_console {\n identity {http.request.header.X} {\n role admin a\n }\n}":                     "can't forge",
		"fado_console {\n identity {http.auth.user.id} {\n role root a\n }\n}":                          "expected viewer, operator or admin",
		"fado_console {\n identity {http.auth.user.id} {\n role admin\n }\n}":                           "expected groups",
		"fado_console {\n identity {http.auth.user.id} {\n sign_out javascript:x\n role admin a\n }\n}": "expected a URL or a path",
	} {
		err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(input))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", input, err, want)
		}
	}
}
