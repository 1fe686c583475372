package s3gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/latency"
	"github.com/fado-project/fado/state"
)

// behindProxy is a world whose cluster c2 is reached through a proxy, and is preferred.
func behindProxy(t *testing.T) (*world, *testenv.Proxy) {
	t.Helper()
	w := newWorld(t, func(h *Handler) { h.Cluster = "c2" })
	b := minioB.Server(t)
	proxy := testenv.StartProxy(t, b.Endpoint)
	w.cluster("c1", minioA.Server(t))
	w.clusterAt("c2", b, proxy.Endpoint())
	w.policy("both", 2, "c1", "c2")
	w.feedsLive("c1", "c2")
	w.bucket("bkt", "both", "c1")
	return w, proxy
}

// A read whose storage is cut, before the first byte or in the middle of a body, goes on at
// another copy, and what arrives is the object.
func TestReadsFailOver(t *testing.T) {
	t.Parallel()
	w, proxy := behindProxy(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), (4<<20)/16)
	w.put("bkt", "big", string(body))
	w.awaitCopy("bkt", "big", "c2")

	proxy.CutAfter(testenv.Down, 1<<20)
	before := w.counted("failover")
	if got := w.get("bkt", "big"); got != string(body) {
		t.Errorf("cut in the middle: %d bytes (%.60q)", len(got), got)
	}
	if w.counted("failover") == before {
		t.Error("no failover was counted: the test shows nothing")
	}
	proxy.Heal()

	opts := minio.GetObjectOptions{}
	w.must(opts.SetRange(1<<20, 3<<20))
	proxy.CutAfter(testenv.Down, 1<<20)
	o, _, _, err := w.core.GetObject(context.Background(), "bkt", "big", opts)
	w.must(err)
	got, err := io.ReadAll(o)
	if err != nil || !bytes.Equal(got, body[1<<20:3<<20+1]) {
		t.Errorf("a range cut in the middle: %d bytes %v", len(got), err)
	}
	proxy.Heal()

	w.must(proxy.Refuse(true))
	if got := w.get("bkt", "big"); got != string(body) {
		t.Errorf("refused: %.60q", got)
	}
}

// A storage that hangs costs a read no more than it usually takes to answer: another is asked too.
func TestReadsAreHedged(t *testing.T) {
	t.Parallel()
	w, proxy := behindProxy(t)
	w.put("bkt", "k", "content")
	w.awaitCopy("bkt", "k", "c2")
	for range latency.Enough {
		w.handler.latency.Note("c2", time.Millisecond)
	}
	proxy.Hang(true)
	for range 3 {
		if got := w.get("bkt", "k"); got != "content" {
			t.Errorf("%q", got)
		}
	}
	if w.handler.latency.Hedged() == 0 {
		t.Error("no other storage was asked meanwhile")
	}
	proxy.Heal()
}

// A body can't go on as another version: the client sees it break off.
func TestNoMixedVersions(t *testing.T) {
	t.Parallel()
	w, proxy := behindProxy(t)
	body := strings.Repeat("old.", 1<<20)
	w.put("bkt", "big", body)
	w.awaitCopy("bkt", "big", "c2")
	o, _, _, err := w.core.GetObject(context.Background(), "bkt", "big", minio.GetObjectOptions{})
	w.must(err)
	first := make([]byte, 64<<10)
	_, err = io.ReadFull(o, first)
	w.must(err)
	proxy.Hang(true) // so that the rest does not arrive before the new version is there
	_, err = w.direct(minioA.Server(t)).PutObject(context.Background(), w.prefix+"bkt", "big", strings.NewReader("new"), 3, "", "", minio.PutObjectOptions{})
	w.must(err)
	proxy.Cut()
	rest, err := io.ReadAll(o)
	if err == nil && len(rest)+len(first) != len(body) {
		t.Errorf("%d bytes without an error", len(rest)+len(first))
	}
	if !strings.HasPrefix(body, string(first)+string(rest)) {
		t.Error("bytes of another version")
	}
}

// Without the primary's storage writes are refused such that clients retry. A read gives what is
// current, or asks to retry where changes made at that storage may have been missed.
func TestPrimaryAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := minioA.Server(t)
	proxy := testenv.StartProxy(t, a.Endpoint)
	w.clusterAt("c1", a, proxy.Endpoint())
	w.cluster("c2", minioB.Server(t))
	w.policy("both", 2, "c1", "c2")
	w.bucket("bkt", "both", "c1")
	w.put("bkt", "k", "content")
	w.awaitCopy("bkt", "k", "c2")
	w.must(proxy.Refuse(true))
	if got := w.get("bkt", "k"); got != "content" && got != "SlowDown" {
		t.Errorf("read: %q", got)
	}
	_, err := w.core.PutObject(context.Background(), "bkt", "k", strings.NewReader("x"), 1, "", "", minio.PutObjectOptions{})
	if r := minio.ToErrorResponse(err); r.Code != "SlowDown" || r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("write: %v", err)
	}
	if status, h, _ := w.do(http.MethodDelete, "/bkt/k", nil, ""); status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("removal: %d %v, want 503 and when to come again", status, h)
	}
	w.must(proxy.Refuse(false))
	w.await("the primary answers again", func() bool { return w.get("bkt", "k") == "content" })
}

// A write that can't be recorded is refused and not stored; reads go on.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	w.put("bkt", "k", "before")
	w.full.Store(true)
	for _, size := range []int{0, 5, 3 << 20} {
		body := strings.Repeat("x", size)
		_, err := w.core.PutObject(context.Background(), "bkt", "new", strings.NewReader(body), int64(size), "", "", minio.PutObjectOptions{})
		if r := minio.ToErrorResponse(err); r.StatusCode != http.StatusServiceUnavailable || r.Code != "ServiceUnavailable" {
			t.Errorf("write of %d: %v", size, err)
		}
	}
	if err := w.api.RemoveObject(context.Background(), "bkt", "k", minio.RemoveObjectOptions{}); code(err) != "ServiceUnavailable" {
		t.Errorf("removal: %v", err)
	}
	if got := w.get("bkt", "k"); got != "before" {
		t.Errorf("read: %q", got)
	}
	w.full.Store(false)
	if got := w.get("bkt", "new"); got != "NoSuchKey" {
		t.Errorf("what was refused is there: %.20q", got)
	}
}

// A write that its storage has, and that could not be recorded after the storage's answer, as when
// FaDO ends in between, is not answered with success. But it was on record before the storage
// had it: no read gives what was there before from a copy, though no feed tells of the write.
func TestEndsBetweenAnswerAndRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.Cluster = "c2" })
	w.cluster("c1", versA.Server(t)) // it has no listener
	w.cluster("c2", minioB.Server(t))
	w.policy("both", 2, "c1", "c2")
	w.bucket("bkt", "both", "c1")
	for key, size := range map[string]int{"small": 5, "large": 3 << 20, "empty": 0} {
		w.put("bkt", key, "before")
		w.awaitCopy("bkt", key, "c2")
		w.room.Store(1)
		w.full.Store(true)
		body := strings.Repeat("x", size)
		if err := w.tryPut("bkt", key, body); code(err) != "ServiceUnavailable" {
			t.Errorf("%s: the write was answered with %v", key, err)
		}
		if got := w.get("bkt", key); got != body {
			t.Errorf("%s: read %.20q of %d bytes", key, got, len(got))
		}
		rows, err := w.store.Queue().ListPending(context.Background(), state.PendingFilter{Bucket: "bkt", Cluster: "c2"}, state.PendingKey{}, 10)
		w.must(err)
		if !slices.ContainsFunc(rows, func(r state.Pending) bool { return r.Key == key }) {
			t.Errorf("%s: nothing is on record after the end: %v", key, rows)
		}
		w.full.Store(false)
	}
}

// errReader breaks off.
type errReader struct{ n int }

func (r *errReader) Read(p []byte) (int, error) {
	if r.n <= 0 {
		return 0, errors.New("the client is gone")
	}
	n := min(r.n, len(p))
	r.n -= n
	return n, nil
}

// A client that goes away in the middle of an upload leaves nothing.
func TestClientAborts(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	_, err := w.core.PutObject(context.Background(), "bkt", "half", &errReader{1 << 20}, 2<<20, "", "", minio.PutObjectOptions{})
	if err == nil {
		t.Fatal("no error")
	}
	if got := w.get("bkt", "half"); got != "NoSuchKey" {
		t.Errorf("%.20q", got)
	}
}

// A client that goes away in the middle of a write has written nothing: what was there before stays,
// at storages too that take the end of a connection for the end of a body.
func TestHalfABodyReplacesNothing(t *testing.T) {
	t.Parallel()
	for name, shared := range map[string]testenv.Shared{"MinIO": minioA, "versitygw": versA} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			srv := shared.Server(t)
			w.cluster("c1", srv)
			w.policy("one", 1, "c1")
			w.bucket("bkt", "one", "c1")
			id, err := w.core.NewMultipartUpload(t.Context(), "bkt", "parts", minio.PutObjectOptions{})
			w.must(err)
			for _, size := range []int{200 << 10, 900 << 10, 8 << 20} {
				w.put("bkt", "k", "acknowledged")
				for _, path := range []string{"/bkt/k", "/bkt/parts?partNumber=1&uploadId=" + id} {
					c := w.dial()
					c.begin(http.MethodPut, path, size, nil)
					if _, err := c.Write(make([]byte, size/2)); err != nil {
						t.Fatal(err)
					}
					w.await("the half is under way", func() bool { return w.open.Load() == 1 })
					time.Sleep(100 * time.Millisecond) // for it to be at the storage; without, the test asks less
					w.must(c.Close())
					w.await("the request has ended", func() bool { return w.open.Load() == 0 })
					time.Sleep(100 * time.Millisecond) // for the storage to see the end
				}
				if got := w.get("bkt", "k"); got != "acknowledged" {
					t.Errorf("half of %d bytes: the object is %.20q, %d bytes", size, got, len(got))
				}
				parts, err := w.core.ListObjectParts(t.Context(), "bkt", "parts", id, 0, 10)
				w.must(err)
				if len(parts.ObjectParts) > 0 {
					t.Errorf("half of %d bytes: the upload has a part of %d bytes", size, parts.ObjectParts[0].Size)
				}
			}
		})
	}
}

// awaitCopy waits until a cluster has the current version.
func (w *world) awaitCopy(bucket, key, cluster string) {
	w.Helper()
	w.await(key+" in "+cluster, func() bool {
		holders, _ := w.ctl.Router().Holders(nil, routing.Input{Bucket: bucket, Key: key, Scope: routing.ScopeObject})
		return slices.ContainsFunc(holders, func(h routing.Holder) bool { return h.Cluster == cluster })
	})
}

// Where the endpoint's cluster is outside the policy nothing passes: not from the moment the
// policy says so.
func TestResidency(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.Cluster = "edge" })
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.apply(&catalog.Zone{Name: "edge"})
	w.apply(&catalog.Cluster{Name: "edge", Zones: []string{"edge"}})
	w.apply(&catalog.Policy{Name: "open", Copies: catalog.Copies{N: 1}, Prefer: []string{"c1"}})
	w.bucket("bkt", "open", "c1")
	body := strings.Repeat("0123456789", 1<<20)
	w.put("bkt", "k", body)

	o, _, _, err := w.core.GetObject(context.Background(), "bkt", "k", minio.GetObjectOptions{})
	w.must(err)
	defer o.Close()
	if _, err := io.ReadFull(o, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	up, down := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := w.core.PutObject(context.Background(), "bkt", "slow", up, 1<<20, "", "", minio.PutObjectOptions{})
		sent <- err
	}()
	_, err = down.Write(make([]byte, 1000))
	w.must(err)

	// The change is answered although both clients stand still.
	w.apply(&catalog.Policy{Name: "open", Copies: catalog.Copies{N: 1}, Zones: []string{"c1", "c2"}, Prefer: []string{"c1"}})
	if rest, err := io.ReadAll(o); err == nil && len(rest) > len(body)-1000-1 {
		t.Error("the read went on")
	}
	go down.Close()
	if err := <-sent; err == nil {
		t.Error("the write went on")
	}
	for _, err := range []error{
		w.tryPut("bkt", "k2", "x"),
		func() error {
			_, err := w.api.StatObject(context.Background(), "bkt", "k", minio.StatObjectOptions{})
			return err
		}(),
	} {
		if r := minio.ToErrorResponse(err); r.Code != "AccessDenied" {
			t.Errorf("afterwards: %v", err)
		}
	}
	if err := w.tryPut("bkt", "k2", "x"); !strings.Contains(minio.ToErrorResponse(err).Message, `"open"`) {
		t.Errorf("the policy is not named: %v", err)
	}
}

func (i *instance) tryPut(bucket, key, body string) error {
	_, err := i.core.PutObject(context.Background(), bucket, key, strings.NewReader(body), int64(len(body)), "", "", minio.PutObjectOptions{})
	return err
}
