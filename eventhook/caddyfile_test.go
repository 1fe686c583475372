package eventhook_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/eventhook"
	"github.com/fado-project/fado/replication"
)

func init() { caddy.RegisterModule(fakeApp{}) }

// fakeApp stands for the fado app, which this package can't import.
type fakeApp struct{}

func (fakeApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "fado", New: func() caddy.Module { return new(fakeApp) }}
}

func (fakeApp) Start() error                     { return nil }
func (fakeApp) Stop() error                      { return nil }
func (fakeApp) Control() *control.Control        { return nil }
func (fakeApp) Replication() *replication.Engine { return nil }

var _ eventhook.App = fakeApp{}

// Each file holds a Caddyfile, a line of dashes, and the JSON it adapts to or part of
// the error it gives.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/caddyfile_adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, ok := strings.Cut(string(data), "\n----------\n")
			if !ok {
				t.Fatal("no line of dashes")
			}
			got, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input+"\n"), map[string]any{"filename": "Caddyfile"})
			if want = strings.TrimSpace(want); !strings.HasPrefix(want, "{") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("error %v, want %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if compact(t, got) != compact(t, []byte(want)) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func compact(t *testing.T, data []byte) string {
	t.Helper()
	var buf bytes.Buffer
	if err := json.Compact(&buf, data); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestProvision(t *testing.T) {
	t.Setenv("FADO_TEST_TOKEN", "s3cret")
	for name, tc := range map[string]struct{ token, want string }{
		"a literal":             {`"abc"`, ""},
		"a placeholder":         {`"{env.FADO_TEST_TOKEN}"`, ""},
		"none":                  {`""`, "token"},
		"blank":                 {`" "`, "token"},
		"a placeholder not set": {`"{env.FADO_TEST_UNSET}"`, "FADO_TEST_UNSET"},
	} {
		t.Run(name, func(t *testing.T) {
			err := validate(`{"handler":"fado_events","token":` + tc.token + `}`)
			if tc.want == "" && err != nil {
				t.Error(err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want one that names %q", err, tc.want)
			}
		})
	}
}

// validate loads a configuration with the handler as "caddy validate" does.
func validate(handler string) error {
	var cfg caddy.Config
	err := json.Unmarshal([]byte(`{"admin":{"disabled":true},"apps":{"fado":{},"http":{"servers":{"s":{
		"listen":["127.0.0.1:0"],"routes":[{"handle":[`+handler+`]}]}}}}}`), &cfg)
	if err != nil {
		return err
	}
	return caddy.Validate(&cfg)
}
