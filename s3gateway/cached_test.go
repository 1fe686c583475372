package s3gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
)

// cached is a change of a handler that gives it a cache.
func cached(size, maxObject catalog.Size) func(*Handler) {
	return func(h *Handler) { h.Cache = &Cache{Size: size, MaxObject: maxObject} }
}

// cachedOver is a world with a cache and one bucket at one server, whose bytes are counted.
func cachedOver(t *testing.T, srv *testenv.Server, change func(*Handler)) (*world, *testenv.Proxy) {
	t.Helper()
	w := newWorld(t, func(h *Handler) {
		cached(8<<20, 0)(h)
		if change != nil {
			change(h)
		}
	})
	proxy := testenv.StartProxy(t, srv.Endpoint)
	w.clusterAt("c1", srv, proxy.Endpoint())
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	return w, proxy
}

// begin makes a signed GET whose answer is read by the caller.
func (w *world) begin(url string, h http.Header, key, secret string) *http.Response {
	w.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	w.must(err)
	maps.Copy(req.Header, h)
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	resp, err := w.server.Client().Do(signer.SignV4(*req, key, secret, "", defaultRegion))
	w.must(err)
	return resp
}

// hot reads an object until the cache has it.
func (w *world) hot(bucket, key string) {
	w.Helper()
	w.await("a read of "+key+" is answered from the cache", func() bool {
		before := w.counted("cache hit true")
		_, _, _ = w.do(http.MethodGet, "/"+bucket+"/"+key, nil, "")
		return w.counted("cache hit true") > before
	})
}

// A body that is read again is not sent again by the storage, whole or in part, and every answer
// is what the storage itself would have said.
func TestCacheSavesBytes(t *testing.T) {
	t.Parallel()
	for kind, srv := range map[string]testenv.Shared{"minio": minioA, "versitygw": versA} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, proxy := cachedOver(t, srv.Server(t), nil)
			body := bytes.Repeat([]byte("0123456789abcdef"), (512<<10)/16)
			_, err := w.api.PutObject(context.Background(), "bkt", "k", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{
				ContentType: "text/x-test", UserMetadata: map[string]string{"Colour": "blue"}, UserTags: map[string]string{"t": "1"},
				Checksum: minio.ChecksumCRC32C, DisableMultipart: true,
			})
			w.must(err)
			plain := func(h http.Header) (string, http.Header) {
				status, got, b := w.do(http.MethodGet, "/bkt/k", h, "")
				for _, name := range []string{"Date", "X-Amz-Request-Id"} {
					got.Del(name)
				}
				return fmt.Sprint(status, " ", b), got
			}
			requests := []http.Header{
				{},
				{"Range": {"bytes=5-9"}},
				{"Range": {"bytes=-7"}},
				{"Range": {"bytes=524280-"}},
				{"Range": {"bytes=100-99999999"}},
				{"X-Amz-Checksum-Mode": {"ENABLED"}},
				{"X-Amz-Checksum-Mode": {"ENABLED"}, "Range": {"bytes=0-0"}},
			}
			wantBody, wantHeader := make([]string, len(requests)), make([]http.Header, len(requests))
			kept := w.handler.bodies
			w.handler.bodies = nil
			for i, h := range requests {
				wantBody[i], wantHeader[i] = plain(maps.Clone(h))
			}
			w.handler.bodies = kept
			w.hot("bkt", "k")
			before, hits, saved := proxy.Moved(testenv.Down), w.counted("cache hit true"), w.saved.Load()
			var sent int64
			for i, h := range requests {
				gotBody, gotHeader := plain(maps.Clone(h))
				if gotBody != wantBody[i] || !headersEqual(gotHeader, wantHeader[i]) {
					t.Errorf("%v:\n%.80s %v\nwithout a cache:\n%.80s %v", h, gotBody, gotHeader, wantBody[i], wantHeader[i])
				}
				sent += int64(len(gotBody) - len("200 "))
			}
			if n := w.counted("cache hit true") - hits; n != len(requests) || w.saved.Load()-saved != sent {
				t.Errorf("%d of %d were answered from the cache, %d of %d bytes saved", n, len(requests), w.saved.Load()-saved, sent)
			}
			if moved := proxy.Moved(testenv.Down) - before; moved > 100<<10 {
				t.Errorf("the storage sent %d bytes", moved)
			}
		})
	}
}

func headersEqual(a, b http.Header) bool {
	return maps.EqualFunc(a, b, slices.Equal)
}

// What a storage must judge, it judges, whatever the cache has.
func TestCacheAndConditions(t *testing.T) {
	t.Parallel()
	w, _ := cachedOver(t, minioA.Server(t), nil)
	info := w.put("bkt", "k", "content")
	w.hot("bkt", "k")
	etag := `"` + info.ETag + `"`
	for _, c := range []struct {
		header http.Header
		want   string
		hit    bool
	}{
		{http.Header{"If-None-Match": {etag}}, "304 ", false},
		{http.Header{"If-None-Match": {`"other"`}}, "200 content", true},
		{http.Header{"If-Match": {etag}, "Range": {"bytes=0-2"}}, "206 con", true},
		{http.Header{"If-Match": {`"other"`}}, "412 PreconditionFailed", false},
		{http.Header{"If-Modified-Since": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, "304 ", false},
		{http.Header{"If-Unmodified-Since": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}, "412 PreconditionFailed", false},
		{http.Header{"Range": {"bytes=100-"}}, "416 InvalidRange", false},
		{http.Header{"Range": {"lines=1-2"}}, "200 content", false},
	} {
		hits := w.counted("cache hit true")
		status, _, body := w.do(http.MethodGet, "/bkt/k", maps.Clone(c.header), "")
		if _, rest, found := strings.Cut(body, "<Code>"); found {
			body, _, _ = strings.Cut(rest, "<")
		}
		if got := fmt.Sprint(status, " ", body); got != c.want || (w.counted("cache hit true") > hits) != c.hit {
			t.Errorf("%v: %s, want %s, from the cache: %t", c.header, got, c.want, c.hit)
		}
	}
	status, h, body := w.do(http.MethodGet, "/bkt/k?response-content-type=text/x-other", nil, "")
	if status != http.StatusOK || body != "content" || h.Get("Content-Type") != "text/x-other" {
		t.Errorf("with an override: %d %q %v", status, body, h)
	}
}

// The cache never answers what the storage would not: random writes through FaDO and beside it,
// of content, metadata and tags, removals, and reads of all kinds.
func TestCacheIsNeverStale(t *testing.T) {
	t.Parallel()
	for _, seed := range testenv.Seeds(t, 2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w, _ := cachedOver(t, minioA.Server(t), func(h *Handler) { h.Cluster = "c1" })
			if seed%2 == 0 {
				w.must(w.api.EnableVersioning(context.Background(), "bkt"))
			}
			r := rand.New(rand.NewPCG(seed, 0))
			beside := &staleness{t: t, w: w, r: r, direct: w.direct(minioA.Server(t))}
			for range 500 {
				beside.step()
			}
			if hits := w.counted("cache hit true"); hits < 50 {
				t.Errorf("%d answers from the cache: the test shows nothing", hits)
			}
		})
	}
}

// staleness writes at random, and compares what is read with what the storage has.
type staleness struct {
	t      *testing.T
	w      *world
	r      *rand.Rand
	direct *minio.Core
}

func (s *staleness) step() {
	s.t.Helper()
	ctx := context.Background()
	client, bucket := s.w.core, "bkt"
	if s.r.IntN(2) == 0 {
		client, bucket = s.direct, s.w.prefix+"bkt"
	}
	key := fmt.Sprint("k", s.r.IntN(3))
	meta := map[string]string{"Colour": fmt.Sprint(s.r.IntN(3))}
	switch n := s.r.IntN(20); {
	case n == 0:
		s.w.must(client.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}))
	case n <= 3: // of few different contents, so that one comes again
		body := strings.Repeat(fmt.Sprint(s.r.IntN(3)), 5)
		_, err := client.Client.PutObject(ctx, bucket, key, strings.NewReader(body), 5, minio.PutObjectOptions{UserMetadata: meta})
		s.w.must(err)
	case n == 4: // the same content with other metadata
		_, err := client.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: key, UserMetadata: meta, ReplaceMetadata: true},
			minio.CopySrcOptions{Bucket: bucket, Object: key})
		if code(err) != "NoSuchKey" {
			s.w.must(err)
		}
	case n == 5:
		set, err := minioTags(s.r.IntN(3))
		s.w.must(err)
		if err := client.PutObjectTagging(ctx, bucket, key, set, minio.PutObjectTaggingOptions{}); code(err) != "NoSuchKey" {
			s.w.must(err)
		}
	default:
		s.compare(key)
	}
}

// compare reads through FaDO and beside it.
func (s *staleness) compare(key string) {
	s.t.Helper()
	h := make(http.Header)
	if s.r.IntN(3) == 0 {
		h.Set("Range", []string{"bytes=1-2", "bytes=3-", "bytes=-2"}[s.r.IntN(3)])
	}
	status, got, body := s.w.do(http.MethodGet, "/bkt/"+key, h.Clone(), "")
	srv := minioA.Server(s.t)
	resp := s.w.begin(srv.Endpoint+"/"+s.w.prefix+"bkt/"+key, h, srv.AccessKey, srv.SecretKey)
	defer resp.Body.Close()
	want, err := io.ReadAll(resp.Body)
	s.w.must(err)
	if status != resp.StatusCode || status < 300 && body != string(want) {
		s.t.Fatalf("%s %v: %d %q, the storage has %d %q", key, h, status, body, resp.StatusCode, want)
	}
	for _, name := range []string{"Etag", "Last-Modified", "X-Amz-Meta-Colour", "X-Amz-Tagging-Count", "X-Amz-Version-Id", "Content-Range", "Content-Length"} {
		if status < 300 && got.Get(name) != resp.Header.Get(name) {
			s.t.Fatalf("%s %v: %s is %q, the storage says %q", key, h, name, got.Get(name), resp.Header.Get(name))
		}
	}
}

// Concurrent writers, and readers of a cache whose confirmation comes from any copy: a read never
// goes back behind a write that was answered.
func TestCacheReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	w := two(t, func(h *Handler) { cached(1<<20, 0)(h); h.Cluster = "c2" })
	var wg sync.WaitGroup
	for n := range 4 {
		key := fmt.Sprint("k", n)
		var answered atomic.Int64
		done := make(chan struct{})
		w.put("bkt", key, "0 "+key)
		wg.Go(func() {
			defer close(done)
			for v := int64(1); v <= 25; v++ {
				w.put("bkt", key, fmt.Sprint(v, " ", key))
				answered.Store(v)
				for range 3 {
					w.get("bkt", key)
				}
			}
		})
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				least := answered.Load()
				var v int64
				var of string
				got := w.get("bkt", key)
				if _, err := fmt.Sscan(got, &v, &of); err != nil || v < least || of != key {
					t.Errorf("%s: read %q after %d was written", key, got, least)
					return
				}
			}
		})
	}
	wg.Wait()
	if w.counted("cache hit true") < 50 {
		t.Error("the cache was of no use: the test shows nothing")
	}
}

// Who may not read an object does not get it from the cache, nor where it may not be.
func TestCacheAndAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) {
		cached(1<<20, 0)(h)
		h.Cluster = "c1"
		h.keys["team"] = &catalog.Key{Secret: "team-secret", Buckets: []string{"team-*"}}
	})
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("free", 1, "c1", "c2")
	w.bucket("bkt", "free", "c2")
	w.bucket("other", "free", "c2")
	for _, b := range []string{"bkt", "other"} {
		w.put(b, "k", "content")
		w.hot(b, "k")
	}
	team := &minio.Core{Client: w.as("team", "team-secret")}
	if _, _, _, err := team.GetObject(context.Background(), "bkt", "k", minio.GetObjectOptions{}); code(err) != "AccessDenied" {
		t.Errorf("another's object: %v", err)
	}
	if status, _ := w.plain(http.MethodGet, "/bkt/k"); status != http.StatusForbidden {
		t.Errorf("nobody gets %d", status)
	}
	w.policy("c2only", 1, "c2")
	w.apply(&catalog.Bucket{Name: "bkt", Policy: "c2only", Primary: "c2"})
	if b := w.handler.bodies.Get("bkt", "k"); b != nil {
		t.Error("the body is still there after the change was answered")
	}
	if got := w.get("bkt", "k"); got != "AccessDenied" {
		t.Errorf("where it may not be: %q", got)
	}
	if w.handler.bodies.Get("other", "k") == nil {
		t.Error("another bucket's is gone, too")
	}
}

// A change that forbids an object here cuts a body that is being sent from the cache.
func TestCacheIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { cached(64<<20, 32<<20)(h); h.Cluster = "c1" })
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("free", 1, "c1", "c2")
	w.bucket("bkt", "free", "c2")
	w.put("bkt", "k", strings.Repeat("x", 32<<20))
	w.hot("bkt", "k")
	resp := w.begin(w.server.URL+"/bkt/k", nil, testKey, testSecret)
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1<<10)); err != nil {
		t.Fatal(err)
	}
	w.policy("free", 1, "c2") // answered although the client reads no more
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("all of it was sent, %d bytes after the change", n)
	}
}

// What need not be kept is not: an object that says so, one that is too large, parts.
func TestCacheLeavesAlone(t *testing.T) {
	t.Parallel()
	w, _ := cachedOver(t, minioA.Server(t), nil)
	ctx := context.Background()
	put := func(key string, size int, o minio.PutObjectOptions) {
		o.DisableMultipart = true
		_, err := w.api.PutObject(ctx, "bkt", key, strings.NewReader(strings.Repeat("x", size)), int64(size), o)
		w.must(err)
	}
	put("private", 10, minio.PutObjectOptions{CacheControl: "private, No-Store"})
	put("large", defaultMaxObject+1, minio.PutObjectOptions{})
	put("empty", 0, minio.PutObjectOptions{})
	put("ranged", 10, minio.PutObjectOptions{})
	for range 4 {
		for _, key := range []string{"private", "large", "empty"} {
			w.get("bkt", key)
		}
		w.do(http.MethodGet, "/bkt/ranged", http.Header{"Range": {"bytes=0-4"}}, "")
		w.do(http.MethodGet, "/bkt/ranged?versionId=null", nil, "")
		w.do(http.MethodGet, "/bkt/ranged?partNumber=1", nil, "")
	}
	if hits, misses := w.counted("cache hit true"), w.counted("cache hit false"); hits != 0 || misses != 8 {
		t.Errorf("%d hits, %d misses; want none, and those of private and ranged", hits, misses)
	}
	for _, key := range []string{"private", "large", "empty", "ranged"} {
		if w.handler.bodies.Get("bkt", key) != nil {
			t.Errorf("%s is kept", key)
		}
	}
}

// A storage that breaks a body off leaves nothing in the cache.
func TestCacheOfBrokenBodies(t *testing.T) {
	t.Parallel()
	w, proxy := cachedOver(t, minioA.Server(t), nil)
	w.put("bkt", "k", strings.Repeat("x", 900<<10))
	proxy.CutAfter(testenv.Down, 500<<10)
	resp := w.begin(w.server.URL+"/bkt/k", nil, testKey, testSecret)
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes and no error: the test shows nothing", n)
	}
	proxy.Heal()
	if w.handler.bodies.Get("bkt", "k") != nil {
		t.Error("it is kept")
	}
}

func minioTags(n int) (*tags.Tags, error) {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprint("t", i)] = "x"
	}
	return tags.NewTags(m, true)
}
