package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// site is a FaDO with two clusters in two zones that replicates nothing. The policy of
// bucket shared allows one of the zones, so every request has one place to go.
type site struct {
	db       string
	postgres string // its connection string, instead of db
	port     int
	c1, c2   string // function URLs
	failing  string // "", "provision" or "start"
	label    string
	zone     string // the policy's
	bucket   string // that requests name
	settings string
}

func newSite(t testing.TB) site {
	t.Helper()
	return site{
		db: filepath.Join(t.TempDir(), "fado.db"), port: freePort(t),
		c1: functionServer(t, "c1"), c2: functionServer(t, "c2"),
		zone: "eu", settings: "replication off", bucket: "shared",
	}
}

func (s site) config(t testing.TB) config {
	t.Helper()
	store := "sqlite " + s.db
	if s.postgres != "" {
		store = "postgres " + s.postgres
	}
	c := parse(t, fmt.Sprintf(`
	fado {
		store %s
		node tester
		zone eu
		zone us
		cluster c1 {
			zones eu
			storage http://127.0.0.1:1
			function %s
			label version "%s"
		}
		cluster c2 {
			zones us
			storage http://127.0.0.1:2
			function %s
		}
		policy one {
			zones %s
		}
		bucket shared {
			policy one
		}
		%s
	}`, store, s.c1, s.label, s.c2, s.zone, s.settings), fmt.Sprintf(`
	http://127.0.0.1:%d {
		reverse_proxy {
			dynamic fado
			transport fado
			lb_policy data_aware
		}
	}`, s.port))
	switch s.failing {
	case "provision":
		c.app("fado_test_trouble")["fail_provision"] = true
	case "start":
		c.app("fado_test_trouble")["fail_start"] = true
	}
	return c
}

// get asks for the bucket and returns the name of the cluster that answered. Any answer
// but that is an error. A connection that ends without an answer is tried again: when
// a reload closes a TCP socket, the kernel resets what waits at it to be accepted, with
// FaDO as without.
func (s site) get(client *http.Client) (answer string, err error) {
	for range 20 {
		var unanswered *url.Error
		if answer, err = s.getOnce(client); !errors.As(err, &unanswered) {
			return answer, err
		}
	}
	return "", err
}

func (s site) getOnce(client *http.Client) (string, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/f", s.port), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("X-FaDO-Bucket", s.bucket)
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d, reason %q", resp.StatusCode, resp.Header.Get("X-FaDO-Reason"))
	}
	return string(body), err
}

func (s site) expect(t *testing.T, want string) {
	t.Helper()
	if got, err := s.get(http.DefaultClient); err != nil || got != want {
		t.Fatalf("the request was answered by %q (%v), expected %q", got, err, want)
	}
}

func TestReloadKeepsTheRuntime(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	s.expect(t, "c1")
	first := running(t)
	ctl := first.Control()
	if _, err := ctl.Resources.Create(context.Background(), &catalog.Zone{Name: "made-by-api"}); err != nil {
		t.Fatal(err)
	}

	s.zone = "us"
	mustLoad(t, s.config(t))
	s.expect(t, "c2")
	if running(t) == first || running(t).Control() != ctl || running(t).Router() != ctl.Router() {
		t.Error("the reload made a new runtime, or kept the old app")
	}
	if running(t).Router().Snapshot().Zone("made-by-api") == nil {
		t.Error("what the API made is gone")
	}
}

func TestFailedReloadsLeaveWhatRan(t *testing.T) {
	for _, failing := range []string{"provision", "start"} {
		t.Run(failing, func(t *testing.T) {
			noLeaks(t)
			s := newSite(t)
			mustLoad(t, s.config(t))
			app := running(t)

			bad := s
			bad.zone, bad.failing, bad.label = "us", failing, "bad"
			bad.settings = "replication {\nworkers 1\n}"
			attached := 0
			for range 40 { // apps start in random order: both orders are wanted
				fadoHadStarted.Store(false)
				if err := bad.config(t).load(); err == nil || !strings.Contains(err.Error(), "trouble in") {
					t.Fatalf("the bad configuration was loaded: %v", err)
				}
				if fadoHadStarted.Load() {
					attached++
				}
				if failing == "start" && fadoRouter.Load() != app.Router() {
					t.Fatal("the starting configuration did not route by what runs")
				}
				if running(t) != app || app.Control() == nil {
					t.Fatal("another app is running")
				}
				if label := app.Router().Snapshot().Cluster("c1").Labels["version"]; label != "" {
					t.Fatalf("the failed configuration's cluster is in force: %q", label)
				}
				if status, err := app.Replication().Reports().Status(t.Context(), false); err != nil || status.Workers == 1 {
					t.Fatalf("the failed configuration's replication settings are in force: %+v, %v", status, err)
				}
				if n := len(app.runtime.Load().holds); n != 1 {
					t.Fatalf("%d configurations hold the runtime", n)
				}
				s.expect(t, "c1")
			}
			if failing == "start" && (attached == 0 || attached == 40) {
				t.Errorf("fado had started before the failure %d of 40 times: both orders were to be tried", attached)
			}
			s.zone = "us"
			mustLoad(t, s.config(t))
			s.expect(t, "c2")
		})
	}
}

// TestFailedReloadsKeepMetrics: /metrics has FaDO's counters and the running configuration's
// gauges after a reload that failed, wherever it did, and the new one's after one that did not.
func TestFailedReloadsKeepMetrics(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	admin := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	with := func(c config) config {
		c["admin"] = map[string]any{"listen": admin}
		return c
	}
	check := func(when, function string) {
		t.Helper()
		resp, err := http.Get("http://" + admin + "/metrics")
		for try := 0; err != nil && try < 20; try++ { // a reload that failed closed the endpoint that it had begun, as of site.get
			resp, err = http.Get("http://" + admin + "/metrics")
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`caddy_fado_route_decisions_total{locality="remote"}`, "caddy_fado_build_info{", "caddy_fado_function_up{cluster=\"" + function + "\""} {
			if n := strings.Count(string(body), want); n != 1 {
				t.Errorf("%s: /metrics has %s %d times", when, want, n)
			}
		}
	}
	mustLoad(t, with(s.config(t)))
	check("at first", "c1")
	secretless := with(s.config(t))
	secretless.app(appName)["clusters"].([]any)[0].(map[string]any)["storage"].(map[string]any)["secret_key"] = "{env.FADO_TEST_UNSET}"
	trouble, start := s, s
	trouble.failing, start.failing = "provision", "start"
	for name, bad := range map[string]config{"its own Provision": secretless, "another's Provision": with(trouble.config(t)), "a Start": with(start.config(t))} {
		for range 4 { // apps are set up in random order
			if err := bad.load(); err == nil {
				t.Fatal("the bad configuration was loaded")
			}
			check("after a failure in "+name, "c1")
		}
	}
	good := with(s.config(t))
	good.app(appName)["clusters"].([]any)[0].(map[string]any)["name"] = "c9"
	mustLoad(t, good)
	check("after a reload", "c9")
	mustLoad(t, s.config(t)) // Caddy's end leaves the admin endpoint
}

// TestReloadWithoutItsSecret: a reload that misses a secret says which, and what runs
// goes on with what it has.
func TestReloadWithoutItsSecret(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	bad := s.config(t)
	cluster := bad.app(appName)["clusters"].([]any)[0].(map[string]any)
	cluster["storage"].(map[string]any)["secret_key"] = "{env.FADO_TEST_UNSET}"
	for range 3 {
		err := bad.load()
		if err == nil || !strings.Contains(err.Error(), "cluster c1: storage.secret_key: evaluated placeholder {env.FADO_TEST_UNSET} is empty") {
			t.Fatalf("got %v", err)
		}
		if _, err := running(t).Control().Resources.Create(t.Context(), &catalog.Zone{Name: "z"}); err != nil {
			t.Fatalf("what runs was harmed: %v", err)
		}
		if err := running(t).Control().Resources.Delete(t.Context(), catalog.KindZone, "z", control.Precondition{}); err != nil {
			t.Fatal(err)
		}
		s.expect(t, "c1")
	}
}

// TestFirstLoadFailing: with nothing before it, a failing configuration leaves nothing.
func TestFirstLoadFailing(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	for _, s.failing = range []string{"provision", "start", "start", "start", "start"} {
		if err := s.config(t).load(); err == nil {
			t.Fatal("the bad configuration was loaded")
		}
	}
	s.failing = ""
	mustLoad(t, s.config(t))
	s.expect(t, "c1")
}

func TestReloadsUnderLoad(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	s.expect(t, "c1")
	if _, err := running(t).Control().Resources.Create(context.Background(), &catalog.Zone{Name: "made-by-api"}); err != nil {
		t.Fatal(err)
	}
	before := counted(t, "caddy_fado_route_decisions_total")

	var sent, failed atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			client := &http.Client{Transport: new(http.Transport)}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				sent.Add(1)
				if _, err := s.get(client); err != nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	for i := range 100 {
		next := s
		next.label, next.zone = fmt.Sprint(i), []string{"eu", "us"}[i%2]
		if i%10 == 9 {
			next.failing = "start"
			if err := next.config(t).load(); err == nil {
				t.Error("the bad configuration was loaded")
			}
			continue
		}
		if err := next.config(t).load(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	clients.Wait()

	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
	if got := counted(t, "caddy_fado_route_decisions_total") - before; got < float64(sent.Load()) {
		t.Errorf("%v decisions were counted, %d requests were answered", got, sent.Load())
	}
	if running(t).Router().Snapshot().Zone("made-by-api") == nil {
		t.Error("what the API made is gone")
	}
	t.Logf("%d requests during 100 reloads", sent.Load())
}

// TestStateSurvivesRestart: what the API made is there after everything was stopped.
func TestStateSurvivesRestart(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	if _, err := running(t).Control().Resources.Create(context.Background(), &catalog.Bucket{Name: "kept"}); err != nil {
		t.Fatal(err)
	}
	empty := parse(t, "", "")
	empty["apps"] = map[string]any{}
	mustLoad(t, empty)
	runtimes.Range(func(any, any) bool { t.Error("a runtime is held by nobody"); return true })
	mustLoad(t, s.config(t))
	if running(t).Router().Snapshot().Bucket("kept") == nil {
		t.Error("the bucket is gone")
	}
}

// TestStoreCanBeChangedByReload: another store file is another runtime; the old one
// ends with its configuration.
func TestStoreCanBeChangedByReload(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	old := running(t).Control()
	s.db = filepath.Join(t.TempDir(), "other.db")
	mustLoad(t, s.config(t))
	s.expect(t, "c1")
	if running(t).Control() == old {
		t.Error("the store did not change")
	}
}

// TestIdentityOfOpenStore: one store can't be opened under two names or keys at a time,
// and the error says so instead of telling of a lock.
func TestIdentityOfOpenStore(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	mustLoad(t, s.config(t))
	renamed := s.config(t)
	renamed.app(appName)["node"] = "other"
	if err := renamed.load(); err == nil || !strings.Contains(err.Error(), `is open with another node ("tester", not "other")`) {
		t.Errorf("got %v", err)
	}
	rekeyed := s.config(t)
	rekeyed.app(appName)["encryption_key"] = "another key of 25 letters"
	if err := rekeyed.load(); err == nil || !strings.Contains(err.Error(), "is open with another encryption_key") {
		t.Errorf("got %v", err)
	}
	s.expect(t, "c1")
}
