package caddymodule

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
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "rewrite the expected part of testdata/*.caddyfiletest")

const separator = "\n----------\n"

// adapt turns a Caddyfile into Caddy's JSON.
func adapt(caddyfile string) ([]byte, error) {
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	err = json.Indent(&buf, out, "", "\t")
	return buf.Bytes(), err
}

// TestAdapt holds every file of testdata to what stands below its line of dashes: the
// JSON it adapts to, or the exact error.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			caddyfile, want := readGolden(t, file)
			var got string
			if out, err := adapt(caddyfile); err != nil {
				got = err.Error()
			} else {
				got = string(out)
			}
			if *update {
				if err := os.WriteFile(file, []byte(caddyfile+separator[1:]+got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func readGolden(t *testing.T, file string) (caddyfile, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	caddyfile, want, ok := strings.Cut(string(data), separator)
	if !ok && !*update {
		t.Fatalf("%s has no line of dashes", file)
	}
	return caddyfile + "\n", strings.TrimSpace(want)
}

// fadoJSON returns the fado app's part of a Caddy configuration.
func fadoJSON(t *testing.T, config []byte) json.RawMessage {
	t.Helper()
	var c struct {
		Apps map[string]json.RawMessage `json:"apps"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	return c.Apps[appName]
}

// TestJSONRoundTrip reads every adapted configuration strictly, as Caddy does, and
// writes it again without loss.
func TestJSONRoundTrip(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.caddyfiletest")
	read := 0
	for _, file := range files {
		_, want := readGolden(t, file)
		if !strings.HasPrefix(want, "{") {
			continue
		}
		read++
		var first, second bytes.Buffer
		raw := fadoJSON(t, []byte(want))
		app := new(App)
		if err := caddy.StrictUnmarshalJSON(raw, app); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		out, err := json.Marshal(app)
		if err != nil {
			t.Fatal(err)
		}
		if json.Compact(&first, raw) != nil || json.Compact(&second, out) != nil || first.String() != second.String() {
			t.Errorf("%s:\nread  %s\nwrote %s", file, first.String(), second.String())
		}
	}
	if read == 0 {
		t.Fatal("no file of testdata adapts")
	}
}

// TestUnknownJSONFieldsAreRefused: a misspelt field is never silently ignored.
func TestUnknownJSONFieldsAreRefused(t *testing.T) {
	for _, raw := range []string{
		`{"zonez":[]}`, `{"zones":[{"name":"eu","colour":"blue"}]}`,
		`{"replication":{"worker":1}}`, `{"clusters":[{"name":"c","storage":{"url":"http://x"}}]}`,
	} {
		if err := caddy.StrictUnmarshalJSON([]byte(raw), new(App)); err == nil {
			t.Errorf("%s was read", raw)
		}
	}
}

func TestMaxDeletes(t *testing.T) {
	for text, want := range map[string]MaxDeletes{
		"1000": {Objects: 1000}, "10%": {Percent: 10}, "1000 10%": {Objects: 1000, Percent: 10}, "1 0.5%": {Objects: 1, Percent: 0.5},
	} {
		got, err := ParseMaxDeletes(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q: got %+v (%s), %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "0%", "101%", "10% 1000", "1 2", "1 2% 3", "x", "10 %", "NaN%", "1e3"} {
		if got, err := ParseMaxDeletes(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
	var m MaxDeletes
	if err := json.Unmarshal([]byte("250"), &m); err != nil || m != (MaxDeletes{Objects: 250}) {
		t.Errorf("a JSON number: %+v, %v", m, err)
	}
}
