package lbpolicy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/traffic"
	"github.com/fado-project/fado/routing"
)

type benchApp struct {
	router *routing.Router
	ready  chan struct{}
}

func (a *benchApp) Router() *routing.Router                { return a.router }
func (a *benchApp) Ready() <-chan struct{}                 { return a.ready }
func (a *benchApp) Invocations() traffic.Invocations       { return a }
func (a *benchApp) CountDecision(string, routing.Locality) {}
func (a *benchApp) CountRejection(routing.Reason)          {}
func (a *benchApp) CountRead(string, string)               {}

const benchBuckets = 10_000

// benchPolicy returns a policy under a proxy with FaDO's source and transport, over
// clusters with an endpoint each and buckets with three copies.
func benchPolicy(tb testing.TB, clusters int) *DataAware {
	tb.Helper()
	app := &benchApp{router: routing.NewRouter(), ready: make(chan struct{})}
	close(app.ready)
	app.router.Swap(app.router.Snapshot().Edit(func(e *routing.Editor) {
		e.PutZone(&catalog.Zone{Name: "z"})
		for i := range clusters {
			c := &catalog.Cluster{
				Name: fmt.Sprintf("c%d", i), Zones: []string{"z"},
				Storage:   &catalog.Storage{Endpoint: "http://s:9000"},
				Functions: []catalog.Function{{URL: fmt.Sprintf("http://10.0.%d.%d:8080", i/256, i%256)}},
			}
			c.Normalize()
			e.PutCluster(c)
		}
		for i := range benchBuckets {
			b := &catalog.Bucket{Name: fmt.Sprintf("bucket-%d", i)}
			b.Normalize()
			e.PutBucket(b)
			var copies []catalog.Copy
			for j := range 3 {
				copies = append(copies, catalog.Copy{Cluster: fmt.Sprintf("c%d", (i+j)%clusters), Primary: j == 0, State: catalog.CopySynced})
			}
			e.SetCopies(b.Name, copies)
		}
	}))
	p := &DataAware{
		app: app, forward: true, logger: zap.NewNop(), balancers: new(balancers),
		names: inputNames{bucket: source{header: headerBucket}, object: source{header: headerObject}},
	}
	p.balancers.byText.Store(&map[string]*balancer{})
	p.choices.New = func() any { return newChoice(p) }
	src := &Upstreams{app: app}
	p.handler = &reverseproxy.Handler{
		Transport: new(Transport), DynamicUpstreams: src,
		LoadBalancing: &reverseproxy.LoadBalancing{SelectionPolicy: p},
	}
	src.handler = p.handler
	ups, err := src.GetUpstreams(httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	if err != nil || len(ups) != clusters {
		tb.Fatalf("%d upstreams, %v", len(ups), err)
	}
	for _, up := range ups { // as Caddy does
		up.Host = new(reverseproxy.Host)
	}
	src.learn(app.router.Snapshot().Endpoints(), ups)
	return p
}

func benchRequest(bucket string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), httptest.NewRecorder(), new(caddyhttp.Server))
	if bucket != "" {
		r.Header[headerBucket] = []string{bucket}
		r.Header[headerObject] = []string{"some/key.bin"}
	}
	return r
}

// once makes a choice as Select does, without the headers.
func (c *choice) once(st *requestState, r *http.Request) *routing.Endpoint {
	st.first, st.attempts = flight{}, 1
	st.buckets = st.bucketBuf[:0]
	c.make(st, nil, r, nil)
	c.reset()
	st.endFlight()
	return st.endpoint
}

func TestTheChoiceAllocatesNothing(t *testing.T) {
	p := benchPolicy(t, 16)
	for _, bucket := range []string{"bucket-77", ""} {
		r := benchRequest(bucket)
		st := stateFor(p.handler, r)
		c := newChoice(p) // not pooled: the race detector makes pools forget
		if c.once(st, r) == nil {
			t.Fatal("no endpoint")
		}
		if n := testing.AllocsPerRun(1000, func() { c.once(st, r) }); n != 0 {
			t.Errorf("bucket %q: %v allocations", bucket, n)
		}
	}
}

func BenchmarkChoice(b *testing.B) {
	for _, bench := range []struct {
		name, bucket string
		clusters     int
	}{
		{"object named, 16 clusters", "bucket-77", 16},
		{"object named, 300 clusters", "bucket-77", 300},
		{"no bucket, 16 clusters", "", 16},
		{"no bucket, 300 clusters", "", 300},
	} {
		b.Run(bench.name, func(b *testing.B) {
			p := benchPolicy(b, bench.clusters)
			r := benchRequest(bench.bucket)
			st, c := stateFor(p.handler, r), newChoice(p)
			b.ReportAllocs()
			for b.Loop() {
				c.once(st, r)
			}
		})
	}
}

// BenchmarkSelect is what a request pays in all: GetUpstreams, Select and headers.
func BenchmarkSelect(b *testing.B) {
	p := benchPolicy(b, 16)
	src := p.handler.DynamicUpstreams
	r := benchRequest("bucket-77")
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		caddyhttp.SetVar(r.Context(), stateVar, nil)
		ups, _ := src.GetUpstreams(r)
		if p.Select(ups, r, w) == nil {
			b.Fatal("no upstream")
		}
		st := stateFor(p.handler, r)
		st.endFlight()
	}
}

// BenchmarkLeastConn is the peer: Caddy's own policy on a static list.
func BenchmarkLeastConn(b *testing.B) {
	for _, n := range []int{3, 16, 300} {
		b.Run(fmt.Sprintf("%d upstreams", n), func(b *testing.B) {
			var pool reverseproxy.UpstreamPool
			for i := range n {
				pool = append(pool, &reverseproxy.Upstream{Host: new(reverseproxy.Host), Dial: fmt.Sprintf("10.0.0.%d:80", i)})
			}
			r, w := benchRequest(""), httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				reverseproxy.LeastConnSelection{}.Select(pool, r, w)
			}
		})
	}
}
