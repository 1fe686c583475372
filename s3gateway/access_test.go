package s3gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
)

// A key sees and does what it may, and nothing tells of the rest.
func TestAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) {
		h.keys["reader"] = &catalog.Key{Secret: "reader-secret", Buckets: []string{"team-*"}, ReadOnly: true}
		h.keys["team"] = &catalog.Key{Secret: "team-secret", Buckets: []string{"team-*"}}
		h.Anonymous = []string{"public"}
	})
	w.cluster("c1", minioA.Server(t))
	w.policy("one", 1, "c1")
	for _, b := range []string{"team-a", "other", "public"} {
		w.bucket(b, "one", "c1")
		w.put(b, "k", "in "+b)
	}
	ctx := context.Background()
	team, reader := &minio.Core{Client: w.as("team", "team-secret")}, &minio.Core{Client: w.as("reader", "reader-secret")}
	stat := func(c *minio.Core, bucket string) string {
		_, err := c.StatObject(ctx, bucket, "k", minio.StatObjectOptions{})
		return code(err)
	}
	put := func(c *minio.Core, bucket string) string {
		_, err := c.PutObject(ctx, bucket, "k2", strings.NewReader("x"), 1, "", "", minio.PutObjectOptions{})
		return code(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"team reads its bucket", stat(team, "team-a"), ""},
		{"team writes its bucket", put(team, "team-a"), ""},
		{"team reads another", stat(team, "other"), "AccessDenied"},
		{"team reads one that is not", stat(team, "nothing"), "AccessDenied"},
		{"team writes another", put(team, "other"), "AccessDenied"},
		{"reader reads", stat(reader, "team-a"), ""},
		{"reader writes", put(reader, "team-a"), "AccessDenied"},
		{"a bucket that is not", w.get("nothing", "k"), "NoSuchBucket"},
		{"a wrong secret", stat(&minio.Core{Client: w.as("team", "wrong-secret")}, "team-a"), "SignatureDoesNotMatch"},
		{"an unknown key", stat(&minio.Core{Client: w.as("nobody", "wrong-secret")}, "team-a"), "InvalidAccessKeyId"},
	} {
		if c.want == "SignatureDoesNotMatch" || c.want == "InvalidAccessKeyId" {
			if c.got != c.want && c.got != "AccessDenied" { // a HEAD has no body that says it
				t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
			}
		} else if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	_, err := team.CopyObject(ctx, "other", "k", "team-a", "stolen", nil, minio.CopySrcOptions{}, minio.PutObjectOptions{})
	if code(err) != "AccessDenied" {
		t.Errorf("copying from another's bucket: %v", err)
	}
	buckets, err := team.ListBuckets(ctx)
	if err != nil || len(buckets) != 1 || buckets[0].Name != "team-a" {
		t.Errorf("team's buckets: %+v %v", buckets, err)
	}
	w.nobody()
	w.madeKeys()
}

// madeKeys are those of /fado/keys: they work at once, until they expire or are removed.
func (w *world) madeKeys() {
	w.Helper()
	ctx := context.Background()
	stat := func() string {
		_, err := (&minio.Core{Client: w.as("made", "made-secret")}).ListObjectsV2("other", "", "", "", "", 1)
		return code(err)
	}
	key := &catalog.Key{Name: "made", Secret: "made-secret", Buckets: []string{"oth?r"}}
	before := stat()
	w.apply(key)
	works := stat()
	key.Expires = time.Now().Add(-time.Minute)
	w.apply(key)
	expired := stat()
	w.must(w.ctl.Resources.Delete(ctx, catalog.KindKey, "made", control.Precondition{}))
	if after := stat(); before != "InvalidAccessKeyId" || works != "" || expired != "ExpiredToken" || after != "InvalidAccessKeyId" {
		w.Errorf("before %q, made %q, expired %q, removed %q", before, works, expired, after)
	}
}

// nobody reads what is public, and nothing else.
func (w *world) nobody() {
	w.Helper()
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/public/k", http.StatusOK},
		{http.MethodHead, "/public/k", http.StatusOK},
		{http.MethodGet, "/public", http.StatusForbidden},
		{http.MethodPut, "/public/k", http.StatusForbidden},
		{http.MethodDelete, "/public/k", http.StatusForbidden},
		{http.MethodGet, "/other/k", http.StatusForbidden},
		{http.MethodGet, "/nothing/k", http.StatusForbidden},
		{http.MethodGet, "/", http.StatusForbidden},
	} {
		status, body := w.plain(c.method, c.path)
		if status != c.want {
			w.Errorf("%s %s by nobody: %d %s, want %d", c.method, c.path, status, body, c.want)
		}
	}
}

// plain makes a request without a signature.
func (i *instance) plain(method, path string) (int, string) {
	i.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, i.server.URL+path, nil)
	i.must(err)
	resp, err := i.server.Client().Do(req)
	i.must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	i.must(err)
	return resp.StatusCode, string(b)
}

// Buckets are made and removed through the endpoint, and are FaDO's.
func TestBuckets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("both", 2, "c2", "c1")
	ctx := context.Background()
	w.must(w.api.MakeBucket(ctx, "plain", minio.MakeBucketOptions{}))
	w.put("plain", "k", "v") // it is ready at once
	place := func(bucket, cluster string) string {
		status, _, body := w.do(http.MethodPut, "/"+bucket, http.Header{"X-Fado-Policy": {"both"}},
			"<CreateBucketConfiguration><LocationConstraint>"+cluster+"</LocationConstraint></CreateBucketConfiguration>")
		return fmt.Sprint(status, " ", body)
	}
	if got := place("placed", "c2"); got != "200 " {
		t.Errorf("placing: %s", got)
	}
	if b := w.ctl.Router().Snapshot().Bucket("placed"); b == nil || b.Primary != "c2" || b.Policy != "both" {
		t.Errorf("the bucket is %+v, want its primary in c2", b)
	}
	if err := w.api.MakeBucket(ctx, "plain", minio.MakeBucketOptions{}); code(err) != "BucketAlreadyOwnedByYou" {
		t.Errorf("again: %v", err)
	}
	if got := place("elsewhere", "mars"); !strings.Contains(got, "InvalidLocationConstraint") {
		t.Errorf("nowhere: %s", got)
	}
	w.apply(&catalog.Bucket{Name: "plain", Policy: "both"})
	w.awaitOK("plain")
	if err := w.api.RemoveBucket(ctx, "plain"); code(err) != "BucketNotEmpty" {
		t.Errorf("removing what is not empty: %v", err)
	}
	if got := w.get("plain", "k"); got != "v" {
		t.Errorf("after a refused removal: %q", got)
	}
	w.must(w.api.RemoveObject(ctx, "plain", "k", minio.RemoveObjectOptions{}))
	w.must(w.api.RemoveBucket(ctx, "plain"))
	if ok, err := w.api.BucketExists(ctx, "plain"); err != nil || ok {
		t.Errorf("removed and there: %t %v", ok, err)
	}
	for name, srv := range map[string]testenv.Shared{"c1": minioA, "c2": minioB} {
		w.await("the physical bucket is gone from "+name, func() bool {
			ok, err := w.direct(srv.Server(t)).BucketExists(ctx, w.prefix+"plain")
			return err == nil && !ok
		})
	}
	buckets, err := w.api.ListBuckets(ctx)
	if err != nil || len(buckets) != 1 || buckets[0].Name != "placed" {
		t.Errorf("buckets %+v %v", buckets, err)
	}
}

// What is not supported says so by its name, and errors are S3's.
func TestNotSupported(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	_, err := w.api.GetBucketLifecycle(context.Background(), "bkt")
	r := minio.ToErrorResponse(err)
	if r.Code != "NotImplemented" || r.StatusCode != http.StatusNotImplemented || !strings.Contains(r.Message, "GetBucketLifecycle") || r.RequestID == "" {
		t.Errorf("%+v", r)
	}
	if status, body := w.plain(http.MethodPatch, "/bkt/k"); status != http.StatusForbidden || !strings.Contains(body, "<Code>AccessDenied</Code>") {
		t.Errorf("%d %s", status, body)
	}
}

// Caddy drops headers with _ and . in their names. Who signed some is told so.
func TestDroppedHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Header.Del("X-Amz-Meta-A_b")
		w.handler.serve(rw, r)
	})
	status, _, body := w.do(http.MethodPut, "/bkt/k", http.Header{"X-Amz-Meta-A_b": {"x"}}, "x")
	if status != http.StatusBadRequest || !strings.Contains(body, "x-amz-meta-a_b") || !strings.Contains(body, "expected_underscore_headers") {
		t.Errorf("%d %s", status, body)
	}
}
