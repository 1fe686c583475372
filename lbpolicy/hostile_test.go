package lbpolicy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// A path prefix is a wall: no path goes beside it, no matter who chooses the endpoint, and no
// endpoint is blamed for it.
func TestAPathCannotLeaveThePrefix(t *testing.T) {
	for name, proxy := range map[string]string{
		"data_aware":     dynamicProxy,
		"with retries":   dynamicProxy + "lb_try_duration 60s\nlb_try_interval 1ms\n",
		"another policy": "dynamic fado\ntransport fado\nlb_policy random\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := function(t, "f")
			w.cluster("c1", at(f.URL+"/function"))
			s := serve(t, proxy)
			for _, path := range []string{"/../system/x", "/%2e%2e/system/x", "/..%2fsystem/x", "/a/..;/..;/system", "/%252e%252e/x"} {
				a := s.get(path)
				if a.Status != http.StatusBadRequest || !strings.Contains(a.Body, "path") {
					t.Errorf("%s: answer %v", path, a)
				}
			}
			if a := s.get("/a.b/x;v=1"); a.URI != "/function/a.b/x;v=1" {
				t.Errorf("answer %v", a)
			}
			ep := w.endpoint(f.URL + "/function")
			if len(w.failed()) > 0 || !ep.Live.Healthy() || ep.Live.InFlight.Load() != 0 {
				t.Errorf("the endpoint is blamed: %v, %d in flight", w.failed(), ep.Live.InFlight.Load())
			}
			if name != "another policy" && w.rejections[routing.ReasonBadPath] != 5 {
				t.Errorf("counted %v", w.rejections)
			}
		})
	}
}

func TestPathsAreAsTheyAreWithoutAPrefix(t *testing.T) {
	w := newWorld(t)
	w.cluster("c1", at(function(t, "f").URL))
	if a := serve(t, dynamicProxy).get("/a/../b"); a.URI != "/a/../b" {
		t.Errorf("answer %v", a)
	}
}

// CONNECT would make a function a way to elsewhere: it is refused unless the site says
// otherwise, and no endpoint is asked.
func TestConnectIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		option string
		want   int
	}{
		"by default": {"", http.StatusNotImplemented},
		"reject":     {"connect reject", http.StatusNotImplemented},
		"pass":       {"connect pass", http.StatusTeapot},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var asked atomic.Int64
			f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.WriteHeader(http.StatusTeapot)
			}))
			t.Cleanup(f.Close)
			w.cluster("c1", at(f.URL))
			s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware {\n"+tc.option+"\n}\n")
			for _, target := range []string{"/f", "example.com:443"} {
				asked.Store(0)
				if got := s.raw("CONNECT " + target + " HTTP/1.1\r\nHost: example.com:443\r\n\r\n"); got != tc.want {
					t.Errorf("CONNECT %s: status %d, want %d", target, got, tc.want)
				}
				if passed := asked.Load() > 0; passed != (tc.want == http.StatusTeapot) {
					t.Errorf("CONNECT %s: the function was asked %d times", target, asked.Load())
				}
			}
			if refused := w.rejections[routing.ReasonBadMethod]; (refused == 2) != (tc.want == http.StatusNotImplemented) {
				t.Errorf("counted %v", w.rejections)
			}
		})
	}
}

// raw sends what no client of Go's would, and returns the status of the answer.
func (s *site) raw(request string) int {
	s.t.Helper()
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// An answer that comes before all of the request was read ends the client's connection: what
// is left of the body must not be taken for another request, which behind a proxy that
// shares connections would be answered to someone else.
func TestTheRestOfABodyIsNoRequest(t *testing.T) {
	var smuggled atomic.Bool
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/f" {
			smuggled.Store(true)
		}
		fmt.Fprint(w, "early")
	}))
	t.Cleanup(f.Close)
	newWorld(t).cluster("c1", at(f.URL))
	s := serve(t, dynamicProxy)
	conn, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const first, rest, times = "body", "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", 20_000 // more than servers wait for
	fmt.Fprintf(conn, "POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(first)+times*len(rest), first)
	answers := bufio.NewReader(conn)
	res, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "early" {
		t.Fatalf("status %d, %q (%v)", res.StatusCode, body, err)
	}
	_, _ = io.WriteString(conn, strings.Repeat(rest, times))
	if again, err := http.ReadResponse(answers, nil); err == nil {
		t.Errorf("the rest of the body was answered with %d", again.StatusCode)
	}
	if smuggled.Load() {
		t.Error("the rest of the body reached the function as a request")
	}
}

// What can't get better is answered at once, however long Caddy would try again.
func TestARefusalThatNothingHelpsIsAnsweredAtOnce(t *testing.T) {
	w := threeClusters(t)
	w.bucket("exiled", catalog.Policy{Zones: []string{"nowhere"}}, "c1")
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware\nlb_try_duration 10m\nlb_try_interval 1ms\n")
	for header, reason := range map[string]routing.Reason{
		"X-FaDO-Bucket: nope":      routing.ReasonUnknownBucket,
		"X-FaDO-Bucket: exiled":    routing.ReasonZoneForbidden,
		"X-FaDO-Bucket: ,":         routing.ReasonNoBucket,
		"X-FaDO-Data: https://x/y": routing.ReasonBadInput,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := s.do(method, "/", "body", header)
			expect(t, a.Header, "X-FaDO-Reason", string(reason))
			expect(t, a.Header, "X-FaDO-Cluster")
		}
		w.mu.Lock()
		if w.rejections[reason] != 2 {
			t.Errorf("%s: counted %v", header, w.rejections)
		}
		w.mu.Unlock()
	}
}

// brokenAfterRequest replies with something that is not TLS after it has read a request, as a broken server
// or someone on the path may do.
func brokenAfterRequest(t *testing.T, ran *atomic.Int64) string {
	t.Helper()
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	t.Cleanup(cert.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				secure := tls.Server(conn, &tls.Config{Certificates: cert.TLS.Certificates})
				if _, err := http.ReadRequest(bufio.NewReader(secure)); err != nil {
					return
				}
				ran.Add(1)
				fmt.Fprint(conn, "HTTP/1.1 500 oops\r\n\r\n")
			}()
		}
	}()
	return "https://" + l.Addr().String()
}

// What was or may have been sent is not sent again.
func TestARequestRunsOnce(t *testing.T) {
	for name, test := range map[string]struct{ options, body string }{
		"no body":       {"", ""},
		"a body":        {"", "body"},
		"a kept body":   {"request_buffers 1MiB\n", "body"},
		"many attempts": {"request_buffers 1MiB\nlb_try_duration 5s\n", "body"},
	} {
		t.Run(name, func(t *testing.T) {
			var ran atomic.Int64
			w := newWorld(t)
			bad := catalog.Function{URL: brokenAfterRequest(t, &ran), InsecureSkipVerify: true}
			w.cluster("bad", bad)
			w.cluster("good", at(function(t, "good").URL))
			w.bucket("photos", catalog.Policy{Prefer: []string{"bad"}}, "bad")
			s := serve(t, dynamicProxy+"lb_retries 3\nlb_try_interval 1ms\n"+test.options)
			a := s.do(http.MethodPost, "/", test.body, "X-FaDO-Bucket: photos")
			if a.Status != http.StatusBadGateway || ran.Load() != 1 {
				t.Errorf("ran %d times, answer %v", ran.Load(), a)
			}
			if f := w.failed(); len(f) > 0 {
				t.Errorf("reported as not to be dialled: %v", f)
			}
		})
	}
}

// What fails before anything is sent is tried elsewhere, whatever the method.
func TestAFailedHandshakeIsTriedElsewhere(t *testing.T) {
	refusing := httptest.NewUnstartedServer(answering("refusing"))
	refusing.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	refusing.StartTLS()
	t.Cleanup(refusing.Close)
	plain := function(t, "plain")
	for name, url := range map[string]string{
		"no TLS":          strings.Replace(plain.URL, "http:", "https:", 1),
		"no certificate":  refusing.URL,
		"not trustworthy": secureFunction(t, "unknown authority").URL,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cluster("bad", catalog.Function{URL: url, InsecureSkipVerify: name == "no certificate"})
			w.cluster("good", at(function(t, "good").URL))
			w.bucket("photos", catalog.Policy{}, "bad")
			s := serve(t, dynamicProxy+"lb_retries 3\nlb_try_interval 1ms\n")
			if a := s.do(http.MethodPost, "/", "body", "X-FaDO-Bucket: photos"); a.Who != "good" || a.seen.Body != "body" {
				t.Errorf("answer %v", a)
			}
			if f := w.failed(); len(f) != 1 {
				t.Errorf("reported as failed: %v", f)
			}
		})
	}
}

// Trailers say nothing that only FaDO may say, to the function and to the client.
func TestTrailersAreCleaned(t *testing.T) {
	var got http.Header
	f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got = r.Trailer.Clone()
		w.Header().Set("Trailer", "X-FaDO-Cluster, X-Sum")
		fmt.Fprint(w, "{}")
		w.Header().Set("X-FaDO-Cluster", "forged")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-FaDO-Reason", "forged")
	}))
	t.Cleanup(f.Close)
	for name, proxy := range map[string]string{
		"fado's transport": dynamicProxy,
		"buffered":         dynamicProxy + "request_buffers 1MiB\nresponse_buffers 1MiB\n",
		"another policy":   "dynamic fado\ntransport fado\nlb_policy random\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cluster("c1", at(f.URL))
			s := serve(t, proxy)
			req, err := http.NewRequest(http.MethodPost, "http://site/", io.NopCloser(strings.NewReader("body")))
			if err != nil {
				t.Fatal(err)
			}
			req.Trailer = http.Header{"X-Fado-Storage": {"forged"}, "X-Fado-Cluster": {"forged"}, "X-Mine": {"kept"}}
			res, err := s.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got.Get("X-Mine") != "kept" {
				t.Errorf("the function got the trailers %v", got)
			}
			if res.Trailer.Get("X-Sum") != "1" || res.Trailer.Get("X-FaDO-Cluster") != "" || res.Trailer.Get("X-FaDO-Reason") != "" {
				t.Errorf("the client got the trailers %v", res.Trailer)
			}
		})
	}
}

// However a request is written, what is not allowed to be beside its data is not: no reading
// of a header gives more than another.
func TestNoReadingOfAHeaderGivesMore(t *testing.T) {
	w := threeClusters(t)
	w.bucket("open", catalog.Policy{}, "c2", "c3")
	w.edit(func(e *routing.Editor) {
		e.PutPolicy(&catalog.Policy{Name: "c1-only", Zones: []string{"c1"}, OnMiss: catalog.OnMissRemote})
		e.PutBucket(&catalog.Bucket{Name: "eu-data", Policy: "c1-only", Primary: "c1"})
		e.SetCopies("eu-data", copiesIn("c1"))
		e.PutBucket(&catalog.Bucket{
			Name: "mixed", Policy: "p-open", Primary: "c2",
			Prefixes: []catalog.PrefixRule{{Prefix: "eu/", Policy: "c1-only"}},
		})
		copies := copiesIn("c2", "c3", "c1")
		e.SetCopies("mixed", append(copies, catalog.Copy{Prefix: "eu/", Cluster: "c1", Primary: true, State: catalog.CopySynced}))
	})
	s := serve(t, "dynamic fado\ntransport fado\nlb_policy data_aware {\nunknown_bucket any\n}")
	for name, headers := range map[string][]string{
		"joined lines":          {"X-FaDO-Data: s3://open/k, s3://eu-data/secret"},
		"joined without blanks": {"X-FaDO-Data: s3://open/k,s3://eu-data/secret"},
		"half-valid encoding":   {"X-FaDO-Data: s3://mixed/eu%2F100%"},
		"half-valid object":     {"X-FaDO-Bucket: mixed", "X-FaDO-Object: eu%2F100%"},
		"a thousand inputs":     {"X-FaDO-Bucket: " + strings.Repeat("eu-data,", 1000)},
		"too many inputs":       {"X-FaDO-Bucket: " + strings.Repeat("eu-data,", 1001)},
		"too many objects":      {"X-FaDO-Bucket: eu-data" + strings.Repeat(",open", 1200)},
		"an encoded bucket":     {"X-FaDO-Bucket: eu%2Ddata"},
		"a blank in it":         {"X-FaDO-Data: s3:// eu-data/secret"},
		"a leading slash":       {"X-FaDO-Bucket: mixed", "X-FaDO-Object: /eu/secret"},
		"an encoded slash":      {"X-FaDO-Bucket: mixed", "X-FaDO-Object: %2Feu/secret"},
		"a path":                {"X-FaDO-Data: s3://mixed/x/../eu//secret"},
		"a path to a prefix":    {"X-FaDO-Data: s3://mixed//eu/"},
		"another scheme":        {"X-FaDO-Data: s3://open/k, S3://eu-data/secret"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 15 {
				if a := s.get("/", headers...); a.Status == http.StatusOK && a.Who != "c1" {
					t.Fatalf("ran at %s", a.Who)
				} else if a.Status != http.StatusOK && a.Status != http.StatusBadRequest {
					// No cluster may have both: that is refused, too.
					expect(t, a.Header, "X-FaDO-Reason", string(routing.ReasonZoneForbidden))
				}
			}
		})
	}
}

// However an object is named, a copy that is behind is no hit for it: not under a name that a storage takes
// for the object's, either.
func TestStaleUnderAnotherName(t *testing.T) {
	w := threeClusters(t)
	w.bucket("photos", catalog.Policy{}, "c1", "c3")
	w.router.Pending.Add("photos", "a b", "c3")
	s := serve(t, dynamicProxy)
	for _, headers := range [][]string{
		{"X-FaDO-Bucket: photos", "X-FaDO-Object: /a b"},
		{"X-FaDO-Bucket: photos", "X-FaDO-Object: x/..//a%20b"},
		{"X-FaDO-Data: s3://photos//a%20b"},
	} {
		if who := s.tally(20, headers...); !only(who, "c1") {
			t.Errorf("%q: %v", headers, who)
		}
	}
}
