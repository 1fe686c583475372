package s3gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
)

// atOne is a world of one MinIO behind a proxy.
func atOne(t *testing.T, change func(*Handler)) (*world, *testenv.Proxy) {
	t.Helper()
	w := newWorld(t, change)
	srv := minioA.Server(t)
	proxy := testenv.StartProxy(t, srv.Endpoint)
	w.clusterAt("c1", srv, proxy.Endpoint())
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	return w, proxy
}

// endless is a body without end that tells how much of it was taken.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.taken.Add(int64(len(p)))
	return len(p), nil
}

// A storage that takes nothing holds its client up: what is sent meanwhile is not collected here.
func TestSendersAreHeldUp(t *testing.T) {
	t.Parallel()
	w, proxy := atOne(t, nil)
	const size = 1 << 30
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // enough for all that would be collected
	defer cancel()
	body := new(endless)
	proxy.Hang(true)
	defer proxy.Heal()
	_, err := w.core.PutObject(ctx, "bkt", "k", io.LimitReader(body, size), size, "", "", minio.PutObjectOptions{})
	if err == nil {
		t.Fatal("a storage that hangs has taken an object")
	}
	w.await("the request has ended", func() bool { return w.open.Load() == 0 })
	if got := w.in.Load(); got > 32<<20 {
		t.Errorf("%d of the %d bytes that the client had sent were taken for a storage that took none", got, body.taken.Load())
	}
	proxy.Heal()
	w.await("the storage answers, and has nothing", func() bool { return w.get("bkt", "k") == "NoSuchKey" })
}

// A client that takes nothing holds its storage up, and when it goes away nobody reads on for it.
func TestReceiversThatGoAway(t *testing.T) {
	t.Parallel()
	w, proxy := atOne(t, nil)
	const size = 64 << 20
	_, err := w.direct(minioA.Server(t)).PutObject(t.Context(), w.prefix+"bkt", "big", bytes.NewReader(make([]byte, size)), size, "", "", minio.PutObjectOptions{})
	w.must(err)
	before := proxy.Moved(testenv.Down)
	c := w.dial()
	c.begin(http.MethodGet, "/bkt/big", 0, nil)
	if _, err := io.CopyN(io.Discard, c.answers, 1<<20); err != nil {
		t.Fatal(err)
	}
	w.must(c.Close())
	w.await("the request has ended", func() bool { return w.open.Load() == 0 })
	if n := w.counted("GetObject ClientDisconnected"); n != 1 {
		t.Errorf("%d reads whose client went away were counted", n)
	}
	if moved := proxy.Moved(testenv.Down) - before; moved > size/2 {
		t.Errorf("the storage sent %d bytes to a client that took 1 MiB", moved)
	}
}

// Requests, those that are open, and bytes of objects are counted as they were: without what was
// refused before a body was read, and with what a client got before its connection was cut.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	w, proxy := atOne(t, nil)
	body := strings.Repeat("x", 100_000)
	w.put("bkt", "k", body)
	if in := w.in.Load(); in != 100_000 {
		t.Errorf("%d bytes in, want 100,000", in)
	}
	if got := w.get("bkt", "k"); got != body {
		t.Fatalf("%.20q", got)
	}
	_, err := w.api.StatObject(t.Context(), "bkt", "k", minio.StatObjectOptions{})
	w.must(err)
	if status, _, part := w.do(http.MethodGet, "/bkt/k", http.Header{"Range": {"bytes=0-99"}}, ""); status != http.StatusPartialContent || len(part) != 100 {
		t.Errorf("%d, %d bytes", status, len(part))
	}
	if out := w.out.Load(); out != 100_100 {
		t.Errorf("%d bytes out, want 100,100", out)
	}
	if got := w.get("bkt", "none"); got != "NoSuchKey" {
		t.Errorf("%.20q", got)
	}
	if _, _, text := w.do(http.MethodPut, "/nobucket/k", nil, body); !strings.Contains(text, "NoSuchBucket") {
		t.Error(text)
	}
	if _, _, text := w.do(http.MethodGet, "/bkt?lifecycle", nil, ""); !strings.Contains(text, "NotImplemented") {
		t.Error(text)
	}
	if in := w.in.Load(); in != 100_000 {
		t.Errorf("%d bytes in after a write that was refused, want 100,000", in)
	}
	_, err = w.api.PutObject(t.Context(), "bkt", "big", strings.NewReader(strings.Repeat("x", 4<<20)), 4<<20, minio.PutObjectOptions{DisableMultipart: true})
	w.must(err)
	proxy.CutAfter(testenv.Down, 1<<20) // of a body that no other copy has
	o, _, _, err := w.core.GetObject(t.Context(), "bkt", "big", minio.GetObjectOptions{})
	w.must(err)
	if n, err := io.Copy(io.Discard, o); err == nil || n >= 4<<20 {
		t.Errorf("a body that broke off came as %d bytes: %v", n, err)
	}
	w.await("no request is open", func() bool { return w.open.Load() == 0 })
	for what, want := range map[string]int{
		"PutObject OK": 2, "GetObject OK": 2, "HeadObject OK": 1, "GetObject NoSuchKey": 1, "PutObject NoSuchBucket": 1, "unknown NotImplemented": 1, "GetObject SlowDown": 1,
	} {
		if got := w.counted(what); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
}

// What a client is told by its RequestId is found in the log by it, with the cause.
func TestErrorsAreFoundInTheLog(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	w, proxy := atOne(t, func(h *Handler) { h.log = zap.New(core) })
	w.must(proxy.Refuse(true))
	status, h, body := w.do(http.MethodPut, "/bkt/k", nil, "x")
	if status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || !strings.Contains(body, "<Code>SlowDown</Code>") {
		t.Errorf("%d %v %s", status, h, body)
	}
	id := h.Get("X-Amz-Request-Id")
	if id == "" || !strings.Contains(body, "<RequestId>"+id+"</RequestId>") {
		t.Errorf("the answer %s does not name request %q", body, id)
	}
	found := logs.FilterField(zap.String("request_id", id)).All()
	if len(found) == 0 || found[0].ContextMap()["code"] != "SlowDown" || found[0].ContextMap()["error"] == nil {
		t.Errorf("of %s the log has %v", id, found)
	}
}

// A listing begun at one copy goes on at another, in both versions and by folders: each name once.
func TestPagesGoOnAtAnotherCopy(t *testing.T) {
	t.Parallel()
	w, proxy := behindProxy(t)
	var want []string
	for n := range 12 {
		key := fmt.Sprintf("d%d/k%d", n%4, n)
		w.put("bkt", key, "x")
		want = append(want, key)
	}
	slices.Sort(want)
	w.awaitOK("bkt")
	for name, c := range map[string]struct {
		query, next, marker string
		want                []string
	}{
		"version 2": {"list-type=2&max-keys=5", "NextContinuationToken", "continuation-token", want},
		"version 1": {"max-keys=5", "NextMarker", "marker", want},
		"folders":   {"list-type=2&max-keys=3&delimiter=/", "NextContinuationToken", "continuation-token", []string{"d0/", "d1/", "d2/", "d3/"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.await("pages from both", func() bool { // the copy is preferred as soon as it is known to be current
				proxy.Heal()
				got, from := w.walk(c.query, c.next, c.marker, func() { w.must(proxy.Refuse(true)) })
				if len(got) > 0 && !slices.Equal(got, c.want) {
					t.Fatalf("%q from %v, want %q", got, from, c.want)
				}
				return len(from) == 2
			})
		})
	}
}

// walk lists page by page, and returns the names, sorted, and where the pages were from. What it is
// given is done after the first page. Nothing is returned where a page was not to be had.
func (w *world) walk(query, next, marker string, after func()) (names []string, from map[string]bool) {
	w.Helper()
	from = make(map[string]bool)
	for page := query; ; {
		status, h, body := w.do(http.MethodGet, "/bkt?"+page, nil, "")
		if status != http.StatusOK {
			return nil, nil
		}
		from[h.Get("X-Fado-Cluster")] = true
		for _, tag := range []string{"Key", "Prefix"} {
			for _, part := range strings.Split(body, "<"+tag+">")[1:] {
				if name, _, _ := strings.Cut(part, "</"); name != "" {
					names = append(names, name)
				}
			}
		}
		_, token, more := strings.Cut(body, "<"+next+">")
		if !more {
			slices.Sort(names)
			return names, from
		}
		token, _, _ = strings.Cut(token, "</")
		page = query + "&" + marker + "=" + token
		after()
	}
}

// A write through the endpoint is known at once, and its listener tells of it, too: it is copied once
// and counted once, and what overwrites it as well.
func TestWritesAreCopiedOnce(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	const objects = 20
	for round := range 2 {
		before := w.brought.Load()
		for n := range objects {
			key := fmt.Sprint("k", n)
			w.put("bkt", key, fmt.Sprint("round ", round))
			w.awaitCopy("bkt", key, "c2") // so that none of two is left out
		}
		w.awaitSynced("bkt")
		if got := w.brought.Load() - before; got != objects {
			t.Errorf("round %d: %d copies of %d objects were counted", round, got, objects)
		}
		w.await(fmt.Sprint("each copy has ", objects, " objects"), func() bool { // which is told a little later
			st, err := w.ctl.Status.Bucket(t.Context(), "bkt")
			return err == nil && !slices.ContainsFunc(st.Copies, func(c control.CopyStatus) bool { return c.Objects != objects })
		})
	}
}

// awaitSynced waits until nothing of a bucket is on its way.
func (w *world) awaitSynced(bucket string) {
	w.Helper()
	w.await("nothing of "+bucket+" on its way", func() bool {
		st, err := w.ctl.Status.Bucket(context.Background(), bucket)
		return err == nil && st.State == "ok" && st.Copies[0].Pending.Objects == 0 && st.Copies[len(st.Copies)-1].Pending.Objects == 0
	})
}
