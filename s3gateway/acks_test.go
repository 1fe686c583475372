package s3gateway

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// acked is a world whose bucket is in c1 and, through a proxy, in c2, with a write_ack.
func acked(t *testing.T, ack int) (*world, *testenv.Proxy) {
	t.Helper()
	w := newWorld(t, func(h *Handler) { h.WriteAck = ack })
	b := minioB.Server(t)
	proxy := testenv.StartProxy(t, b.Endpoint)
	w.cluster("c1", minioA.Server(t))
	w.clusterAt("c2", b, proxy.Endpoint())
	w.policy("both", 2, "c1", "c2")
	w.bucket("bkt", "both", "c1")
	return w, proxy
}

// copied returns what a server has of an object, "" for nothing.
func (w *world) copied(srv *testenv.Server, key string) string {
	w.Helper()
	info, err := w.direct(srv).StatObject(context.Background(), w.prefix+"bkt", key, minio.StatObjectOptions{})
	if code(err) == "NoSuchKey" {
		return ""
	}
	w.must(err)
	return info.ETag
}

// What write_ack 2 answers is in two storages by then, whatever made it: content, parts, metadata,
// a copy, a removal.
func TestWriteAck(t *testing.T) {
	t.Parallel()
	for _, ack := range []int{2, ackAll, 5} {
		t.Run(fmt.Sprint(ack), func(t *testing.T) {
			t.Parallel()
			w, _ := acked(t, ack)
			ctx, b := context.Background(), minioB.Server(t)
			info := w.put("bkt", "k", "content")
			if got := w.copied(b, "k"); got != info.ETag {
				t.Errorf("the copy has %q, want %q", got, info.ETag)
			}
			large, err := w.api.PutObject(ctx, "bkt", "large", bytes.NewReader(make([]byte, 11<<20)), 11<<20, minio.PutObjectOptions{PartSize: 5 << 20})
			w.must(err)
			if got := w.copied(b, "large"); got != large.ETag {
				t.Errorf("the copy of an upload has %q, want %q", got, large.ETag)
			}
			_, err = w.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "bkt", Object: "copy"}, minio.CopySrcOptions{Bucket: "bkt", Object: "k"})
			w.must(err)
			if got := w.copied(b, "copy"); got != info.ETag {
				t.Errorf("the copy of a copy has %q, want %q", got, info.ETag)
			}
			ch := make(chan minio.ObjectInfo, 20)
			for n := range cap(ch) {
				key := fmt.Sprint("many", n)
				w.put("bkt", key, key)
				ch <- minio.ObjectInfo{Key: key}
			}
			close(ch)
			for e := range w.api.RemoveObjects(ctx, "bkt", ch, minio.RemoveObjectsOptions{}) {
				t.Error(e)
			}
			w.must(w.api.RemoveObject(ctx, "bkt", "k", minio.RemoveObjectOptions{}))
			for _, key := range []string{"k", "many0", "many19"} {
				if got := w.copied(b, key); got != "" {
					t.Errorf("the copy of %s, which was removed, has %q", key, got)
				}
			}
		})
	}
}

// A write of which there can't be as many copies as write_ack says is refused before anything is
// written, and possible again when the storage is back.
func TestWriteAckRefuses(t *testing.T) {
	t.Parallel()
	w, proxy := acked(t, 2)
	w.put("bkt", "k", "before")
	w.must(proxy.Refuse(true))
	w.await("c2 is known to be down", func() bool {
		return w.eng.Gateway().CanBring("c2", 1) != nil
	})
	status, h, body := w.do(http.MethodPut, "/bkt/k", nil, "after")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "Nothing was written") || h.Get("Retry-After") == "" {
		t.Errorf("%d %s", status, body)
	}
	if got := w.get("bkt", "k"); got != "before" {
		t.Errorf("after a refusal: %q", got)
	}
	w.must(proxy.Refuse(false))
	w.await("c2 is back", func() bool {
		status, _, _ := w.do(http.MethodPut, "/bkt/k", nil, "after")
		return status == http.StatusOK
	})
	if a, b := w.copied(minioA.Server(t), "k"), w.copied(minioB.Server(t), "k"); a != b {
		t.Errorf("the storages have %q and %q", a, b)
	}
}

// A second storage that is cut in the middle of a body is tried again; the client waits for it.
func TestWriteAckOutlastsACut(t *testing.T) {
	t.Parallel()
	w, proxy := acked(t, 2)
	body := strings.Repeat("0123456789abcdef", (8<<20)/16)
	proxy.CutAfter(testenv.Up, 4<<20)
	info := w.put("bkt", "k", body)
	if got := w.copied(minioB.Server(t), "k"); got != info.ETag {
		t.Errorf("the copy has %q, want %q", got, info.ETag)
	}
	if moved := proxy.Moved(testenv.Up); moved < 12<<20-64<<10 {
		t.Errorf("%d bytes were sent: nothing was cut, and the test shows nothing", moved)
	}
}

// A slow second storage slows the answer, and no longer than the client waits: what it does not
// wait for is copied later.
func TestWriteAckOfASlowStorage(t *testing.T) {
	t.Parallel()
	w, proxy := acked(t, 2)
	proxy.Slow(testenv.Up, 1<<20)
	began := time.Now()
	w.put("bkt", "k", strings.Repeat("x", 2<<20))
	if took := time.Since(began); took < time.Second {
		t.Errorf("2 MiB at 1 MiB/s took %s", took)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	body := strings.Repeat("y", 4<<20)
	_, err := w.api.PutObject(ctx, "bkt", "gone", strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{DisableMultipart: true})
	if err == nil {
		t.Error("4 MiB at 1 MiB/s in 2 s")
	}
	proxy.Slow(testenv.Up, 0)
	w.await("the copy is made nevertheless", func() bool {
		return w.copied(minioB.Server(t), "gone") == w.copied(minioA.Server(t), "gone")
	})
}

// Copies that a write waits for do not wait for a backlog.
func TestWriteAckGoesFirst(t *testing.T) {
	t.Parallel()
	w, proxy := acked(t, 2)
	b := minioB.Server(t)
	proxy.Delay(testenv.Up, 20*time.Millisecond) // the backlog takes its time
	direct, rows := w.direct(minioA.Server(t)), make([]state.Pending, 3000)
	for i := range rows {
		rows[i] = state.Pending{Bucket: "bkt", Key: fmt.Sprintf("backlog/%04d", i), Cluster: "c2", Since: time.Now()}
	}
	_, err := direct.Client.PutObject(context.Background(), w.prefix+"bkt", rows[len(rows)-1].Key, strings.NewReader("last"), 4, minio.PutObjectOptions{})
	w.must(err)
	w.must(w.ctl.Pending.Add(context.Background(), rows...))
	info := w.put("bkt", "k", "content")
	if got := w.copied(b, "k"); got != info.ETag {
		t.Errorf("the copy has %q, want %q", got, info.ETag)
	}
	if !w.ctl.Router().Pending.HasBelow("bkt", "backlog/", "c2") {
		t.Error("the backlog is done: the test shows nothing")
	}
}

// Under writes anywhere the nearest copy is written, and the others have it before the answer.
func TestWriteAckAnywhere(t *testing.T) {
	t.Parallel()
	w := anywhere(t, 2)
	for n := range 5 {
		key := fmt.Sprint("k", n)
		status, h, body := w.do(http.MethodPut, "/bkt/"+key, nil, fmt.Sprint("content", n))
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		etag := strings.Trim(h.Get("Etag"), `"`)
		if a, b := w.copied(minioA.Server(t), key), w.copied(minioB.Server(t), key); a != etag || b != etag {
			t.Errorf("%s: the storages have %q and %q, want %q", key, a, b, etag)
		}
		if token, ok := routing.ParseToken(h.Get("X-Fado-Token")); !ok || token.Cluster != "c2" {
			t.Errorf("it was written in %q, want c2: the test shows nothing", token.Cluster)
		}
	}
}

// anywhere is a world whose bucket is written in two clusters, the endpoint being in the second.
func anywhere(t *testing.T, ack int) *world {
	t.Helper()
	w := newWorld(t, func(h *Handler) { h.WriteAck, h.Cluster = ack, "c2" })
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	both := []string{"c1", "c2"}
	w.apply(&catalog.Policy{Name: "any", Copies: catalog.Copies{N: 2}, Clusters: both, Prefer: both, Writes: catalog.WritesAnywhere})
	w.feedsLive(both...)
	w.bucket("bkt", "any", "c1")
	// What may have been missed before a feed was there is compared first.
	w.await("current copies", func() bool {
		return w.ctl.Router().Current("bkt", "k", "c1") && w.ctl.Router().Current("bkt", "k", "c2")
	})
	return w
}

// A write that finds no current copy, since changes may have been missed everywhere, goes on when
// that is over.
func TestWriteWaitsForAGap(t *testing.T) {
	t.Parallel()
	w := anywhere(t, 1)
	states := []*routing.ClusterState{w.ctl.Router().Snapshot().ClusterState("c1"), w.ctl.Router().Snapshot().ClusterState("c2")}
	for _, s := range states {
		s.OpenGap()
	}
	go func() {
		time.Sleep(200 * time.Millisecond)
		for _, s := range states {
			s.DropGap()
		}
	}()
	began := time.Now()
	w.put("bkt", "k", "content")
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("it took %s: the test shows nothing", took)
	}
}
