package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/events"
	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/internal/admintest"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testenv.Main(m)) }

// fakeEngine answers for replication, which has tests of its own.
type fakeEngine struct {
	err          error // what every call fails with
	status       replication.Status
	failures     []replication.Failure
	stuck        []replication.Failure // purges
	page         replication.ObjectPage
	conflicts    []replication.Conflict
	resolution   replication.Resolution
	verification replication.Verification
	storages     map[string]replication.StorageStatus
	drain        replication.DrainStatus
	rebalance    replication.RebalanceStatus
	abandoned    replication.Abandonment
	formers      map[string][]replication.FormerPrimary
	instances    []replication.Instance
	paused       bool
	checked      *catalog.Storage // by the last CheckStorage
	check        replication.StorageCheck
	asked        []string
	forecasts    atomic.Int64 // asked for
}

// fakeRebalances is its handle on rebalances, whose methods have names that others have, too.
type fakeRebalances struct{ *fakeEngine }

// whole returns it as what the API uses.
func (e *fakeEngine) whole() engine {
	return engine{worker: e, decisions: e, rebalances: fakeRebalances{e}, abandonments: e, verifications: e, reports: e}
}

func (e *fakeEngine) note(call string) error {
	e.asked = append(e.asked, call)
	return e.err
}

func (e *fakeEngine) Status(_ context.Context, all bool) (replication.Status, error) {
	st := e.status
	if st.Nodes = []string{"n1"}; all {
		st.Nodes = append(st.Nodes, "n2")
	}
	return st, e.err
}

func (e *fakeEngine) Failures(_ context.Context, after state.PendingKey, limit int) (list []replication.Failure, err error) {
	for _, f := range e.failures {
		if slices.Compare([]string{f.Bucket, f.Key, f.Cluster}, []string{after.Bucket, after.Key, after.Cluster}) > 0 && len(list) < limit {
			list = append(list, f)
		}
	}
	return list, e.note(fmt.Sprintf("failures %d", limit))
}
func (e *fakeEngine) FailuresTotal(context.Context) (int, error) { return len(e.failures), e.err }
func (e *fakeEngine) StuckPurges() []replication.Failure         { return e.stuck }
func (e *fakeEngine) RetryFailures(context.Context) (int, error) { return 3, e.note("retry") }
func (e *fakeEngine) Paused() bool                               { return e.paused }
func (e *fakeEngine) Pause(context.Context) error                { return e.note("pause") }
func (e *fakeEngine) Resume(context.Context) error               { return e.note("resume") }

func (e *fakeEngine) SyncBucket(_ context.Context, bucket string) error {
	return e.note("sync " + bucket)
}

func (e *fakeEngine) Purge(_ context.Context, bucket string, mode replication.PurgeMode, pre control.Precondition) error {
	return e.note(fmt.Sprintf("purge %s %s %v", bucket, mode, pre.IfMatch))
}

func (e *fakeEngine) Objects(_ context.Context, bucket, prefix, delimiter, after string, limit int) (replication.ObjectPage, error) {
	return e.page, e.note(fmt.Sprintf("objects %s %q %q %q %d", bucket, prefix, delimiter, after, limit))
}

func (e *fakeEngine) Conflicts(_ context.Context, bucket, after string, limit int) (list []replication.Conflict, more bool, err error) {
	for _, c := range e.conflicts {
		if c.Key > after {
			list = append(list, c)
		}
	}
	return list[:min(limit, len(list))], len(list) > limit, e.note(fmt.Sprintf("conflicts %s %d", bucket, limit))
}

func (e *fakeEngine) Resolve(_ context.Context, bucket string, v replication.Verdict) (replication.Resolution, error) {
	return e.resolution, e.note(fmt.Sprintf("resolve %s %q %s %v", bucket, v.Key, v.Winner, v.Discard))
}

func (e *fakeEngine) Request(_ context.Context, bucket string, deep bool) (replication.Verification, error) {
	v := e.verification
	if v.State == "" {
		v.State = "waiting"
	}
	return v, e.note(fmt.Sprintf("verify %s %v", bucket, deep))
}

func (e *fakeEngine) Last(_ context.Context, bucket string) (replication.Verification, error) {
	v := e.verification
	if v.State == "" {
		v.State = "never"
	}
	return v, e.note("verification " + bucket)
}

func (e *fakeEngine) Drain(context.Context, string) (*replication.DrainStatus, error) {
	if e.drain.State == "" {
		e.drain = replication.DrainStatus{State: "draining", Buckets: 1, Objects: 2, Bytes: 3}
	}
	return &e.drain, e.err
}

func (e *fakeEngine) Drained(string) (replication.DrainStatus, bool) {
	return e.drain, e.drain.State != ""
}

func (e *fakeEngine) LinkRate(string, string) float64 { return 0 }

func (e *fakeEngine) Forecast(of replication.Catalogue) *replication.Forecast {
	e.forecasts.Add(1)
	return replication.NewForecast(of, nil, nil)
}

func (e *fakeEngine) Of(_ context.Context, cluster string) (replication.Abandonment, error) {
	e.abandoned.Cluster = cluster
	return e.abandoned, e.err
}

func (e *fakeEngine) Abandon(_ context.Context, cluster string, pre control.Precondition) error {
	return e.note(fmt.Sprintf("abandon %s %v", cluster, pre.IfMatch))
}

func (e fakeRebalances) Status(context.Context) (replication.RebalanceStatus, error) {
	return e.rebalance, e.note("rebalance status")
}

func (e fakeRebalances) Start(context.Context) (replication.RebalanceStatus, error) {
	e.rebalance.Running = true
	return e.rebalance, e.note("rebalance")
}

func (e fakeRebalances) Stop(context.Context) (replication.RebalanceStatus, error) {
	e.rebalance.Running = false
	return e.rebalance, e.note("stop rebalance")
}

func (e *fakeEngine) FormerPrimaries(bucket string) []replication.FormerPrimary {
	return e.formers[bucket]
}

func (e *fakeEngine) Instances(context.Context) ([]replication.Instance, error) {
	return e.instances, e.err
}

func (e *fakeEngine) Storage(cluster string) replication.StorageStatus {
	if st, ok := e.storages[cluster]; ok {
		return st
	}
	return replication.StorageStatus{State: "unknown"}
}

func (e *fakeEngine) Trust(_ context.Context, bucket, cluster string) error {
	return e.note("trust " + cluster + " of " + bucket)
}

func (e *fakeEngine) ReleaseHistory(_ context.Context, bucket, cluster string) (int, error) {
	return 4, e.note("release " + bucket + " in " + cluster)
}

func (*fakeEngine) MaxDeletes() replication.MaxDeletes {
	return replication.MaxDeletes{Objects: 100, Percent: 10}
}

func (e *fakeEngine) CheckStorage(_ context.Context, _ string, s *catalog.Storage) replication.StorageCheck {
	e.checked = s
	if e.check.State == "" {
		return replication.StorageCheck{State: "up"}
	}
	return e.check
}

func (e *fakeEngine) Deletes(_ context.Context, bucket string, apply bool) (int, error) {
	if apply {
		return 2, e.note("confirm " + bucket)
	}
	return 2, e.note("reject " + bucket)
}

// failingCatalogue is a control whose store is gone, or that fails as told.
type failingCatalogue struct {
	catalogue
	err error
}

func (f failingCatalogue) List(context.Context, catalog.Kind, string, int) ([]control.Item, error) {
	return nil, f.err
}

func (f failingCatalogue) Get(context.Context, catalog.Kind, string) (control.Item, error) {
	return control.Item{}, f.err
}

func (f failingCatalogue) Create(context.Context, catalog.Resource) (control.Item, error) {
	return control.Item{}, f.err
}

func (f failingCatalogue) Delete(context.Context, catalog.Kind, string, control.Precondition) error {
	return f.err
}

// harness is the API over a real control on a SQLite store of its own. Every answer is
// held against the OpenAPI document.
type harness struct {
	t       testing.TB
	api     *API
	ctl     *control.Control
	engine  *fakeEngine
	backend backend
	url     string
	ended   chan struct{}
	seen    map[string]bool // "GET /fado/zones 200"
}

// start returns a harness with the given resources declared by the configuration.
func start(t testing.TB, declared control.Config) *harness {
	t.Helper()
	return startOn(t, admintest.Store(t), declared)
}

// startOn is start on a given store.
func startOn(t testing.TB, store state.Store, declared control.Config) *harness {
	t.Helper()
	ctl := admintest.Control(t, store, declared)
	h := &harness{t: t, ctl: ctl, engine: new(fakeEngine), ended: make(chan struct{}), seen: make(map[string]bool)}
	h.backend = backend{catalogue: catalogueOf(ctl), engine: h.engine.whole(), version: "v0-test", ended: h.ended, history: history.New(time.Hour, 10*time.Second, 1<<20)}
	h.backend.flows = func(time.Duration) history.Flows { return history.Flows{Seconds: 60} }
	h.backend.checkFunction = func(context.Context, string, catalog.Function) error { return nil }
	h.api = &API{log: zap.NewNop(), find: func() (backend, error) { return h.backend, nil }, streams: events.NewStreams(events.MaxStreams)}
	srv := httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

// serve answers as Caddy's admin endpoint does.
func (h *harness) serve(w http.ResponseWriter, r *http.Request) {
	err := h.api.serve(w, r)
	if err == nil {
		return
	}
	apiErr := new(caddy.APIError)
	if !errors.As(err, apiErr) || apiErr.HTTPStatus == 0 {
		h.t.Errorf("%s %s: %v (%T) is no caddy.APIError with a status", r.Method, r.URL, err, err)
		apiErr.HTTPStatus = http.StatusInternalServerError
	}
	if apiErr.Message == "" {
		apiErr.Message = apiErr.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(apiErr.HTTPStatus)
	_ = json.NewEncoder(w).Encode(apiErr)
}

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
	req := admintest.NewRequest(h.t, method, h.url+path, body, header...)
	status, got, data := admintest.Do(h.t, req)
	a := answer{h.t, method + " " + path, status, got, data}
	h.checkDocumented(req, a)
	return a
}

// want fails the test unless the answer has the status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d %s, want %d", a.what, a.status, a.body, status)
	}
	return a
}

// says fails the test unless the answer is an error that contains the texts.
func (a answer) says(texts ...string) {
	a.t.Helper()
	var e struct{ Error string }
	if err := json.Unmarshal(a.body, &e); err != nil || e.Error == "" {
		a.t.Fatalf("%s: %s: no error in it", a.what, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(e.Error, text) {
			a.t.Errorf("%s: %q does not contain %q", a.what, e.Error, text)
		}
	}
}

func (a answer) json(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %s: %v", a.what, a.body, err)
	}
}

// at returns the value at a path of object members and array indices.
func (a answer) at(path ...any) any {
	a.t.Helper()
	return admintest.At(a.t, a.body, path...)
}

func (a answer) etag() string {
	a.t.Helper()
	tag := a.header.Get("ETag")
	if len(tag) < 3 || tag[0] != '"' {
		a.t.Fatalf("%s: ETag %q is not a strong one", a.what, tag)
	}
	return tag
}

// checkDocumented holds an answer against what the document says of it.
func (h *harness) checkDocumented(r *http.Request, a answer) {
	h.t.Helper()
	op, err := table().find(httptest.NewRecorder(), r)
	if err != nil {
		return // 404 and 405 belong to no operation
	}
	key := fmt.Sprintf("%s %s %d", op.method, op.pattern, a.status)
	h.seen[key] = true
	pointer := fmt.Sprintf("/paths/%s/%s/responses/%d", escape(op.pattern), strings.ToLower(op.method), a.status)
	if a.status == http.StatusInternalServerError {
		pointer = strings.Replace(pointer, "/500", "/default", 1)
	}
	reply, ok := lookup(openAPIJSON(), pointer).(map[string]any)
	if !ok {
		h.t.Errorf("%s is not documented; it answered %s", key, a.body)
		return
	}
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	content, _ := reply["content"].(map[string]any)
	if len(a.body) == 0 || r.Method == http.MethodHead {
		return
	}
	if content[media] == nil {
		h.t.Errorf("%s has a body of type %q, which is not documented", key, media)
		return
	}
	if media != mediaJSON {
		return
	}
	if err := validate(pointer+"/content/"+escape(media)+"/schema", a.body); err != nil {
		h.t.Errorf("%s is not what the document says: %v\n%s", key, err, a.body)
	}
}

// escape makes a JSON pointer's token of a name.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func lookup(doc any, pointer string) any {
	for token := range strings.SplitSeq(pointer[1:], "/") {
		m, ok := doc.(map[string]any)
		if !ok {
			return nil
		}
		doc = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
	}
	return doc
}

// openAPIJSON is the document as a client reads it, with every schema closed: an answer
// with a field that is not documented fails.
var openAPIJSON = sync.OnceValue(func() any {
	var buf bytes.Buffer
	if err := request.Encode(&buf, openAPI()); err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(&buf)
	if err != nil {
		panic(err)
	}
	for _, s := range lookup(doc, "/components/schemas").(map[string]any) {
		if s := s.(map[string]any); s["properties"] != nil && s["additionalProperties"] == nil {
			s["additionalProperties"] = false
		}
	}
	return doc
})

var schemaCompiler = sync.OnceValue(func() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("http://fado/openapi.json", openAPIJSON()); err != nil {
		panic(err)
	}
	return c
})

var compiling sync.Mutex // a compiler is for one at a time, and tests run side by side

// validate holds JSON against the schema at a pointer of the document.
func validate(pointer string, body []byte) error {
	compiling.Lock()
	schema, err := schemaCompiler().Compile("http://fado/openapi.json#" + pointer)
	compiling.Unlock()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}
