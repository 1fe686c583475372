package documents

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/admintest"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testenv.Main(m)) }

// fakeEngine has no links and no work, and counts how often it was asked.
type fakeEngine struct{ forecasts atomic.Int64 }

func (*fakeEngine) LinkRate(string, string) float64 { return 0 }

func (e *fakeEngine) Forecast(of replication.Catalogue) *replication.Forecast {
	e.forecasts.Add(1)
	return replication.NewForecast(of, nil, nil)
}

// harness serves the handlers over a real control.
type harness struct {
	t       testing.TB
	ctl     *control.Control
	engine  *fakeEngine
	handler *Handler
	url     string
}

// start returns a harness on a store of its own.
func start(t testing.TB, declared control.Config) *harness {
	t.Helper()
	return startOn(t, admintest.Store(t), declared)
}

func startOn(t testing.TB, store state.Store, declared control.Config) *harness {
	t.Helper()
	ctl := admintest.Control(t, store, declared)
	h := &harness{t: t, ctl: ctl, engine: new(fakeEngine)}
	h.handler = &Handler{
		Catalogue: struct {
			*control.Resources
			*control.Usage
			instance
		}{ctl.Resources, ctl.Usage, ctl},
		Engine: h.engine, Plans: new(Plans),
	}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*request.Request) error{
		"POST /fado/plan": h.handler.Plan, "POST /fado/apply": h.handler.Apply, "GET /fado/export": h.handler.Export,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := handle(&request.Request{W: w, R: r, Log: zap.NewNop()}); err != nil {
				http.Error(w, err.Error(), max(request.StatusOf(err), 1))
			}
		})
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

// instance has the store of a *control.Control.
type instance interface{ Store() state.Store }

// answer is an HTTP answer that was read.
type answer struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   []byte
}

// do sends a request; header are names and values in turn.
func (h *harness) do(method, path, body string, header ...string) answer {
	h.t.Helper()
	status, got, data := admintest.Do(h.t, admintest.NewRequest(h.t, method, h.url+path, body, header...))
	return answer{h.t, method + " " + path, status, got, data}
}

// want fails the test unless the answer has the status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d %s, want %d", a.what, a.status, a.body, status)
	}
	return a
}

// says fails the test unless the answer contains the texts.
func (a answer) says(texts ...string) {
	a.t.Helper()
	for _, text := range texts {
		if !strings.Contains(string(a.body), text) {
			a.t.Errorf("%s: %q does not contain %q", a.what, a.body, text)
		}
	}
}

func (a answer) etag() string { return a.header.Get("ETag") }

// at returns the value at a path of object members and array indices.
func (a answer) at(path ...any) any {
	a.t.Helper()
	return admintest.At(a.t, a.body, path...)
}
