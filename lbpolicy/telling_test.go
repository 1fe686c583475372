package lbpolicy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// dynamic fado lets a request run only where routing allows, whatever policy balances and
// whichever line was forgotten.
func TestResidencyHoldsUnderAnyPolicy(t *testing.T) {
	for _, policy := range []string{
		"", "lb_policy random", "lb_policy round_robin", "lb_policy first", "lb_policy ip_hash", "lb_policy uri_hash",
		"lb_policy least_conn", "lb_policy random_choose 2", "lb_policy cookie c s", "lb_policy header X-Other {\nfallback first\n}",
		"lb_policy query q {\nfallback data_aware\n}", "lb_policy random\nlb_try_duration 60s\nlb_try_interval 1ms",
	} {
		t.Run(policy, func(t *testing.T) {
			w := threeClusters(t)
			w.bucket("reports", catalog.Policy{Zones: []string{"c2"}}, "c2")
			w.bucket("exiled", catalog.Policy{Zones: []string{"nowhere"}}, "c1")
			s := serve(t, "dynamic fado\ntransport fado\n"+policy)
			for i := range 20 {
				a := s.get(fmt.Sprintf("/%d?q=%d", i, i), "X-FaDO-Bucket: reports", fmt.Sprintf("X-Other: %d", i))
				if a.Who != "c2" {
					t.Fatalf("answer %v", a)
				}
				expect(t, a.Header, "X-FaDO-Locality", "local")
			}
			a := s.get("/", "X-FaDO-Data: s3://exiled/k")
			if a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "zones") {
				t.Errorf("answer %v", a)
			}
			expect(t, a.Header, "X-FaDO-Reason", string(routing.ReasonZoneForbidden))
			s.tally(20) // without data, too, requests are served
		})
	}
}

// The policy that the proxy names does balance: its state lasts, and it is asked each time.
func TestAnotherPolicyBalances(t *testing.T) {
	threeClusters(t)
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy round_robin")
	if who := s.tally(30); who["c1"] != 10 || who["c2"] != 10 || who["c3"] != 10 {
		t.Errorf("round_robin: %v", who)
	}
	s = serve(t, "dynamic fado\ntransport fado\nlb_policy first") // a reload drops connections of the same socket
	if who := s.tally(10); len(who) != 1 {
		t.Errorf("first: %v", who)
	}
}

// What lacks a line is refused when it is loaded, and the error names the line.
func TestHalfSetUps(t *testing.T) {
	w := threeClusters(t)
	s := serve(t, dynamicProxy)
	addr := w.endpoint(w.router.Snapshot().Cluster("c1").Functions[0].URL).Dial
	for proxy, want := range map[string]string{
		"lb_policy data_aware":                         "data_aware has no upstreams to choose from: expected 'dynamic fado'",
		"transport fado\nlb_policy data_aware":         "no upstreams to reach: expected 'dynamic fado'",
		"transport fado":                               "no upstreams to reach: expected 'dynamic fado'",
		"lb_policy query q {\nfallback data_aware\n}":  "data_aware has no upstreams to choose from",
		"to " + addr + "\ndynamic fado":                "1 upstreams are named beside the upstream source fado",
		"to " + addr + "\nlb_policy data_aware":        "",
		"to " + addr + "\ntransport fado":              "",
		"dynamic fado":                                 "",
		"dynamic fado\ntransport fado":                 "",
		"dynamic fado\nlb_policy data_aware ip_hash\n": "",
	} {
		err := s.tryLoad(proxy)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", proxy, err, want)
		}
	}
}

// A client that names no bucket in FaDO's headers made a mistake: it is told so.
func TestHeadersWithoutABucketAreBadRequests(t *testing.T) {
	threeClusters(t)
	s := serve(t, dynamicProxy)
	for _, header := range []string{"X-FaDO-Object: k", "X-FaDO-Bucket: ,", "X-FaDO-Bytes: 1", "X-FaDO-Data: "} {
		if a := s.get("/", header); a.Status != http.StatusBadRequest || a.Body == "" {
			t.Errorf("%s: answer %v", header, a)
		}
	}
	s = serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware {\nno_bucket reject\n}")
	if a := s.get("/"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("answer %v", a)
	}
}

func TestPlaceholdersTellTheDecision(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c2")
	w.bucket("exiled", catalog.Policy{Zones: []string{"nowhere"}}, "c1")
	s := serve(t, dynamicProxy+`
		header_up X-Told "{fado.cluster} {fado.locality} {fado.bucket} {fado.object}{fado.reason}"
		header_up X-Fn "{fado.cluster}.example"
		header_down X-Down "{fado.cluster}"
		@refused status 503
		handle_response @refused {
			respond "refused: {fado.reason} {fado.bucket} {fado.cluster}" 421
		}`)
	a := s.get("/", "X-FaDO-Bucket: photos", "X-FaDO-Object: a%20b", "X-FaDO-Cluster: evil", "X-Fado.cluster: evil")
	expect(t, a.seen.Header, "X-Told", "c2 local photos a b")
	expect(t, a.seen.Header, "X-Fn", "c2.example")
	expect(t, a.Header, "X-Down", "c2")
	if a := s.get("/", "X-FaDO-Bucket: exiled"); a.Status != 421 || a.Body != "refused: zone-forbidden exiled " {
		t.Errorf("answer %v", a)
	}
}

// An answer to a refusal can be replaced, and those of functions left as they are.
func TestARefusalsBodyCanBeReplaced(t *testing.T) {
	w := newWorld(t)
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "the function's own")
	}))
	t.Cleanup(failing.Close)
	w.cluster("c1", at(failing.URL))
	w.bucket("photos", catalog.Policy{}, "c1")
	s := serveEdited(t, dynamicProxy+`
		@failed status 4xx 5xx
		handle_response @failed {
			route {
				respond @refused "{fado.reason}: mine" {http.reverse_proxy.status_code}
				copy_response
			}
		}`, strings.NewReplacer("\treverse_proxy {", "\t@refused expression {fado.reason} != \"\"\n\treverse_proxy {"))
	if a := s.get("/", "X-FaDO-Bucket: photos"); a.Status != http.StatusServiceUnavailable || a.Body != "the function's own" {
		t.Errorf("the function's answer is %v", a)
	}
	for header, status := range map[string]int{"X-FaDO-Bucket: nope": http.StatusServiceUnavailable, "X-FaDO-Object: x": http.StatusBadRequest} {
		a := s.get("/", header)
		if a.Status != status || !strings.HasSuffix(a.Body, ": mine") || a.Header.Get("X-FaDO-Reason")+": mine" != a.Body {
			t.Errorf("%s: answer %v", header, a)
		}
	}
}

func TestAccessLogsTellTheDecision(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c2")
	file := filepath.Join(t.TempDir(), "access.log")
	s := serveEdited(t, dynamicProxy, strings.NewReplacer("\treverse_proxy {", "\tlog {\noutput file "+file+"\n}\nlog_append key {fado.object}\n\treverse_proxy {"))
	s.get("/", "X-FaDO-Data: s3://photos/k")
	s.get("/", "X-FaDO-Bucket: nope")
	var lines []string
	eventually(t, "two lines are logged", func() bool {
		text, err := os.ReadFile(file)
		lines = strings.SplitAfter(strings.TrimSpace(string(text)), "\n")
		return err == nil && len(lines) == 2 && strings.HasSuffix(lines[1], "}")
	})
	for i, want := range []struct{ cluster, locality, reason, bucket, key string }{
		{"c2", "local", "", "photos", "k"}, {"", "", "unknown-bucket", "nope", ""},
	} {
		var got struct {
			FaDO struct{ Cluster, Locality, Reason, Bucket string }
			Key  string
		}
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		if d := got.FaDO; d.Cluster != want.cluster || d.Locality != want.locality || d.Reason != want.reason || d.Bucket != want.bucket || got.Key != want.key {
			t.Errorf("logged %+v, want %+v", got, want)
		}
	}
}
