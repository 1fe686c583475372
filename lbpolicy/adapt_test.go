package lbpolicy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

var update = flag.Bool("update", false, "write what the adapter gives into the golden files")

const separator = "\n----------\n"

// Each file holds the body of a reverse_proxy, a line of dashes, and the JSON of that
// handler, or the error, which names file and line.
func TestCaddyfileAdapts(t *testing.T) {
	files, err := filepath.Glob("testdata/caddyfile_adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(text), separator)
			got := adapted(t, input)
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// adapted returns the JSON of the site's handler, or the error.
func adapted(t *testing.T, site string) string {
	t.Helper()
	cfg, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(site), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Errorf("warning: %v", w)
		}
	}
	var parsed struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []struct {
						Handle []json.RawMessage `json:"handle"`
					} `json:"routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(cfg, &parsed); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, parsed.Apps.HTTP.Servers["srv0"].Routes[0].Handle[0], "", "\t"); err != nil {
		t.Fatal(err)
	}
	// What the adapter accepts, the modules must accept.
	newWorld(t)
	if err := caddy.Validate(mustConfig(t, cfg)); err != nil {
		t.Errorf("the adapted config is not valid: %v", err)
	}
	return out.String() + "\n"
}

func mustConfig(t *testing.T, text []byte) *caddy.Config {
	t.Helper()
	cfg := new(caddy.Config)
	if err := json.Unmarshal(text, cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	return cfg
}

func TestJSONIsChecked(t *testing.T) {
	newWorld(t)
	for name, test := range map[string]struct{ policy, want string }{
		"unknown field":   {`{"policy":"data_aware","nope":1}`, "unknown field"},
		"unknown_bucket":  {`{"policy":"data_aware","unknown_bucket":"maybe"}`, `unknown_bucket: "maybe": expected "any" or "reject"`},
		"no_bucket":       {`{"policy":"data_aware","no_bucket":"maybe"}`, `no_bucket: "maybe": expected "any" or "reject"`},
		"spill":           {`{"policy":"data_aware","spill":-1}`, "spill: -1: expected"},
		"itself":          {`{"policy":"data_aware","balance":{"policy":"data_aware"}}`, "can't balance among its own candidates"},
		"unknown balance": {`{"policy":"data_aware","balance":{"policy":"nope"}}`, "nope"},
		"nameless":        {`{"policy":"data_aware","balance":{}}`, `"policy": expected the name`},
	} {
		t.Run(name, func(t *testing.T) {
			err := caddy.Validate(mustConfig(t, []byte(`{"admin":{"disabled":true},"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{
				"handler":"reverse_proxy","load_balancing":{"selection_policy":`+test.policy+`}}]}]}}}}}`)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}
