package chaos

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/internal/testenv"
)

// maxGrowth is what hostile parties may make the process grow by.
const maxGrowth = 100 << 20

// worstEvery is how long a hostile client that may do anything rests: without, it takes the
// processors by right, and the figures say nothing of the rest.
const worstEvery = 500 * time.Millisecond

// pour writes text until nobody takes it any more.
func pour(w io.Writer, first, then string) {
	_, err := io.WriteString(w, first)
	for then = strings.Repeat(then, max(1, (32<<10)/len(then))); err == nil; {
		_, err = io.WriteString(w, then)
	}
}

// hostileStorage is a storage none of whose answers ends; with pings it is well until its
// buckets are asked for.
func hostileStorage(t *testing.T, pings bool, hit *atomic.Int64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hit.Add(1)
		switch {
		case r.URL.Path == "/" && pings:
			_, _ = io.WriteString(w, "<ListAllMyBucketsResult></ListAllMyBucketsResult>")
		case r.URL.Path == "/":
			pour(w, "<ListAllMyBucketsResult><Owner>", "A")
		case r.URL.Query().Has("versioning"):
			_, _ = io.WriteString(w, "<VersioningConfiguration></VersioningConfiguration>")
		case r.Method == http.MethodHead:
		case r.URL.Query().Has("list-type"):
			pour(w, "<ListBucketResult><IsTruncated>true</IsTruncated>", "<Contents><Key>k</Key><Size>1</Size></Contents>")
		default:
			w.WriteHeader(http.StatusInternalServerError)
			pour(w, "<Error><Code>Hostile</Code><Message>", "A")
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// hostileFunction never ends what a health check reads of it.
func hostileFunction(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		pour(conn, "HTTP/1.1 200 OK\r\n", "X-More: A\r\n")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// hostileCaddyfile declares a function that is well, one that is not, and a site for
// invocations and events.
func hostileCaddyfile(admin, port int, well, ill string) string {
	return fmt.Sprintf(`{
	admin 127.0.0.1:%d
	persist_config off
	auto_https off
	log {
		level ERROR
	}
	fado {
		store sqlite
		zone eu
		cluster well {
			zones eu
			function %s
		}
		cluster ill {
			zones eu
			function %s {
				health_path /
			}
		}
	}
}
http://127.0.0.1:%d {
	fado_events /events {
		token hostile
	}
	reverse_proxy {
		dynamic fado
		transport fado
		lb_policy data_aware
	}
}
`, admin, well, ill, port)
}

// TestHostileParties: storages, a function and clients of the API, the webhook and the site
// that all do their worst at once cost the process a bounded amount of memory, and requests
// are routed meanwhile. How many is logged.
func TestHostileParties(t *testing.T) {
	w := &world{T: t}
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") }))
	t.Cleanup(well.Close)
	admin, err := testenv.FreePort()
	w.must(err)
	port, err := testenv.FreePort()
	w.must(err)
	i := &instance{world: w, admin: fmt.Sprintf("http://127.0.0.1:%d", admin), config: filepath.Join(t.TempDir(), "Caddyfile")}
	w.must(os.WriteFile(i.config, []byte(hostileCaddyfile(admin, port, well.URL, hostileFunction(t))), 0o600))
	t.Cleanup(i.kill)
	i.start()
	site := fmt.Sprintf("http://127.0.0.1:%d", port)
	i.await("the function", func() error { return invoke(t.Context(), site) })

	calm := rate(t, site, 2*time.Second)
	w.must(os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", i.cmd.Process.Pid), []byte("5"), 0o600)) // begins the peak again
	before := peak(t, i.cmd.Process.Pid)
	var hits atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	i.provoke(ctx, &all, site, &hits)
	stormy := rate(t, site, 10*time.Second)
	for tries := 0; tries < 12 && (stormy == 0 || hits.Load() == 0); tries++ { // a machine may be busy
		stormy = rate(t, site, 10*time.Second)
	}
	grown := peak(t, i.cmd.Process.Pid) - before
	cancel()
	all.Wait()
	t.Logf("%d MiB grown above %d MiB; %.0f requests/s routed, %.0f in calm (%.2f); %d requests to hostile storages",
		grown>>20, before>>20, stormy, calm, stormy/calm, hits.Load())
	if grown > maxGrowth {
		t.Errorf("the process grew by %d MiB, want at most %d", grown>>20, maxGrowth>>20)
	}
	if stormy == 0 || hits.Load() == 0 {
		t.Error("nothing was routed, or no hostile storage was asked")
	}
}

// provoke declares hostile storages and has clients do their worst until ctx ends.
func (i *instance) provoke(ctx context.Context, all *sync.WaitGroup, site string, hits *atomic.Int64) {
	for n := range 4 {
		_, err := i.call(http.MethodPut, fmt.Sprintf("/fado/clusters/s%d", n),
			map[string]any{"zones": []string{"eu"}, "storage": map[string]any{"endpoint": hostileStorage(i.T, n > 1, hits)}})
		i.must(err)
	}
	_, err := i.call(http.MethodPut, "/fado/policies/p", map[string]any{"copies": 2, "clusters": []string{"s2", "s3"}})
	i.must(err)
	_, err = i.call(http.MethodPut, "/fado/buckets/bkt", map[string]any{"policy": "p", "primary": "s2"})
	i.must(err)
	var records, fields strings.Builder
	for n := range 60_000 {
		fmt.Fprintf(&records, `{"s3":{"bucket":{"name":"bkt"},"object":{"key":"%d"}}},`, n)
		if n < 50_000 {
			fmt.Fprintf(&fields, `"field%d":1,`, n)
		}
	}
	few := records.String()[:strings.Index(records.String(), `"9000"`)]
	few = few[:strings.LastIndex(few, `,{"s3"`)]
	for _, worst := range []struct{ url, body string }{
		{site + "/events", `{"Records":[` + strings.TrimSuffix(records.String(), ",") + `]}`},
		{site + "/events", `{"Records":[` + few + `]}`},
		{site + "/events", strings.Repeat("[", 3<<20)},
		{site + "/f?" + strings.Repeat("x", 8<<10), strings.Repeat("x", 8<<20)},
		{i.admin + "/fado/zones", `{` + fields.String() + `"name":"x"}`},
		{i.admin + "/fado/buckets/bkt/sync", ``},
	} {
		all.Go(func() {
			for ctx.Err() == nil {
				post(ctx, worst.url, worst.body)
				select {
				case <-ctx.Done():
				case <-time.After(worstEvery):
				}
			}
		})
	}
}

// post sends a body, whose answer does not matter.
func post(ctx context.Context, url, body string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer hostile")
	req.Header.Set("Content-Type", "application/json")
	if res, err := http.DefaultClient.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

func invoke(ctx context.Context, site string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, site+"/f", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %w", res.StatusCode, err)
	}
	return nil
}

// rate counts the invocations answered per second by four clients.
func rate(t *testing.T, site string, during time.Duration) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	var answered atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if invoke(ctx, site) == nil {
					answered.Add(1)
				}
			}
		})
	}
	clients.Wait()
	return float64(answered.Load()) / during.Seconds()
}

// peak is the most memory a process had resident, in bytes.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("the system does not tell a process's peak")
	return 0
}
