package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// FuzzCaddyfile holds that no fado block makes the parser fail otherwise than by an
// error that names file and line, and that what it accepts is JSON that Caddy reads
// back to the same app.
func FuzzCaddyfile(f *testing.F) {
	f.Add("fado")
	f.Fuzz(func(t *testing.T, input string) {
		tokens, err := caddyfile.Tokenize([]byte(input), "Caddyfile")
		if err != nil || len(tokens) == 0 {
			t.Skip("Caddy's lexer refuses it before FaDO sees it")
		}
		v, err := parseGlobalOption(caddyfile.NewDispenser(tokens), nil)
		if err != nil {
			if !strings.Contains(err.Error(), "Caddyfile:") {
				t.Errorf("the error names no line: %v", err)
			}
			return
		}
		raw := v.(httpcaddyfile.App).Value
		app := new(App)
		if err := caddy.StrictUnmarshalJSON(raw, app); err != nil {
			t.Fatalf("%s is not read back: %v", raw, err)
		}
		again, err := json.Marshal(app)
		if err != nil || string(again) != string(raw) {
			t.Errorf("read  %s\nwrote %s (%v)", raw, again, err)
		}
	})
}
