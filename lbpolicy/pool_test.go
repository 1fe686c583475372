package lbpolicy_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// addressOf returns the host:port of a URL.
func addressOf(url string) string {
	_, address, _ := strings.Cut(url, "://")
	return address
}

// withAddress puts the host:port of a URL into a Caddyfile snippet.
func withAddress(proxy, mark, url string) string {
	return strings.ReplaceAll(proxy, mark, addressOf(url))
}

// certificate writes the certificate of a TLS server to a file.
func certificate(t *testing.T, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// perEndpoint asks until each of n endpoints has answered, and returns an answer of each.
func perEndpoint(t *testing.T, s *site, n int, path string, header ...string) map[string]answer {
	t.Helper()
	got := make(map[string]answer)
	for range 50 * n {
		a := s.get(path, header...)
		if a.Status != http.StatusOK {
			t.Fatalf("answer %v", a)
		}
		got[a.Who] = a
		if len(got) == n {
			return got
		}
	}
	t.Fatalf("only %d of %d endpoints answered", len(got), n)
	return nil
}

func TestEndpointsOfAllKindsInOneProxy(t *testing.T) {
	w := newWorld(t)
	plain, prefixed := function(t, "plain"), function(t, "prefixed")
	trusted, unverified, deep := secureFunction(t, "trusted"), secureFunction(t, "unverified"), secureFunction(t, "deep")
	w.cluster("c1", at(plain.URL), at(prefixed.URL+"/gateway/a%2Fb/"))
	w.cluster("c2", catalog.Function{URL: trusted.URL, CAFile: certificate(t, trusted)},
		catalog.Function{URL: unverified.URL, InsecureSkipVerify: true})
	w.cluster("c3", catalog.Function{URL: deep.URL + "/fn", CAFile: certificate(t, deep)})
	s := serve(t, dynamicProxy)

	got := perEndpoint(t, s, 5, "/function/x%2Fy?q=1&r=%20")
	for who, want := range map[string]struct{ uri, host, proto string }{
		"plain":      {"/function/x%2Fy?q=1&r=%20", "site", "HTTP/1.1"},
		"prefixed":   {"/gateway/a%2Fb/function/x%2Fy?q=1&r=%20", "site", "HTTP/1.1"},
		"trusted":    {"/function/x%2Fy?q=1&r=%20", addressOf(trusted.URL), "HTTP/2.0"},
		"unverified": {"/function/x%2Fy?q=1&r=%20", addressOf(unverified.URL), "HTTP/2.0"},
		"deep":       {"/fn/function/x%2Fy?q=1&r=%20", addressOf(deep.URL), "HTTP/2.0"},
	} {
		a := got[who]
		if a.URI != want.uri || a.Host != want.host || a.Proto != want.proto {
			t.Errorf("%s: asked %s at %s by %s, want %+v", who, a.URI, a.Host, a.Proto, want)
		}
	}
}

func TestHostHeaderOperationsComeFirst(t *testing.T) {
	w := newWorld(t)
	f := secureFunction(t, "f")
	w.cluster("c1", catalog.Function{URL: f.URL, InsecureSkipVerify: true})
	a := serve(t, dynamicProxy+"header_up Host {http.request.host}\n").get("/")
	if a.Host != "site" {
		t.Errorf("Host %s", a.Host)
	}
}

func TestAnUntrustedCertificateIsNotUsed(t *testing.T) {
	w := newWorld(t)
	f, other := secureFunction(t, "f"), secureFunction(t, "other")
	ok := function(t, "ok")
	wrongCA := catalog.Function{URL: f.URL, CAFile: filepath.Join(t.TempDir(), "missing.pem")}
	w.cluster("c1", at(other.URL))
	w.cluster("c2", wrongCA)
	s := serve(t, dynamicProxy+"lb_retries 2\n")
	// Nothing was sent, so even a POST is tried again; there is nobody else, though.
	if a := s.do(http.MethodPost, "/", "x"); a.Status != http.StatusBadGateway {
		t.Errorf("answer %v", a)
	}
	if n := len(w.failed()); n != 2 {
		t.Errorf("reported as failed: %v", w.failed())
	}
	w.cluster("c3", at(ok.URL))
	if who := s.tally(5); !only(who, "ok") {
		t.Error(who)
	}
}

// A ca_file that was renewed is used once a certificate is refused, without a reload: health checks read it each
// time, and the endpoint would go up and down.
func TestARenewedCAFileIsUsed(t *testing.T) {
	w := newWorld(t)
	f := secureFunction(t, "f")
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, authority(t), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cluster("c1", catalog.Function{URL: f.URL, CAFile: file})
	s := serve(t, dynamicProxy)
	if a := s.get("/"); a.Status != http.StatusBadGateway {
		t.Fatalf("with another authority: %v", a)
	}
	w.endpoint(f.URL).Live.SetHealthy(true, "")
	renewed, err := os.ReadFile(certificate(t, f))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, renewed, 0o600); err != nil {
		t.Fatal(err)
	}
	s.get("/") // finds out
	w.endpoint(f.URL).Live.SetHealthy(true, "")
	if a := s.get("/"); a.Who != "f" {
		t.Errorf("with the renewed file: %v", a)
	}
}

// authority is the certificate of an authority that has signed nothing, as PEM.
func authority(t *testing.T) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

func TestTransportOptions(t *testing.T) {
	w := newWorld(t)
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer slow.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer secure.Close()
	defer close(hang) // before the servers wait for their requests
	w.cluster("c1", at(slow.URL))
	w.bucket("plain", catalog.Policy{Clusters: []string{"c1"}}, "c1")
	w.cluster("c2", catalog.Function{URL: secure.URL, InsecureSkipVerify: true})
	w.bucket("secure", catalog.Policy{Clusters: []string{"c2"}}, "c2")
	s := serve(t, `
		dynamic fado
		lb_policy data_aware
		transport fado {
			dial_timeout 1s
			response_header_timeout 20ms
			keepalive 10s
			versions 1.1
		}`)
	for _, b := range []string{"plain", "secure"} {
		if a := s.get("/", "X-FaDO-Bucket: "+b); a.Status != http.StatusGatewayTimeout && a.Status != http.StatusBadGateway {
			t.Errorf("%s: answer %v", b, a)
		}
	}
	if f := w.failed(); len(f) != 0 {
		t.Errorf("endpoints that were dialled are reported as failed: %v", f)
	}
}

func TestStaticUpstreams(t *testing.T) {
	for name, transport := range map[string]string{"plain transport": "", "fado's transport": "transport fado"} {
		t.Run(name, func(t *testing.T) {
			w := threeClusters(t)
			w.cluster("c4", at(function(t, "unlisted").URL))
			w.bucket("photos", catalog.Policy{}, "c1", "c3", "c4")
			stranger := function(t, "stranger")
			url := func(c string) string { return w.router.Snapshot().Cluster(c).Functions[0].URL }
			s := serve(t, fmt.Sprintf("to %s %s %s %s\nlb_policy data_aware\n%s",
				addressOf(url("c1")), addressOf(url("c2")), addressOf(url("c3")), addressOf(stranger.URL), transport))

			if who := s.tally(60, "X-FaDO-Bucket: photos"); !only(who, "c1", "c3") {
				t.Errorf("by bucket: %v", who)
			}
			if who := s.tally(60); !only(who, "c1", "c2", "c3") {
				t.Errorf("without a bucket: %v", who)
			}
			a := s.get("/", "X-FaDO-Bucket: photos")
			expect(t, a.Header, "X-FaDO-Cluster", a.Who)
			expect(t, a.Header, "X-FaDO-Locality", "local")
			expect(t, a.Header, "X-FaDO-Reason")
			expect(t, a.seen.Header, "X-FaDO-Cluster", a.Who)
			for _, c := range []string{"c1", "c3"} {
				ep := w.endpoint(url(c))
				eventually(t, "no request is counted in flight", func() bool {
					return ep.Live.InFlight.Load() == 0 && w.router.Flights.InFlight("photos", c) == 0
				})
			}
		})
	}
}

func TestDynamicUpstreamsUnderOtherPolicies(t *testing.T) {
	w := threeClusters(t)
	url := w.router.Snapshot().Cluster("c1").Functions[0].URL
	w.endpoint(url).Live.SetHealthy(false, "down")
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy round_robin")
	who := s.tally(20)
	if !only(who, "c2", "c3") {
		t.Error(who)
	}
	w.edit(func(e *routing.Editor) {
		c := w.router.Snapshot().Cluster("c2").Clone().(*catalog.Cluster)
		c.Drain = true
		e.PutCluster(c)
	})
	if who := s.tally(20); !only(who, "c3") {
		t.Errorf("with a cluster drained: %v", who)
	}
}

func TestOtherTransportsGetOnlyWhatTheyReach(t *testing.T) {
	w := newWorld(t)
	secure := secureFunction(t, "secure")
	w.cluster("c1", at(function(t, "plain").URL))
	w.cluster("c2", at(function(t, "prefixed").URL+"/p"))
	w.cluster("c3", catalog.Function{URL: secure.URL, InsecureSkipVerify: true})
	for name, test := range map[string]struct{ proxy, who string }{
		"default":          {"dynamic fado\nlb_policy data_aware", "plain"},
		"https":            {"dynamic fado\nlb_policy data_aware\ntransport http {\ntls_insecure_skip_verify\n}", "secure"},
		"under a policy":   {"dynamic fado\nlb_policy random", "plain"},
		"static, prefixed": {"to " + addressOf(w.endpoint(w.router.Snapshot().Cluster("c1").Functions[0].URL).URL) + "\nlb_policy data_aware", "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			if who := serve(t, test.proxy).tally(20); !only(who, test.who) {
				t.Error(who)
			}
		})
	}
}

func TestWeightsCountWhenIdle(t *testing.T) {
	for name, policy := range map[string]string{"default": "", "round_robin": "round_robin", "random": "random"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cluster("c1", catalog.Function{URL: function(t, "heavy").URL, Weight: 6}, catalog.Function{URL: function(t, "light").URL, Weight: 2})
			s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware "+policy)
			// 3 : 1; the bounds are more than six standard deviations away.
			if who := s.tally(400); who["light"] < 45 || who["light"] > 160 {
				t.Error(who)
			}
		})
	}
}

// gate is a function that holds its requests until they are let go.
type gate struct {
	*httptest.Server
	in       chan struct{} // one value per request that came in
	out      chan struct{} // one value lets one go
	now, max atomic.Int64
}

func newGate(t testing.TB, who string) *gate {
	t.Helper()
	g := &gate{in: make(chan struct{}, 1000), out: make(chan struct{})}
	answer := answering(who)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := g.now.Add(1)
		defer g.now.Add(-1)
		for m := g.max.Load(); n > m && !g.max.CompareAndSwap(m, n); m = g.max.Load() {
		}
		g.in <- struct{}{}
		<-g.out
		answer(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func TestWeightsCountUnderLoad(t *testing.T) {
	w := newWorld(t)
	heavy, light := newGate(t, "heavy"), newGate(t, "light")
	w.cluster("c1", catalog.Function{URL: heavy.URL, Weight: 3}, catalog.Function{URL: light.URL, Weight: 1})
	s := serve(t, dynamicProxy)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if a, err := s.try(http.MethodGet, "/", ""); err != nil || a.Status != http.StatusOK {
				t.Errorf("%v, %v", a, err)
			}
		})
		select { // one after the other, so that each is counted before the next is chosen for
		case <-heavy.in:
		case <-light.in:
		}
	}
	if h, l := heavy.now.Load(), light.now.Load(); h != 30 || l != 10 {
		t.Errorf("40 requests in flight are %d : %d at weights 3 : 1", h, l)
	}
	close(heavy.out)
	close(light.out)
	wg.Wait()
}

func TestMaxRequestsIsNeverExceeded(t *testing.T) {
	for name, proxy := range map[string]string{
		"dynamic":     dynamicProxy,
		"round_robin": "dynamic fado\ntransport fado\nlb_policy data_aware round_robin\n",
		"static":      "to {G1} {G2}\nlb_policy data_aware\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			one, two := newGate(t, "one"), newGate(t, "two")
			w.cluster("c1", catalog.Function{URL: one.URL, MaxRequests: 3}, catalog.Function{URL: two.URL, MaxRequests: 2})
			s := serve(t, strings.NewReplacer("{G1}", addressOf(one.URL), "{G2}", addressOf(two.URL)).Replace(proxy))
			var served, refused atomic.Int64
			var wg sync.WaitGroup
			for range 60 {
				wg.Go(func() {
					switch a, err := s.try(http.MethodGet, "/", ""); {
					case err != nil:
						t.Error(err)
					case a.Status == http.StatusOK:
						served.Add(1)
					case a.Status == http.StatusServiceUnavailable && a.Header.Get("X-FaDO-Reason") == "no-endpoint":
						refused.Add(1)
					default:
						t.Error(a)
					}
				})
			}
			eventually(t, "all but five are refused", func() bool { return refused.Load() == 55 })
			for range 3 {
				<-one.in
			}
			for range 2 {
				<-two.in
			}
			close(one.out)
			close(two.out)
			wg.Wait()
			if served.Load() != 5 || one.max.Load() != 3 || two.max.Load() != 2 {
				t.Errorf("%d served, at most %d and %d at a time", served.Load(), one.max.Load(), two.max.Load())
			}
		})
	}
}

func TestSpill(t *testing.T) {
	w := newWorld(t)
	home, away, forbidden := newGate(t, "home"), newGate(t, "away"), newGate(t, "forbidden")
	for name, g := range map[string]*gate{"home": home, "away": away, "forbidden": forbidden} {
		w.cluster(name, at(g.URL))
	}
	w.bucket("photos", catalog.Policy{ExcludeZones: []string{"forbidden"}}, "home")
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware {\nspill 2\n}")
	var wg sync.WaitGroup
	ask := func() {
		wg.Go(func() {
			if a, err := s.try(http.MethodGet, "/", "", "X-FaDO-Bucket: photos"); err != nil || a.Status != http.StatusOK {
				t.Errorf("%v, %v", a, err)
			}
		})
	}
	for range 3 { // the bound is passed by the third
		ask()
		<-home.in
	}
	ask()
	<-away.in
	if n := forbidden.now.Load(); n != 0 {
		t.Errorf("%d requests where they are forbidden", n)
	}
	close(home.out)
	close(away.out)
	wg.Wait()
	if who := s.tally(1, "X-FaDO-Bucket: photos"); !only(who, "home") {
		t.Errorf("with nothing in flight: %v", who)
	}
}

func TestTheCataloguesBalanceComesFirst(t *testing.T) {
	w := newWorld(t)
	w.cluster("c1", at(function(t, "one").URL), at(function(t, "two").URL))
	w.bucket("first", catalog.Policy{Balance: catalog.RawObject(`{"policy":"first"}`)}, "c1")
	w.bucket("sticky", catalog.Policy{Balance: catalog.RawObject(`{"policy":"header","field":"X-User","fallback":{"policy":"first"}}`)}, "c1")
	w.bucket("least", catalog.Policy{Balance: catalog.RawObject(`{"policy":"least_conn"}`)}, "c1")
	w.bucket("broken", catalog.Policy{Balance: catalog.RawObject(`{"policy":"nope"}`)}, "c1")
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware round_robin")

	if who := s.tally(20, "X-FaDO-Bucket: first"); !only(who, "one") {
		t.Errorf("first: %v", who)
	}
	if who := s.tally(20, "X-FaDO-Bucket: sticky", "X-User: u1"); len(who) != 1 {
		t.Errorf("sticky: %v", who)
	}
	if who := s.tally(40, "X-FaDO-Bucket: least"); !only(who, "one", "two") {
		t.Errorf("least: %v", who)
	}
	for _, header := range []string{"X-FaDO-Bucket: broken", "X-Other: x"} {
		if who := s.tally(20, header); who["one"] != 10 || who["two"] != 10 {
			t.Errorf("%s: %v, expected to go round", header, who)
		}
	}
}

// A client that alternates two buckets has each of them go round all endpoints: no bucket's
// request is another one's turn, whichever way the policy is named.
func TestEveryRuleGoesRoundByItself(t *testing.T) {
	named := catalog.RawObject(`{"policy":"round_robin"}`)
	for name, test := range map[string]struct {
		proxy   string
		balance catalog.RawObject
	}{
		"data_aware's":    {"dynamic fado\ntransport fado\nlb_policy data_aware round_robin\n", nil},
		"the proxy's":     {"dynamic fado\ntransport fado\nlb_policy round_robin\n", nil},
		"weighted":        {"dynamic fado\ntransport fado\nlb_policy data_aware weighted_round_robin 1 1\n", nil},
		"the catalogue's": {"dynamic fado\ntransport fado\nlb_policy data_aware\n", named},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cluster("c1", at(function(t, "one").URL), at(function(t, "two").URL))
			w.bucket("a", catalog.Policy{Balance: test.balance}, "c1")
			w.bucket("b", catalog.Policy{Balance: test.balance}, "c1")
			s := serve(t, test.proxy)
			who := make(map[string]map[string]int)
			for range 10 {
				for _, b := range []string{"a", "b"} {
					if who[b] == nil {
						who[b] = make(map[string]int)
					}
					who[b][s.get("/", "X-FaDO-Bucket: "+b).Who]++
				}
			}
			for b, by := range who {
				if by["one"] != 5 || by["two"] != 5 {
					t.Errorf("%s: %v, expected to go round", b, by)
				}
			}
		})
	}
}
