package replication

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
)

// fullServer stands before a real server and refuses what is written while its disk is
// said to be full, as a MinIO does.
type fullServer struct {
	*httptest.Server
	full atomic.Bool
	puts atomic.Int64 // refused
}

// newFullServer makes one; the world that uses it is made after it, so that it ends first.
func newFullServer(t *testing.T, srv *testenv.Server) *fullServer {
	t.Helper()
	target, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	f := new(fullServer)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	proxy.ErrorLog = log.New(io.Discard, "", 0) // clients that go are no news
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.full.Load() && (r.Method == http.MethodPut || r.Method == http.MethodPost) && strings.Count(r.URL.Path, "/") > 1 {
			f.puts.Add(1)
			w.WriteHeader(http.StatusInsufficientStorage)
			fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its minimum free drive threshold.</Message></Error>`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// A storage without space delays nobody else and is not asked again and again; removals go
// on, and what waited goes over when there is space.
func TestFullStorage(t *testing.T) {
	t.Parallel()
	f := newFullServer(t, minioB.Server(t))
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.clusterAt("c2", minioB.Server(t), f.URL)
	w.cluster("c3", minioC.Server(t))
	w.makeBucket("c1", "bkt")
	w.put("c1", "bkt", "old", "x")
	w.policy("all", 3, "c1", "c2", "c3")
	w.bucket("bkt", "all", "c1")
	w.feedsLive("c1")
	w.awaitOK("bkt", "c1", "c2", "c3")

	f.full.Store(true)
	const objects = 100
	for i := range objects {
		w.put("c1", "bkt", fmt.Sprintf("k%03d", i), "content")
	}
	w.await("c3 has everything", func() bool { return len(w.contents("c3", "bkt")) == objects+1 })
	w.await("c2 is full, and the bucket says so", func() bool {
		st := w.status("bkt")
		return w.eng.Reports().Storage("c2").Full && st.State == control.BucketStuck && strings.Contains(st.Reason, "c2 is full")
	})
	if st := w.eng.Reports().Storage("c2"); st.State != "up" || !strings.Contains(st.Error, "XMinioStorageFull") {
		t.Errorf("%+v", st)
	}
	w.await("every row waits", func() bool {
		return len(w.pending(state.PendingFilter{Bucket: "bkt", Cluster: "c2", Failed: true})) == objects
	})
	w.await("that is the reason, and no other", func() bool {
		return !slices.ContainsFunc(w.status("bkt").Reasons, func(r control.Reason) bool {
			return r.Code != control.ReasonFull || r.Cluster != "c2" || r.Since.IsZero()
		})
	})
	if fs, err := w.eng.Reports().Failures(t.Context(), state.PendingKey{}, 1); err != nil || len(fs) != 1 || fs[0].Cause != state.CauseFull {
		t.Errorf("failures %+v, %v", fs, err)
	}
	// From now on one object at a time is tried. The bound is of the time that has passed,
	// however long that is.
	before, began := f.puts.Load(), time.Now()
	w.await("some probes", func() bool { return f.puts.Load() >= before+3 })
	n, most := f.puts.Load()-before, int64(time.Since(began)/(fastTuning().FullProbe*7/10))+3
	if n > most {
		t.Errorf("%d attempts in %s: expected at most %d", n, time.Since(began), most)
	}
	w.del("c1", "bkt", "old")
	w.await("a removal reaches the full storage", func() bool { _, ok := w.get("c2", "bkt", "old"); return !ok })

	f.full.Store(false)
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.awaitSame("bkt", "c1", "c2", "c3")
	if w.eng.Reports().Storage("c2").Full {
		t.Error("c2 is still called full")
	}
}

// A first sync to a full storage waits, is no failed copy, and goes on.
func TestFirstSyncToFullStorage(t *testing.T) {
	t.Parallel()
	f := newFullServer(t, minioB.Server(t))
	w := newWorld(t, Settings{NoEventFeed: true}, nil)
	w.cluster("c1", minioA.Server(t))
	w.clusterAt("c2", minioB.Server(t), f.URL)
	w.makeBucket("c1", "bkt")
	w.makeBucket("c2", "bkt")
	for i := range 40 {
		w.put("c1", "bkt", fmt.Sprintf("k%03d", i), "content")
	}
	f.full.Store(true)
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.await("the bucket is stuck", func() bool {
		st := w.status("bkt")
		return st.State == control.BucketStuck && strings.Contains(st.Reason, "c2 is full") && st.Reasons[0].Code == control.ReasonFull && st.Reasons[0].Cluster == "c2"
	})
	w.await("it is probed", func() bool { return f.puts.Load() > 40 || w.eng.Reports().Storage("c2").Full })
	w.await("both say since when", func() bool {
		since := w.status("bkt").Reasons[0].Since
		return !since.IsZero() && since.Equal(w.eng.Reports().Storage("c2").FullSince)
	})
	if row, _ := w.copyRow("bkt", "", "c2"); row.State == catalog.CopyFailed {
		t.Error("the copy failed as a whole")
	}
	f.full.Store(false)
	w.awaitOK("bkt", "c1", "c2")
	w.awaitSame("bkt", "c1", "c2")
}

// The bytes in a cluster follow what is written, without a scan, and placement keeps to
// the capacity.
func TestUsedBytesAndCapacity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1", "c2")
	w.put("c1", "bkt", "k", strings.Repeat("x", 5000))
	for _, c := range []string{"c1", "c2"} {
		w.await("used bytes of "+c, func() bool { return w.eng.Reports().Storage(c).UsedBytes == 5000 })
	}
	srv := minioB.Server(t)
	declare := func(capacity catalog.Size) {
		w.apply(&catalog.Cluster{Name: "c2", Zones: []string{"c2"}, Storage: &catalog.Storage{
			Endpoint: srv.Endpoint, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey, BucketPrefix: w.prefix, Capacity: capacity,
		}})
	}
	declare(4000)
	w.bucket("next", "two", "c1")
	w.await("no second copy fits", func() bool {
		st := w.status("next")
		return st.State == control.BucketStuck && len(st.Copies) == 1
	})
	declare(1 << 20)
	w.awaitOK("next", "c1", "c2")
}

// A drain tells what is left, and when it is done.
func TestDrainTellsWhenDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{DrainTimeout: 10 * time.Millisecond}, nil)
	for i, srv := range []testenv.Shared{minioA, minioB, minioC} {
		w.cluster(fmt.Sprintf("c%d", i+1), srv.Server(t))
	}
	w.policy("two", 2)
	w.bucket("bkt", "two", "c1")
	w.bucket("other", "two", "")
	for _, b := range []string{"bkt", "other"} {
		w.await(b+" is ok", func() bool {
			st := w.status(b)
			return st.State == control.BucketOK && len(st.Copies) == 2 // its bucket is there since before the copy
		})
		w.put(w.status(b).Primary, b, "k", "12345")
	}
	ctx := context.Background()
	if st, err := w.eng.Reports().Drain(ctx, "c1"); st != nil || err != nil {
		t.Fatalf("a cluster that does not drain: %+v %v", st, err)
	}
	sub := w.ctl.Events().Subscribe(4096)
	defer sub.Close()
	w.drain("c1", true)
	var st *DrainStatus
	w.await("what keeps it", func() bool {
		var err error
		st, err = w.eng.Reports().Drain(ctx, "c1")
		w.must(err)
		return st.State == drainDraining && st.Buckets == 1 && strings.Contains(st.Reason, "bkt declares it as its primary")
	})
	w.bucket("bkt", "two", "")
	w.await("done", func() bool {
		st, err := w.eng.Reports().Drain(ctx, "c1")
		w.must(err)
		return st.State == drainDone && st.Buckets == 0 && st.Objects == 0 && st.Bytes == 0 && st.Reason == ""
	})
	if got := w.contents("c1", "bkt"); len(got) != 0 {
		t.Errorf("c1 has %v", got)
	}
	told := make(map[string]bool)
	for len(sub.C) > 0 {
		if ev := <-sub.C; ev.Type == control.EventDrain && ev.Cluster == "c1" {
			told[ev.State] = true
		}
	}
	if !told[drainDraining] || !told[drainDone] {
		t.Errorf("events told of %v", told)
	}
}

// drain switches a cluster's drain.
func (w *world) drain(cluster string, on bool) {
	w.Helper()
	_, err := w.ctl.Resources.Modify(context.Background(), catalog.KindCluster, cluster, control.Precondition{}, func(now catalog.Resource) (catalog.Resource, error) {
		now.(*catalog.Cluster).Drain = on
		return now, nil
	})
	w.must(err)
}
