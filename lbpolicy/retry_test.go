package lbpolicy_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

func TestRetriesStayWhereTheDataMayBe(t *testing.T) {
	for name, ops := range map[string]string{
		"":                    "",
		"header operations":   "header_up X-Other {http.reverse_proxy.upstream.hostport}\n",
		"request is buffered": "request_buffers 1MiB\n",
	} {
		t.Run("with "+name, func(t *testing.T) {
			for range 10 { // whichever endpoint comes first
				w := newWorld(t)
				w.cluster("dead", at("http://"+deadAddress(t)))
				w.cluster("alive", at(function(t, "alive").URL))
				w.cluster("other", at(function(t, "other").URL))
				w.bucket("photos", catalog.Policy{Zones: []string{"dead", "alive"}}, "dead", "alive")
				s := serve(t, dynamicProxy+"lb_retries 3\nlb_try_interval 1ms\n"+ops)
				for range 5 {
					a := s.do(http.MethodPost, "/", "body", "X-FaDO-Bucket: photos")
					if a.Who != "alive" || a.seen.Body != "body" {
						t.Fatalf("answer %v", a)
					}
					expect(t, a.Header, "X-FaDO-Cluster", "alive")
					expect(t, a.seen.Header, "X-FaDO-Cluster", "alive")
					expect(t, a.seen.Header, "X-FaDO-Storage", "http://storage.alive:9000")
					expect(t, a.seen.Header, "X-FaDO-Storage-Bucket", "alive-photos")
				}
				if f := w.failed(); len(f) > 1 {
					t.Errorf("reported as failed: %v", f)
				}
				if w.decisions[routing.LocalityLocal] != 5 || len(w.rejections) != 0 {
					t.Errorf("counted %v, %v", w.decisions, w.rejections)
				}
				for _, c := range []string{"dead", "alive"} {
					eventually(t, "nothing is in flight", func() bool { return w.router.Flights.InFlight("photos", c) == 0 })
				}
			}
		})
	}
}

func TestARetryRefusedStaysRefused(t *testing.T) {
	w := newWorld(t)
	w.cluster("dead", at("http://"+deadAddress(t)))
	w.cluster("other", at(function(t, "other").URL))
	w.bucket("photos", catalog.Policy{OnMiss: catalog.OnMissReject}, "dead")
	s := serve(t, dynamicProxy+"lb_retries 3\nlb_try_interval 1ms\n")
	a := s.get("/", "X-FaDO-Bucket: photos")
	// The status is Caddy's, of the last attempt that was made.
	if a.Status != http.StatusBadGateway {
		t.Errorf("answer %v", a)
	}
	expect(t, a.Header, "X-FaDO-Cluster")
	if a.Header.Get("X-FaDO-Reason") == "" {
		t.Error("no reason is given")
	}
}

func TestARefusalThatIsOvercome(t *testing.T) {
	w := newWorld(t)
	f := function(t, "f")
	w.cluster("c1", at(f.URL))
	ep := w.endpoint(f.URL)
	ep.Live.SetHealthy(false, "starting")
	s := serve(t, dynamicProxy+"lb_try_duration 60s\nlb_try_interval 1ms\n")
	asked := w.readyAsked.Load()
	done := make(chan answer, 1)
	go func() {
		a, _ := s.try(http.MethodGet, "/", "")
		done <- a
	}()
	eventually(t, "it was tried more than once", func() bool { return w.readyAsked.Load() > asked+6 })
	ep.Live.SetHealthy(true, "")
	a := <-done
	if a.Status != http.StatusOK {
		t.Errorf("answer %v", a)
	}
	expect(t, a.Header, "X-FaDO-Reason")
	expect(t, a.Header, "Retry-After")
	expect(t, a.Header, "X-FaDO-Cluster", "c1")
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rejections) != 0 || w.decisions[routing.LocalityNone] != 1 {
		t.Errorf("counted %v, %v", w.decisions, w.rejections)
	}
}

func TestARefusalWithRetriesIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	w.cluster("c1")
	s := serve(t, dynamicProxy+"lb_retries 5\nlb_try_interval 1ms\n")
	if a := s.get("/"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("answer %v", a)
	}
	<-w.counted
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rejections[routing.ReasonNoEndpoint] != 1 {
		t.Errorf("counted %v", w.rejections)
	}
}

// A request that is refused in all its attempts is told why, as without retries, with FaDO's
// transport and Caddy's own.
func TestTheLastRefusalSaysWhy(t *testing.T) {
	w := newWorld(t)
	f := function(t, "f")
	w.cluster("c1", at(f.URL))
	w.endpoint(f.URL).Live.SetHealthy(false, "down")
	for _, proxy := range []string{
		dynamicProxy,
		"dynamic fado\nlb_policy data_aware\n",
		"dynamic fado\nlb_policy random\ntransport http\n",
		withAddress("to {F}\nlb_policy data_aware\n", "{F}", f.URL),
	} {
		for _, retries := range []string{"", "lb_retries 5\n"} {
			a := serve(t, proxy+retries+"lb_try_interval 1ms\n").get("/")
			if a.Status != http.StatusServiceUnavailable || !strings.HasSuffix(a.Body, ".\n") {
				t.Errorf("%s%s: answer %v", proxy, retries, a)
			}
			expect(t, a.Header, "X-FaDO-Reason", string(routing.ReasonNoEndpoint))
		}
	}
}

func TestRetriesByStatusDontRepeatAnEndpoint(t *testing.T) {
	w := newWorld(t)
	var asked []string
	failing := func(who string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, who+" "+r.Header.Get("X-FaDO-Cluster"))
			w.WriteHeader(http.StatusInternalServerError)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for _, c := range []string{"c1", "c2", "c3", "c4", "c5", "c6"} {
		w.cluster(c, at(failing(c)))
	}
	w.bucket("photos", catalog.Policy{Copies: catalog.Copies{N: 3}, ExcludeZones: []string{"c6"}}, "c1", "c2", "c3")
	s := serve(t, dynamicProxy+"lb_retries 4\nlb_retry_match `{rp.status_code} == 500`\n")
	s.get("/", "X-FaDO-Bucket: photos")
	slices.Sort(asked)
	if want := []string{"c1 c1", "c2 c2", "c3 c3", "c4 c4", "c5 c5"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

func TestPassiveHealthChecks(t *testing.T) {
	for name, proxy := range map[string]string{
		"dynamic":     dynamicProxy,
		"round_robin": "dynamic fado\ntransport fado\nlb_policy data_aware round_robin\n",
		"static":      "to {BAD} {GOOD}\nlb_policy data_aware\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusInternalServerError)
			}))
			defer bad.Close()
			good := function(t, "good")
			w.cluster("c1", at(bad.URL), at(good.URL))
			s := serve(t, withAddress(withAddress(proxy, "{BAD}", bad.URL), "{GOOD}", good.URL)+
				"fail_duration 60s\nmax_fails 2\nunhealthy_status 5xx\n")
			failures := 0
			for range 60 {
				if a := s.get("/"); a.Status != http.StatusOK {
					failures++
				}
			}
			if failures != 2 {
				t.Errorf("%d failures, expected the 2 it takes", failures)
			}
		})
	}
}

// A refusal that no retry can help is answered at once, with its reason, whichever transport the
// proxy has: the policy is asked once.
func TestHopelessIsAnsweredAtOnce(t *testing.T) {
	f := function(t, "f")
	for name, proxy := range map[string]string{
		"fado":         dynamicProxy,
		"default":      "dynamic fado\nlb_policy data_aware\n",
		"http":         "dynamic fado\nlb_policy data_aware\ntransport http\n",
		"other policy": "dynamic fado\nlb_policy random\n",
		"static":       withAddress("to {F}\nlb_policy data_aware\n", "{F}", f.URL),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cluster("c1", at(f.URL))
			s := serve(t, proxy+"lb_try_duration 60s\nlb_try_interval 1ms\n")
			asked := w.readyAsked.Load()
			a := s.get("/", "X-FaDO-Bucket: unheard-of")
			if a.Status != http.StatusServiceUnavailable || a.Body == "" {
				t.Errorf("answer %v", a)
			}
			expect(t, a.Header, "X-FaDO-Reason", string(routing.ReasonUnknownBucket))
			if n := w.readyAsked.Load() - asked; n > 4 {
				t.Errorf("asked %d times", n)
			}
			if a := s.get("/"); a.Who != "f" {
				t.Errorf("answer %v", a)
			}
		})
	}
}
