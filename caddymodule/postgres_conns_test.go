package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Connections that stay open may be none, as where the option is not given; those that may be open are one at least.
func TestConnectionsInACaddyfile(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]string{
		"min_conns 0":  "",
		"min_conns 3":  "",
		"min_conns -1": `min_conns: "-1": expected a number from 0 to 1000`,
		"max_conns 1":  "",
		"max_conns 0":  `max_conns: "0": expected a number from 1 to 1000`,
	} {
		p := new(Postgres)
		err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser("postgres postgres://db/fado {\n" + text + "\n}"))
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v, want %q", text, err, wrong)
		}
	}
}
