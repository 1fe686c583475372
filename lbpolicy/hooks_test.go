package lbpolicy_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

func init() {
	caddy.RegisterModule(new(hookPolicy))
	caddy.RegisterModule(new(hookTransport))
}

// hookPolicy is a selection policy that lets a test act between the router's answer
// and the choice. It takes the first upstream.
type hookPolicy struct{}

var onSelect func(pool reverseproxy.UpstreamPool)

func (*hookPolicy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.selection_policies.test_hook",
		New: func() caddy.Module { return new(hookPolicy) },
	}
}

func (*hookPolicy) Select(pool reverseproxy.UpstreamPool, _ *http.Request, _ http.ResponseWriter) *reverseproxy.Upstream {
	onSelect(pool)
	return pool[0]
}

func (*hookPolicy) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// hookTransport is a transport that hands requests to a test.
type hookTransport struct{}

var onRoundTrip func(*http.Request) (*http.Response, error)

func (*hookTransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.test_hook",
		New: func() caddy.Module { return new(hookTransport) },
	}
}

func (*hookTransport) RoundTrip(r *http.Request) (*http.Response, error) { return onRoundTrip(r) }

func (*hookTransport) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func TestACopyThatLeavesDuringTheChoiceIsNotChosen(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c1", "c2")
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware test_hook")
	chosen := 0
	onSelect = func(pool reverseproxy.UpstreamPool) {
		if chosen++; chosen > 1 {
			return
		}
		// The one about to be chosen leaves; nothing is in flight there, so what
		// took it out would remove it now.
		leaving, staying := "c1", "c2"
		if addressOf(w.router.Snapshot().Cluster("c2").Functions[0].URL) == pool[0].Dial {
			leaving, staying = staying, leaving
		}
		w.edit(func(e *routing.Editor) { e.SetCopies("photos", copiesIn(staying)) })
		if n := w.router.Flights.InFlight("photos", leaving); n != 0 {
			t.Errorf("%d in flight before the choice", n)
		}
	}
	a := s.get("/", "X-FaDO-Bucket: photos")
	if staying := w.router.Snapshot().Of("photos").Copies()[0].Cluster; a.Who != staying || chosen != 2 {
		t.Errorf("%v after %d choices, want %s after 2", a, chosen, staying)
	}
	for _, c := range []string{"c1", "c2"} {
		eventually(t, "nothing is in flight", func() bool { return w.router.Flights.InFlight("photos", c) == 0 })
	}
}

func TestAnEndpointThatFillsUpDuringTheChoiceIsNotChosen(t *testing.T) {
	w := newWorld(t)
	one, two := function(t, "one"), function(t, "two")
	w.cluster("c1", catalog.Function{URL: one.URL, MaxRequests: 2}, catalog.Function{URL: two.URL, MaxRequests: 2})
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware test_hook")
	chosen := 0
	onSelect = func(pool reverseproxy.UpstreamPool) {
		if chosen++; chosen == 1 {
			w.endpoint("http://" + pool[0].Dial).Live.InFlight.Add(2)
		}
	}
	a := s.get("/")
	if a.Status != http.StatusOK || chosen != 2 {
		t.Fatalf("%v after %d choices", a, chosen)
	}
	if n := w.endpoint("http://" + addressOf(map[string]string{"one": two.URL, "two": one.URL}[a.Who])).Live.InFlight.Load(); n != 2 {
		t.Errorf("%d in flight at the full endpoint", n)
	}
}

// A transport that gave up on a request may still be reading its headers.
func TestARetryLeavesTheHeadersOfEarlierAttemptsAlone(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c1", "c2", "c3")
	var upstreams string
	for _, ep := range w.router.Snapshot().Endpoints() {
		upstreams += " " + ep.Dial
	}
	s := serve(t, "to"+upstreams+"\ntransport test_hook\nlb_policy data_aware\nlb_retries 2")
	type attempt struct{ sent, was http.Header }
	var attempts []attempt
	onRoundTrip = func(r *http.Request) (*http.Response, error) {
		attempts = append(attempts, attempt{r.Header, maps.Clone(r.Header)})
		for k, v := range r.Header {
			attempts[len(attempts)-1].was[k] = slices.Clone(v)
		}
		return nil, reverseproxy.NewDialError(errors.New("refused"))
	}
	s.get("/", "X-FaDO-Bucket: photos")
	clusters := make(map[string]bool)
	for i, a := range attempts {
		if !maps.EqualFunc(a.sent, a.was, slices.Equal[[]string]) {
			t.Errorf("attempt %d: the headers sent were %v, and are %v now", i, a.was, a.sent)
		}
		clusters[a.was.Get("X-FaDO-Cluster")] = true
	}
	if len(clusters) != 3 {
		t.Errorf("asked %v", clusters)
	}
	for _, ep := range w.router.Snapshot().Endpoints() {
		eventually(t, "nothing is in flight", func() bool {
			return ep.Live.InFlight.Load() == 0 && w.router.Flights.InFlight("photos", ep.Cluster) == 0
		})
	}
}

// Caddy refuses such a request after the choice, before the transport.
func TestARequestRefusedAfterTheChoiceIsNotInFlight(t *testing.T) {
	w := newWorld(t)
	f := function(t, "f")
	w.cluster("c1", at(f.URL))
	s := serve(t, dynamicProxy+"request_buffers 1KiB\nheader_up Incremental ?1\n")
	if a := s.do(http.MethodPost, "/", "body"); a.Status != http.StatusNotImplemented {
		t.Fatalf("answer %v; this test is about a refusal", a)
	}
	eventually(t, "nothing is in flight", func() bool { return w.endpoint(f.URL).Live.InFlight.Load() == 0 })
}

// Who takes a copy out of routing waits for those that read from it, wherever they run: so a
// request is counted where it reads when it is sent, not where it would have read when its
// endpoint was chosen.
func TestACopyReadFromThatLeavesDuringTheChoiceIsNotReadFrom(t *testing.T) {
	w := newWorld(t)
	w.cluster("c1")
	w.cluster("c2")
	counts := make(chan [2]int64, 1)
	answer := answering("c3")
	f := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		counts <- [2]int64{w.router.Flights.InFlight("photos", "c1"), w.router.Flights.InFlight("photos", "c2")}
		answer(rw, r)
	}))
	defer f.Close()
	w.cluster("c3", at(f.URL))
	w.bucket("photos", catalog.Policy{}, "c1")
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware test_hook")
	chosen := 0
	onSelect = func(reverseproxy.UpstreamPool) {
		if chosen++; chosen == 1 {
			w.edit(func(e *routing.Editor) { e.SetCopies("photos", copiesIn("c2")) })
		}
	}
	a := s.get("/", "X-FaDO-Bucket: photos")
	if a.Who != "c3" || chosen != 2 {
		t.Fatalf("%v after %d choices, want c3 after 2", a, chosen)
	}
	expect(t, a.seen.Header, "X-FaDO-Storage", "http://storage.c2:9000")
	if n := <-counts; n != [2]int64{0, 1} {
		t.Errorf("in flight while it is served: %d at c1, %d at c2", n[0], n[1])
	}
}
