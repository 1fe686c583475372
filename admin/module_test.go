package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/replication"
)

func init() { caddy.RegisterModule(new(fakeApp)) }

// fakeApp stands for the fado app, which this package can't import.
type fakeApp struct {
	Named    string `json:"named"`
	FailsAt  string `json:"fails_at,omitempty"`
	ctl      *control.Control
	replicas *replication.Engine
}

// runs is what every fakeApp runs on.
var runs *control.Control

func (*fakeApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "fado", New: func() caddy.Module { return new(fakeApp) }}
}

func (a *fakeApp) Provision(caddy.Context) error { return a.failAt("provision") }

func (a *fakeApp) Start() error {
	a.ctl, a.replicas = runs, replication.New(replication.Options{Control: runs})
	return a.failAt("start")
}

func (a *fakeApp) Stop() error { return nil }

func (a *fakeApp) Cleanup() error {
	a.ctl, a.replicas = nil, nil
	return nil
}

func (a *fakeApp) Control() *control.Control        { return a.ctl }
func (a *fakeApp) Replication() *replication.Engine { return a.replicas }
func (a *fakeApp) Version() string                  { return a.Named }

func (*fakeApp) History() *history.Rings           { return nil }
func (*fakeApp) Flows(time.Duration) history.Flows { return history.Flows{} }
func (*fakeApp) CheckFunction(context.Context, string, catalog.Function) error {
	return nil
}
func (*fakeApp) SecretPatterns() catalog.SecretPatterns { return nil }

func (a *fakeApp) failAt(step string) error {
	if a.FailsAt == step {
		return errors.New("as told")
	}
	return nil
}

var _ App = (*fakeApp)(nil)

// process is a Caddy with an admin endpoint on a socket of its own.
type process struct {
	t      *testing.T
	socket string
	client *http.Client
}

func startCaddy(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, socket: filepath.Join(t.TempDir(), "admin")}
	p.client = &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", p.socket)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		if err := caddy.Load([]byte(`{"admin":{"disabled":true}}`), true); err != nil {
			t.Error(err)
		}
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// load runs a configuration with the apps given.
func (p *process) load(apps string) error {
	return caddy.Load(fmt.Appendf(nil, `{"admin":{"listen":"unix/%s","config":{"persist":false}},"logging":{"logs":{"default":{"level":"PANIC"}}},"apps":{%s}}`, p.socket, apps), true)
}

func (p *process) get(path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(p.t.Context(), "GET", "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	for {
		resp, err := p.client.Do(req)
		// Caddy's previous admin server closes a connection that it accepted on its way
		// down; clients connect again.
		if errors.Is(err, io.EOF) {
			continue
		}
		return resp, err
	}
}

// overview returns the status of GET /fado/ and the version or error it tells.
func (p *process) overview() (status int, says string) {
	p.t.Helper()
	resp, err := p.get("/fado/")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var v struct{ Version, Error string }
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, v.Version + v.Error
}

func TestAcrossReloads(t *testing.T) {
	h := start(t, control.Config{})
	runs = h.ctl
	p := startCaddy(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(p.load(``))
	if status, says := p.overview(); status != 503 || !strings.Contains(says, "not configured") {
		t.Errorf("without the app: %d %s", status, says)
	}
	must(p.load(`"fado":{"named":"one"}`))
	if status, says := p.overview(); status != 200 || says != "one" {
		t.Errorf("with the app: %d %s", status, says)
	}
	resp, err := p.get("/fado")
	must(err)
	resp.Body.Close()
	if resp.Header.Get("Location") != "/fado/" {
		t.Errorf("/fado: %d, Location %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	for _, step := range []string{"provision", "start"} {
		if err := p.load(`"fado":{"named":"bad","fails_at":"` + step + `"}`); err == nil {
			t.Fatalf("a configuration that fails at %s was loaded", step)
		}
		if status, says := p.overview(); status != 200 || says != "one" {
			t.Errorf("after a load that failed at %s: %d %s", step, status, says)
		}
	}
	must(p.load(`"fado":{"named":"two"}`))
	if status, says := p.overview(); status != 200 || says != "two" {
		t.Errorf("after a reload: %d %s", status, says)
	}
}

// A stream must not hold up the end of the configuration that it began under.
func TestEventsEndAtAReload(t *testing.T) {
	h := start(t, control.Config{})
	runs = h.ctl
	p := startCaddy(t)
	if err := p.load(`"fado":{"named":"one"}`); err != nil {
		t.Fatal(err)
	}
	resp, err := p.get("/fado/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := p.load(`"fado":{"named":"two"}`); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the stream broke off: %v", err)
	}
}
