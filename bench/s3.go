package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/fado-project/fado/internal/testenv"
)

// What the S3 endpoint has to reach, of what the storage itself does in the same run.
const (
	leastLargeShare    = 0.9
	leastSmallGetShare = 0.5
	leastSmallPutShare = 0.45
	mostAdded          = 700 * time.Microsecond // at the median of a GET, one client
)

// The loads.
const (
	smallObject  = 4 << 10
	smallObjects = 200
	largeObject  = 64 << 20
	largeObjects = 8
	largeStreams = 4
	s3Rounds     = 3
	s3Bucket     = "bench"
)

// A way is how requests reach the storage.
type way struct {
	title, base    string
	access, secret string
}

// s3bench is a MinIO, and a Caddy with ways to it.
type s3bench struct {
	e     *env
	srv   *testenv.Server
	caddy *caddy
	ways  []way // the first is the storage itself, the third the endpoint
	cache way
}

// s3Endpoint compares the S3 endpoint with the storage behind it.
func s3Endpoint(ctx context.Context, e *env) (string, error) {
	s := &s3bench{e: e}
	if err := s.start(ctx); err != nil {
		return "", err
	}
	defer s.stop()
	var text strings.Builder
	text.WriteString("One MinIO, reached by itself, through Caddy's plain `reverse_proxy` and through `fado_s3`, which verifies each signature " +
		"and signs again; the same presigned requests, in turn, round by round. Both ways through Caddy are sites of one process. CPU is what the processes " +
		"used, in cores. Median (lowest–highest); the share is of what the storage itself did in the same round.\n\n")
	for _, part := range []func(context.Context) (string, error){s.small, s.latency, s.large} {
		t, err := part(ctx)
		if err != nil {
			return "", err
		}
		text.WriteString(t + "\n")
	}
	return text.String(), nil
}

func (s *s3bench) start(ctx context.Context) (err error) {
	if s.srv, err = testenv.Start(ctx, testenv.KindMinIO, testenv.Options{}); err != nil {
		return err
	}
	addrs := make([]string, 3)
	for i := range addrs {
		if addrs[i], err = freeAddr(); err != nil {
			return err
		}
	}
	const access, secret = "bench-access-key", "bench-secret-key"
	handler := func(more map[string]any) map[string]any {
		h := map[string]any{"handler": "fado_s3", "cluster": "c1", "keys": []any{map[string]any{"id": access, "secret": secret}}}
		maps.Copy(h, more)
		return h
	}
	site := func(addr string, h map[string]any) map[string]any {
		return map[string]any{"listen": []string{addr}, "routes": []any{map[string]any{"handle": []any{h}}}}
	}
	plain := map[string]any{"handler": "reverse_proxy", "upstreams": []any{map[string]any{"dial": strings.TrimPrefix(s.srv.Endpoint, "http://")}}}
	s.caddy, err = s.e.startCaddy(ctx, map[string]any{"apps": map[string]any{
		"fado": map[string]any{
			"store": map[string]any{"type": "sqlite", "path": filepath.Join(s.e.dir, "s3", "fado.db")}, "node": "bench",
			"zones": []any{map[string]any{"name": "z1"}},
			"clusters": []any{map[string]any{"name": "c1", "zones": []string{"z1"}, "storage": map[string]any{
				"endpoint": s.srv.Endpoint, "access_key": s.srv.AccessKey, "secret_key": s.srv.SecretKey,
			}}},
		},
		"http": map[string]any{"servers": map[string]any{
			"plain": site(addrs[0], plain), "s3": site(addrs[1], handler(nil)),
			"cache": site(addrs[2], handler(map[string]any{"cache": map[string]any{"size": "64MiB"}})),
		}},
	}})
	if err != nil {
		return err
	}
	s.ways = []way{
		{"MinIO itself", s.srv.Endpoint, s.srv.AccessKey, s.srv.SecretKey},
		{"plain `reverse_proxy`", "http://" + addrs[0], s.srv.AccessKey, s.srv.SecretKey},
		{"`fado_s3`", "http://" + addrs[1], access, secret},
	}
	s.cache = way{"`fado_s3` with `cache`", "http://" + addrs[2], access, secret}
	return s.fill(ctx)
}

func (s *s3bench) stop() {
	if s.caddy != nil {
		s.caddy.stop()
	}
	s.srv.Close()
}

// fill makes the bucket, through the endpoint, and the objects.
func (s *s3bench) fill(ctx context.Context) error {
	if err := poll(ctx, func() (bool, error) {
		status, err := send(ctx, s.ways[2].request(ctx, http.MethodPut, "", nil, 0))
		return status == http.StatusOK || status == http.StatusConflict, err
	}); err != nil {
		return fmt.Errorf("making the bucket: %w", err)
	}
	api, err := s.srv.Client()
	if err != nil {
		return err
	}
	for _, d := range []struct {
		name    string
		n, size int
	}{{"small", smallObjects, smallObject}, {"large", largeObjects, largeObject}} {
		for i := range d.n {
			_, err := api.PutObject(ctx, s3Bucket, fmt.Sprintf("%s/%d", d.name, i), bytes.NewReader(make([]byte, d.size)), int64(d.size),
				minio.PutObjectOptions{DisableMultipart: true})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// request makes a request that carries its signature in its URL.
func (w *way) request(ctx context.Context, method, key string, body io.Reader, size int64) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, w.base+"/"+s3Bucket+"/"+key, body)
	if err != nil {
		panic(err) // the URL is this program's
	}
	req = signer.PreSignV4(*req, w.access, w.secret, "", "us-east-1", 3600)
	req.ContentLength = size
	return req
}

var s3Client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: max(connections, hugeClients), DisableCompression: true}}

// send makes a request and reads its answer to the end.
func send(_ context.Context, req *http.Request) (status int, err error) {
	resp, err := s3Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// s3Script asks for the paths of a file, one after the other.
const s3Script = `
local reqs, at = {}, 0
init = function(args)
  local body = nil
  if "%[1]s" == "PUT" then body = string.rep("x", %[3]d) end
  for path in io.lines("%[2]s") do reqs[#reqs + 1] = wrk.format("%[1]s", path, nil, body) end
end
request = function()
  at = at %% #reqs + 1
  return reqs[at]
end
` + wrkDone

// load has wrk make requests for small objects.
func (s *s3bench) load(ctx context.Context, w way, method string, clients int, d time.Duration) (wrkResult, error) {
	var paths strings.Builder
	for i := range smallObjects {
		paths.WriteString(w.request(ctx, method, fmt.Sprintf("small/%d", i), nil, 0).URL.RequestURI() + "\n")
	}
	file := filepath.Join(s.e.dir, "paths")
	if err := os.WriteFile(file, []byte(paths.String()), 0o600); err != nil {
		return wrkResult{}, err
	}
	r, err := s.e.runWrk(ctx, strings.TrimPrefix(w.base, "http://"), fmt.Sprintf(s3Script, method, file, smallObject), clients, d)
	if err == nil && r.failed > 0 {
		err = fmt.Errorf("%s: %d of %d requests failed", w.title, r.failed, r.requests)
	}
	return r, err
}

// spent is what Caddy and MinIO used of the processors, in cores.
func (s *s3bench) spent(do func() error) (caddy, storage float64, err error) {
	pids := []int{s.caddy.cmd.Process.Pid, s.srv.Cmd.Process.Pid}
	var used [2]float64
	began := time.Now()
	for _, sign := range []float64{-1, 1} {
		for i, pid := range pids {
			seconds, err := cpuOf(pid)
			if err != nil {
				return 0, 0, err
			}
			used[i] += sign * seconds
		}
		if sign < 0 {
			if err := do(); err != nil {
				return 0, 0, err
			}
		}
	}
	took := time.Since(began).Seconds()
	return used[0] / took, used[1] / took, nil
}

// figures are those of one way, round by round.
type figures struct{ rate, share, caddy, storage []float64 }

func (f *figures) row(title, format string, least float64) []string {
	share := spread(f.share, "%.2f")
	if least > 0 {
		share = bar(median(f.share) >= least, share)
	}
	return []string{title, spread(f.rate, format), share, fmt.Sprintf("%.2f", median(f.caddy)), fmt.Sprintf("%.2f", median(f.storage))}
}

// rounds measures ways in turn; the first is what the others are compared with.
func (s *s3bench) rounds(ways []way, once func(way) (float64, error)) ([]figures, error) {
	all := make([]figures, len(ways))
	n := s3Rounds
	if s.e.quick {
		n = 1
	}
	for range n {
		var first float64
		for i, w := range ways {
			var rate float64
			caddy, storage, err := s.spent(func() (err error) {
				rate, err = once(w)
				return err
			})
			if err != nil {
				return nil, err
			}
			if i == 0 {
				first = rate
			}
			f := &all[i]
			f.rate, f.share = append(f.rate, rate), append(f.share, rate/first)
			f.caddy, f.storage = append(f.caddy, caddy), append(f.storage, storage)
		}
	}
	return all, nil
}

func (s *s3bench) seconds(n int) time.Duration {
	if s.e.quick {
		n = 1
	}
	return time.Duration(n) * time.Second
}

// small is requests per second for objects of 4 KiB.
func (s *s3bench) small(ctx context.Context) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "To reach at %d connections: GET ≥ %.2f and PUT ≥ %.2f of the storage's requests/s.\n", connections, leastSmallGetShare, leastSmallPutShare)
	for _, load := range []struct {
		method string
		ways   []way
		least  float64
	}{{http.MethodGet, append(s.ways[:3:3], s.cache), leastSmallGetShare}, {http.MethodPut, s.ways, leastSmallPutShare}} {
		all, err := s.rounds(load.ways, func(w way) (float64, error) {
			r, err := s.load(ctx, w, load.method, connections, s.seconds(5))
			return r.perSecond, err
		})
		if err != nil {
			return "", err
		}
		text.WriteString("\n" + s.table(load.method+" 4 KiB, requests/s", load.ways, all, "%.0f", load.least))
	}
	return text.String(), nil
}

func (s *s3bench) table(what string, ways []way, all []figures, format string, least float64) string {
	var rows [][]string
	for i := range all {
		l := 0.0
		if i == 2 {
			l = least
		}
		rows = append(rows, all[i].row(ways[i].title, format, l))
	}
	return table([]string{what, "rate", "share", "CPU of Caddy", "CPU of MinIO"}, rows)
}

// latency is what the endpoint adds to a request of one client.
func (s *s3bench) latency(ctx context.Context) (string, error) {
	took := make([][]float64, len(s.ways))
	for range s3Rounds {
		for i, w := range s.ways {
			r, err := s.load(ctx, w, http.MethodGet, 1, s.seconds(3))
			if err != nil {
				return "", err
			}
			took[i] = append(took[i], float64(r.p50.Microseconds())/1000)
		}
	}
	var rows [][]string
	for i, w := range s.ways {
		added := median(took[i]) - median(took[0])
		text := fmt.Sprintf("%.2f", added)
		if i == 2 {
			text = bar(added <= mostAdded.Seconds()*1000, text)
		}
		rows = append(rows, []string{w.title, spread(took[i], "%.2f"), text})
	}
	return fmt.Sprintf("To reach: ≤ %.1f ms added to the median of a GET of 4 KiB, one client.\n\n", mostAdded.Seconds()*1000) +
		table([]string{"GET 4 KiB, one client", "p50, ms", "added, ms"}, rows), nil
}

// large is throughput with objects of 64 MiB.
func (s *s3bench) large(ctx context.Context) (string, error) {
	body := make([]byte, largeObject)
	var text strings.Builder
	fmt.Fprintf(&text, "To reach with objects of 64 MiB, %d at a time: ≥ %.1f of the storage's throughput.\n", largeStreams, leastLargeShare)
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		all, err := s.rounds(s.ways, func(w way) (float64, error) {
			began := time.Now()
			err := parallel(largeStreams, 2*largeObjects, func(i int) error {
				key := fmt.Sprintf("large/%d", i%largeObjects)
				if method == http.MethodGet {
					return ok(send(ctx, w.request(ctx, method, key, nil, 0)))
				}
				return ok(send(ctx, w.request(ctx, method, key, bytes.NewReader(body), largeObject)))
			})
			return 2 * largeObjects * largeObject / (1 << 20) / time.Since(began).Seconds(), err
		})
		if err != nil {
			return "", err
		}
		text.WriteString("\n" + s.table(method+" 64 MiB, MiB/s", s.ways, all, "%.0f", leastLargeShare))
	}
	return text.String(), nil
}

func ok(status int, err error) error {
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

// parallel runs n tasks, so many at a time.
func parallel(at, n int, do func(i int) error) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	next := 0
	for range at {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= n || failed != nil
				mu.Unlock()
				if stop {
					return
				}
				if err := do(i); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// zeros is a body without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
