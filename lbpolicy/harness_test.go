package lbpolicy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/internal/traffic"
	_ "github.com/fado-project/fado/lbpolicy"
	"github.com/fado-project/fado/routing"
)

func init() { caddy.RegisterModule(new(testApp)) }

// testApp stands in for the fado app: a router that the test fills.
type testApp struct{ *world }

// current is the world that the next test app becomes part of.
var current *world

func (*testApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "fado", New: func() caddy.Module { return &testApp{current} }}
}

func (*testApp) Start() error { return nil }
func (*testApp) Stop() error  { return nil }

// world is a catalogue with everything around it that a test looks at.
type world struct {
	t      testing.TB
	router *routing.Router
	ready  chan struct{}

	readyAsked atomic.Int64

	// puller copies objects on demand; nil: none are.
	puller func(context.Context, routing.PullPlan) error

	mu         sync.Mutex
	decisions  map[routing.Locality]int
	rejections map[routing.Reason]int
	failures   []string // URLs of endpoints reported as failed
	reads      []string // from and to
	counted    chan struct{}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, router: routing.NewRouter(), ready: make(chan struct{}),
		decisions: make(map[routing.Locality]int), rejections: make(map[routing.Reason]int),
		counted: make(chan struct{}, 1000),
	}
	close(w.ready)
	current = w
	return w
}

func (w *world) Router() *routing.Router { return w.router }

func (w *world) Ready() <-chan struct{} {
	w.readyAsked.Add(1)
	return w.ready
}

func (w *world) Pull(ctx context.Context, plan routing.PullPlan) error {
	if w.puller == nil {
		return errors.New("nothing is copied here")
	}
	return w.puller(ctx, plan)
}

func (w *world) Invocations() traffic.Invocations { return w }

func (w *world) CountDecision(_ string, l routing.Locality) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.decisions[l]++
}

func (w *world) CountRejection(r routing.Reason) {
	w.mu.Lock()
	w.rejections[r]++
	w.mu.Unlock()
	w.counted <- struct{}{}
}

func (w *world) CountRead(from, to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads = append(w.reads, from+" "+to)
}

func (w *world) EndpointFailed(ep *routing.Endpoint, err error) {
	ep.Live.SetHealthy(false, err.Error())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, ep.URL)
}

func (w *world) failed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.failures)
}

// edit publishes the snapshot that f makes.
func (w *world) edit(f func(e *routing.Editor)) { w.router.Swap(w.router.Snapshot().Edit(f)) }

// cluster declares a cluster in a zone of its own name, with a storage.
func (w *world) cluster(name string, functions ...catalog.Function) {
	w.edit(func(e *routing.Editor) {
		e.PutZone(&catalog.Zone{Name: name})
		c := &catalog.Cluster{
			Name: name, Zones: []string{name}, Functions: functions,
			Storage: &catalog.Storage{Endpoint: "http://storage." + name + ":9000", BucketPrefix: name + "-"},
		}
		c.Normalize()
		e.PutCluster(c)
	})
}

// bucket declares a bucket with synced copies, the first the primary.
func (w *world) bucket(name string, p catalog.Policy, clusters ...string) {
	w.edit(func(e *routing.Editor) {
		p.Name = cmpOr(p.Name, "p-"+name)
		p.Normalize()
		e.PutPolicy(&p)
		b := &catalog.Bucket{Name: name, Policy: p.Name, Primary: clusters[0]}
		b.Normalize()
		e.PutBucket(b)
		e.SetCopies(name, copiesIn(clusters...))
	})
}

func copiesIn(clusters ...string) []catalog.Copy {
	var copies []catalog.Copy
	for i, c := range clusters {
		copies = append(copies, catalog.Copy{Cluster: c, Primary: i == 0, State: catalog.CopySynced})
	}
	return copies
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// endpoint returns an endpoint by its URL.
func (w *world) endpoint(url string) *routing.Endpoint {
	for _, ep := range w.router.Snapshot().Endpoints() {
		if ep.URL == url {
			return ep
		}
	}
	w.t.Fatalf("no endpoint %s", url)
	return nil
}

// eventually waits for a condition that another goroutine brings about; only a failing
// test waits long.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for range 12_000 { // a minute
		if cond() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not so in time: %s", what)
}

// seen is what a function saw of a request; its answer.
type seen struct {
	Who    string
	Proto  string
	Host   string
	URI    string
	Header http.Header
	Body   string
}

// function is a function server that answers who it is and what it saw.
func function(t testing.TB, who string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(answering(who))
	t.Cleanup(s.Close)
	return s
}

func secureFunction(t testing.TB, who string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(answering(who))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func answering(who string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		// What a function of another FaDO, or a malicious one, might answer.
		w.Header().Set("X-FaDO-Cluster", "forged")
		w.Header().Set("X-FaDO-Locality", "forged")
		w.Header().Set("X-FaDO-Reason", "forged")
		_ = json.NewEncoder(w).Encode(seen{who, r.Proto, r.Host, r.RequestURI, r.Header, string(body)})
	}
}

func at(url string) catalog.Function { return catalog.Function{URL: url} }

// deadAddress returns an address without a listener, which no server of a test gets.
func deadAddress(t testing.TB) string {
	t.Helper()
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// site is a running Caddy with one reverse_proxy.
type site struct {
	t      testing.TB
	client *http.Client
	socket string
	edit   *strings.Replacer // changes the configuration
}

// dynamicProxy is the body of the usual reverse_proxy.
const dynamicProxy = `
	dynamic fado
	transport fado
	lb_policy data_aware
`

// serve runs Caddy with a reverse_proxy that has the given body, on a socket.
func serve(t testing.TB, proxy string) *site {
	t.Helper()
	return serveEdited(t, proxy, strings.NewReplacer())
}

// serveEdited is serve with a configuration that is changed around the reverse_proxy.
func serveEdited(t testing.TB, proxy string, edit *strings.Replacer) *site {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	s := &site{t: t, socket: socket, edit: edit}
	s.load(proxy)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	transport := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport}
	return s
}

// load replaces the configuration.
func (s *site) load(proxy string) {
	s.t.Helper()
	if err := s.tryLoad(proxy); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) tryLoad(proxy string) error {
	s.t.Helper()
	cfg, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(s.edit.Replace(string(configText(s.socket, proxy)))), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	return caddy.Load(cfg, true)
}

func configText(socket, proxy string) []byte {
	return fmt.Appendf(nil, `{
	admin off
	persist_config off
	auto_https off
	log default {
		output discard
	}
}
http:// {
	bind unix/%s
	reverse_proxy {
%s
	}
}
`, socket, proxy)
}

// answer is a response with the body read.
type answer struct {
	Status int
	Header http.Header
	Body   string
	seen
}

func (a answer) String() string {
	return fmt.Sprintf("%d %v %q", a.Status, a.Header, a.Body)
}

// get asks for a path with headers given as "Name: value".
func (s *site) get(path string, header ...string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, path, "", header...)
}

func (s *site) do(method, path, body string, header ...string) answer {
	s.t.Helper()
	a, err := s.try(method, path, body, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *site) try(method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequest(method, "http://site"+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: res.StatusCode, Header: res.Header, Body: string(text)}
	if res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, &a.seen); err != nil {
			return a, err
		}
	}
	return a, nil
}

// tally asks n times and counts who answered.
func (s *site) tally(n int, header ...string) map[string]int {
	s.t.Helper()
	who := make(map[string]int)
	for range n {
		a := s.get("/", header...)
		if a.Status != http.StatusOK {
			s.t.Fatalf("answer %v", a)
		}
		who[a.Who]++
	}
	return who
}

// only says whether no one but those named answered, and each of them did.
func only(who map[string]int, names ...string) bool {
	slices.Sort(names)
	return slices.Equal(slices.Sorted(maps.Keys(who)), names)
}

// expect checks one response header.
func expect(t testing.TB, h http.Header, name string, want ...string) {
	t.Helper()
	if got := h.Values(name); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", name, got, want)
	}
}
