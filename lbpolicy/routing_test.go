package lbpolicy_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// threeClusters makes clusters c1, c2 and c3 with a function each.
func threeClusters(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for _, c := range []string{"c1", "c2", "c3"} {
		w.cluster(c, at(function(t, c).URL))
	}
	return w
}

func TestRequestsGoWhereTheirDataIs(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c1", "c3")
	s := serve(t, dynamicProxy)

	if who := s.tally(60); !only(who, "c1", "c2", "c3") {
		t.Errorf("without a bucket: %v", who)
	}
	if who := s.tally(40, "X-FaDO-Bucket: photos"); !only(who, "c1", "c3") {
		t.Errorf("by bucket: %v", who)
	}
	if who := s.tally(40, "X-FaDO-Bucket: photos", "X-FaDO-Object: a/b"); !only(who, "c1", "c3") {
		t.Errorf("by object: %v", who)
	}
	w.router.Pending.Add("photos", "a b", "c3")
	if who := s.tally(20, "X-FaDO-Data: s3://photos/a%20b"); !only(who, "c1") {
		t.Errorf("by an object that is not in step: %v", who)
	}
	if who := s.tally(40, "X-FaDO-Bucket: photos"); !only(who, "c1", "c3") {
		t.Errorf("by bucket, with an object that is not in step: %v", who)
	}
}

func TestHeadersSayWhereARequestWent(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c2")
	s := serve(t, dynamicProxy)

	a := s.get("/resize?w=100", "X-FaDO-Bucket: photos")
	expect(t, a.Header, "X-FaDO-Cluster", "c2")
	expect(t, a.Header, "X-FaDO-Locality", "local")
	expect(t, a.Header, "X-FaDO-Reason")
	expect(t, a.seen.Header, "X-FaDO-Cluster", "c2")
	expect(t, a.seen.Header, "X-FaDO-Locality", "local")
	expect(t, a.seen.Header, "X-FaDO-Storage", "http://storage.c2:9000")
	expect(t, a.seen.Header, "X-FaDO-Storage-Bucket", "c2-photos")
	expect(t, a.seen.Header, "X-FaDO-Bucket", "photos")
	if a.URI != "/resize?w=100" {
		t.Errorf("the function was asked %s", a.URI)
	}

	w.endpoint(w.router.Snapshot().Cluster("c2").Functions[0].URL).Live.SetHealthy(false, "down")
	a = s.get("/", "X-FaDO-Bucket: photos")
	expect(t, a.Header, "X-FaDO-Locality", "remote")
	expect(t, a.seen.Header, "X-FaDO-Locality", "remote")
	expect(t, a.seen.Header, "X-FaDO-Storage", "http://storage.c2:9000")
	expect(t, a.seen.Header, "X-FaDO-Storage-Bucket", "c2-photos")
	if a.Who == "c2" {
		t.Error("an unhealthy endpoint was used")
	}

	a = s.get("/")
	expect(t, a.Header, "X-FaDO-Locality", "none")
	expect(t, a.seen.Header, "X-FaDO-Locality", "none")
	expect(t, a.seen.Header, "X-FaDO-Storage")
	expect(t, a.seen.Header, "X-FaDO-Storage-Bucket")
	if w.decisions[routing.LocalityLocal] != 1 || w.decisions[routing.LocalityRemote] != 1 || w.decisions[routing.LocalityNone] != 1 {
		t.Errorf("decisions counted: %v", w.decisions)
	}
}

func TestClientsCantForgeWhatFunctionsAreTold(t *testing.T) {
	forged := []string{
		"X-FaDO-Cluster: evil", "x-fado-locality: local", "X-Fado-Storage: http://evil", "X-FADO-STORAGE-BUCKET: evil",
		"X-FaDO-Cluster: twice",
	}
	told := []string{"X-FaDO-Cluster", "X-FaDO-Locality", "X-FaDO-Storage", "X-FaDO-Storage-Bucket"}
	for name, test := range map[string]struct {
		proxy string
		want  []string
	}{
		"told":                     {dynamicProxy, []string{"c1", "none"}},
		"told nothing":             {"dynamic fado\ntransport fado\nlb_policy data_aware {\nforward_headers off\n}", nil},
		"no function endpoint":     {"to {OTHER}\ntransport fado\nlb_policy random", nil},
		"another policy":           {"dynamic fado\ntransport fado\nlb_policy random", []string{"c1", "none"}},
		"header operations":        {dynamicProxy + "header_up X-Other x\n", []string{"c1", "none"}},
		"static, plain transport":  {"to {C1}\nlb_policy data_aware", []string{"c1", "none"}},
		"static, fado's transport": {"to {C1}\ntransport fado\nlb_policy data_aware", []string{"c1", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := function(t, "c1")
			w.cluster("c1", at(f.URL))
			proxy := withAddress(test.proxy, "{C1}", f.URL)
			proxy = withAddress(proxy, "{OTHER}", function(t, "other").URL)
			a := serve(t, proxy).get("/", forged...)
			if a.Status != http.StatusOK {
				t.Fatal(a)
			}
			for i, h := range told {
				if i < len(test.want) {
					expect(t, a.seen.Header, h, test.want[i])
				} else {
					expect(t, a.seen.Header, h)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		proxy  string
		header string
		reason routing.Reason
		wait   bool
	}{
		"unknown bucket":                      {"lb_policy data_aware", "X-FaDO-Bucket: nope", routing.ReasonUnknownBucket, false},
		"one of several":                      {"lb_policy data_aware", "X-FaDO-Bucket: photos, nope", routing.ReasonUnknownBucket, false},
		"unreadable data":                     {"lb_policy data_aware", "X-FaDO-Data: photos/x", routing.ReasonBadInput, false},
		"unreadable, unknown may go anywhere": {"lb_policy data_aware {\nunknown_bucket any\n}", "X-FaDO-Data: photos/x", routing.ReasonBadInput, false},
		"no token of ours":                    {"lb_policy data_aware", "X-FaDO-Token: xyz", routing.ReasonBadInput, false},
		"an empty bucket":                     {"lb_policy data_aware", "X-FaDO-Bucket: ,", routing.ReasonNoBucket, false},
		"only an object":                      {"lb_policy data_aware", "X-FaDO-Object: x", routing.ReasonNoBucket, false},
		"only sizes":                          {"lb_policy data_aware", "X-FaDO-Bytes: 12", routing.ReasonNoBucket, false},
		"no bucket":                           {"lb_policy data_aware {\nno_bucket reject\n}", "X-Other: x", routing.ReasonNoBucket, false},
		"object without bucket":               {"lb_policy data_aware {\nno_bucket reject\n}", "X-FaDO-Object: x", routing.ReasonNoBucket, false},
		"not fresh":                           {"lb_policy data_aware", "X-FaDO-Data: s3://strict/stale", routing.ReasonNoFreshCopy, true},
		"nobody healthy":                      {"lb_policy data_aware", "X-FaDO-Bucket: lonely", routing.ReasonNoEndpoint, true},
		"forbidden":                           {"lb_policy data_aware", "X-FaDO-Bucket: exiled", routing.ReasonZoneForbidden, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := threeClusters(t)
			w.cluster("c4") // no functions
			w.bucket("photos", catalog.Policy{}, "c1")
			w.bucket("strict", catalog.Policy{OnMiss: catalog.OnMissReject}, "c4", "c2")
			w.router.Pending.Add("strict", "stale", "c2")
			w.bucket("lonely", catalog.Policy{Zones: []string{"c3"}}, "c3")
			w.endpoint(w.router.Snapshot().Cluster("c3").Functions[0].URL).Live.SetHealthy(false, "down")
			w.bucket("exiled", catalog.Policy{Zones: []string{"c4"}}, "c4")

			a := serve(t, "dynamic fado\ntransport fado\n"+test.proxy).get("/", test.header)
			status := http.StatusServiceUnavailable
			if test.reason == routing.ReasonBadInput || test.reason == routing.ReasonNoBucket && strings.HasPrefix(test.header, "X-FaDO-") {
				status = http.StatusBadRequest
			}
			if a.Status != status || !strings.HasSuffix(a.Body, ".\n") {
				t.Fatalf("answer %v, want %d and a sentence", a, status)
			}
			if name, _, _ := strings.Cut(test.header, ":"); test.reason == routing.ReasonBadInput && !strings.Contains(a.Body, name) {
				t.Errorf("the answer %q does not say %s", a.Body, name)
			}
			expect(t, a.Header, "X-FaDO-Reason", string(test.reason))
			expect(t, a.Header, "X-FaDO-Cluster")
			expect(t, a.Header, "X-FaDO-Locality")
			seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
			if test.wait != (err == nil && seconds > 0) {
				t.Errorf("Retry-After: %q", a.Header.Get("Retry-After"))
			}
			if w.rejections[test.reason] != 1 || len(w.rejections) != 1 || len(w.decisions) != 0 {
				t.Errorf("counted %v, %v", w.rejections, w.decisions)
			}
		})
	}
}

func TestUnknownBucketsMayGoAnywhere(t *testing.T) {
	threeClusters(t)
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware {\nunknown_bucket any\n}")
	if who := s.tally(60, "X-FaDO-Bucket: nope"); !only(who, "c1", "c2", "c3") {
		t.Error(who)
	}
}

func TestBucketFromAnotherPlace(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c1", "c2")
	w.router.Pending.Add("photos", "k 1", "c2")
	s := serve(t, `
		dynamic fado
		transport fado
		lb_policy data_aware {
			bucket {path.0}
			object {query.key}
		}`)
	for range 20 {
		if a := s.get("/photos/f?key=k%201"); a.Who != "c1" {
			t.Fatalf("answer %v", a)
		}
	}
	if a := s.get("/nope"); a.Status != http.StatusServiceUnavailable {
		t.Errorf("answer %v", a)
	}
}

func TestACatalogueChangeIsRoutedByAtOnce(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c1")
	s := serve(t, dynamicProxy)
	s.tally(1)
	f := function(t, "new")
	w.cluster("c9", at(f.URL))
	w.edit(func(e *routing.Editor) { e.SetCopies("photos", copiesIn("c9")) })
	if who := s.tally(10, "X-FaDO-Bucket: photos"); !only(who, "new") {
		t.Error(who)
	}
	w.edit(func(e *routing.Editor) { e.Delete(catalog.KindCluster, "c9"); e.SetCopies("photos", copiesIn("c2")) })
	if who := s.tally(10, "X-FaDO-Bucket: photos"); !only(who, "c2") {
		t.Error(who)
	}
}

func TestWaitingForTheAppToStart(t *testing.T) {
	w := threeClusters(t)
	w.ready = make(chan struct{})
	for name, proxy := range map[string]string{
		"data_aware": dynamicProxy,
		"random":     "dynamic fado\ntransport fado\nlb_policy random",
		"static":     "to " + w.endpoint(w.router.Snapshot().Cluster("c1").Functions[0].URL).Dial + "\nlb_policy data_aware",
	} {
		t.Run(name, func(t *testing.T) {
			w.ready = make(chan struct{})
			w.readyAsked.Store(0)
			s := serve(t, proxy)
			done := make(chan answer, 1)
			go func() {
				a, _ := s.try(http.MethodGet, "/", "")
				done <- a
			}()
			// The second look at it is the one that waits.
			eventually(t, "the request waits", func() bool { return w.readyAsked.Load() >= 2 })
			select {
			case a := <-done:
				t.Fatalf("answered before the app was ready: %v", a)
			default:
			}
			close(w.ready)
			if a := <-done; a.Status != http.StatusOK {
				t.Errorf("answer %v", a)
			}
		})
	}
}
