package replication

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// A write that a storage may take long for is no hit at copies for as long: a worker that looked meanwhile
// would find nothing to do, and what comes then would be read in one place and not in the other.
func TestIntentsOutlastTheirWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{Workers: 4, NoEventFeed: true, ScanInterval: time.Hour}, nil)
	srv := minioA.Server(t)
	behind, err := url.Parse(srv.Endpoint)
	w.must(err)
	begun, answer := make(chan struct{}), make(chan bool)
	front := httputil.NewSingleHostReverseProxy(behind)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "" {
			begun <- struct{}{}
			if !<-answer {
				panic(http.ErrAbortHandler) // the connection ends
			}
		}
		front.ServeHTTP(rw, r)
	}))
	t.Cleanup(proxy.Close)
	w.clusterAt("c1", srv, proxy.URL)
	w.cluster("c2", minioB.Server(t))
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.put("c1", "bkt", "from", "content")

	const patience = 10 * time.Minute
	copyTo := func(key string) chan error {
		written := make(chan error, 1)
		go func() {
			write := UserWrite{Passage: Passage{Bucket: "bkt", Key: key, Cluster: "c1"}, Keys: []string{key}}
			_, err := w.eng.Gateway().Write(context.Background(), write, &storage.Forward{
				Method: http.MethodPut, Bucket: "bkt", Key: key, Wait: patience,
				Header: http.Header{"X-Amz-Copy-Source": {"/" + w.prefix + "bkt/from"}},
			})
			written <- err
		}()
		return written
	}
	due := func(key string) time.Duration {
		for _, row := range w.pending(state.PendingFilter{Bucket: "bkt"}) {
			if row.Key == key {
				return time.Until(row.NextAttempt)
			}
		}
		return -1
	}
	written := copyTo("k")
	<-begun
	if in := due("k"); in < patience {
		t.Errorf("it is looked at in %s, before the storage has to answer", in)
	}
	answer <- true
	w.must(<-written)
	w.await("the copy", func() bool { got, _ := w.get("c2", "bkt", "k"); return strings.HasPrefix(got, "content") })

	written = copyTo("cut")
	<-begun
	answer <- false
	if err := <-written; err == nil {
		t.Error("what was not answered is acknowledged")
	}
	if in := due("cut"); in < 0 || in > intentFor {
		t.Errorf("after a failure it is looked at in %s, want %s at most", in, intentFor)
	}
}
