package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"

	_ "github.com/fado-project/fado/admin"
	_ "github.com/fado-project/fado/admin/console"
	_ "github.com/fado-project/fado/eventhook"
	"github.com/fado-project/fado/internal/testenv"
	_ "github.com/fado-project/fado/lbpolicy"
	"github.com/fado-project/fado/routing"
	_ "github.com/fado-project/fado/s3gateway"
)

// The tests run real Caddy configurations in this process, one at a time: Caddy has
// one configuration per process.

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fado-caddymodule-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		if err := os.Setenv(name, dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	caddy.RegisterModule(new(troublemaker))
	caddy.RegisterModule(new(recorder))
	return testenv.Main(m).Run()
}

// troublemaker is an app that fails where its configuration says, and notes whether
// fado had started by then: Caddy starts apps in random order.
type troublemaker struct {
	FailProvision bool `json:"fail_provision,omitempty"`
	FailStart     bool `json:"fail_start,omitempty"`

	fado *App
}

// fadoHadStarted says that the last troublemaker to fail did so after fado's start;
// fadoRouter is what sites that started before fado would have routed by.
var (
	fadoHadStarted atomic.Bool
	fadoRouter     atomic.Pointer[routing.Router]
)

func (*troublemaker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "fado_test_trouble", New: func() caddy.Module { return new(troublemaker) }}
}

func (tm *troublemaker) Provision(ctx caddy.Context) error {
	app, err := ctx.App(appName)
	if err != nil {
		return err
	}
	tm.fado = app.(*App)
	if tm.FailProvision {
		return errors.New("trouble in Provision")
	}
	return nil
}

func (tm *troublemaker) Start() error {
	if tm.FailStart {
		fadoHadStarted.Store(tm.fado.runtime.hold != nil)
		fadoRouter.Store(tm.fado.Router())
		return errors.New("trouble in Start")
	}
	return nil
}

func (*troublemaker) Stop() error { return nil }

// recorder is a handler of Caddy events that hands them to a test.
type recorder struct{}

var recorded = make(chan caddy.Event, 64)

func (*recorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.fado_test_recorder", New: func() caddy.Module { return new(recorder) }}
}

func (*recorder) Handle(ctx context.Context, e caddy.Event) error {
	select {
	case recorded <- e:
	case <-ctx.Done():
	}
	return nil
}

// config is a Caddy configuration under construction.
type config map[string]any

// parse makes a configuration from global options and sites. Nothing listens but the
// sites, and nothing is written but what FaDO writes.
func parse(t testing.TB, globals, sites string) config {
	t.Helper()
	out, err := adapt("{\nadmin off\npersist_config off\nauto_https off\n" + globals + "\n}\n" + sites)
	if err != nil {
		t.Fatal(err)
	}
	var c config
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c config) app(name string) map[string]any {
	apps := c["apps"].(map[string]any)
	if apps[name] == nil {
		apps[name] = make(map[string]any)
	}
	return apps[name].(map[string]any)
}

// load makes Caddy run a configuration, even if it runs the same already.
func (c config) load() error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return caddy.Load(raw, true)
}

// mustLoad runs a configuration until the end of the test, at which nothing of it may
// be left running.
func mustLoad(t testing.TB, c config) {
	t.Helper()
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
}

// caddysOwn are goroutines of Caddy and its libraries that end some time after their
// configuration, or never.
var caddysOwn = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"),
	goleak.IgnoreAnyFunction("github.com/DeRuina/timberjack.(*Logger).millRun"),
	goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy.(*Upstream).fillDynamicHost.func1.1"),
}

// noLeaks ends Caddy when the test ends, and fails the test if anything that the test
// started still runs or is still held then.
func noLeaks(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		runtimes.Range(func(k, _ any) bool {
			t.Errorf("a runtime is still held: %v", k.(runtimeKey).store)
			return true
		})
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, append(slices.Clone(caddysOwn), before)...)
	})
}

// running returns the fado app of the configuration that Caddy runs.
func running(t testing.TB) *App {
	t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured(appName)
	if err != nil {
		t.Fatal(err)
	}
	return app.(*App)
}

// functionServer starts a function that answers 200 with its name.
func functionServer(t testing.TB, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(s.Close)
	return s.URL
}

func freePort(t testing.TB) int {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// tree lists the files below a directory.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var names []string
	err := filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}
