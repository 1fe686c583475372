package s3gateway

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
)

// A copy at a storage that can't keep ETags shows the primary's.
func TestETagsOfCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.Cluster = "c2" })
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", versA.Server(t))
	w.policy("both", 2, "c1", "c2")
	w.bucket("bkt", "both", "c1")
	ctx := context.Background()
	body := bytes.Repeat([]byte("0123456789abcdef"), (6<<20)/16)
	info, err := w.api.PutObject(ctx, "bkt", "big", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{
		PartSize: 5 << 20, UserMetadata: map[string]string{"Colour": "blue"},
	})
	w.must(err)
	w.awaitCopy("bkt", "big", "c2")
	o, st, h, err := w.core.GetObject(ctx, "bkt", "big", minio.GetObjectOptions{})
	w.must(err)
	o.Close()
	if h.Get("X-Fado-Cluster") != "c2" || st.ETag != info.ETag || st.UserMetadata["Colour"] != "blue" {
		t.Errorf("from %s: %+v, want ETag %s", h.Get("X-Fado-Cluster"), st, info.ETag)
	}
	for name := range h {
		if len(name) > 21 && name[:21] == "X-Amz-Meta-Fado-Sourc" {
			t.Errorf("the stamp is shown: %s", name)
		}
	}
	opts := minio.GetObjectOptions{}
	w.must(opts.SetMatchETag(info.ETag))
	o, _, _, err = w.core.GetObject(ctx, "bkt", "big", opts)
	w.must(err)
	o.Close()
	r, err := w.core.ListObjectsV2("bkt", "", "", "", "", 10)
	if err != nil || len(r.Contents) != 1 || r.Contents[0].ETag != `"`+info.ETag+`"` && r.Contents[0].ETag != info.ETag {
		t.Errorf("listed %+v %v", r.Contents, err)
	}
}

// A key that a storage would keep under another name is not given to it.
func TestKeysThatAStorageWouldChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.cluster("c1", versA.Server(t))
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	w.put("bkt", "a/b", "here")
	if err := w.tryPut("bkt", "a//b", "x"); code(err) != "InvalidArgument" {
		t.Errorf("written: %v", err)
	}
	if got := w.get("bkt", "a//b"); got != "NoSuchKey" {
		t.Errorf("read: %q", got)
	}
	if got := w.get("bkt", "a/b"); got != "here" {
		t.Errorf("its neighbour: %q", got)
	}
}

// An upload in parts at versitygw is completed: it takes the document that does so as it is, and in no chunks.
func TestUploadIsCompletedAtVersitygw(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.cluster("c1", versA.Server(t))
	w.policy("one", 1, "c1")
	w.bucket("bkt", "one", "c1")
	body := bytes.Repeat([]byte("0123456789abcdef"), (6<<20)/16)
	_, err := w.api.PutObject(t.Context(), "bkt", "big", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{PartSize: 5 << 20})
	w.must(err)
	if got := w.get("bkt", "big"); got != string(body) {
		t.Errorf("%d bytes, want %d", len(got), len(body))
	}
}

// A condition on a time is judged where the time is kept that clients are told: a copy at a storage that keeps
// none is newer than its original.
func TestConditionsOnTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.Cluster = "c2" })
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", versA.Server(t))
	w.policy("one", 1, "c1", "c2")
	w.policy("both", 2, "c1", "c2")
	w.bucket("bkt", "one", "c1")
	w.bucket("other", "one", "c2")
	w.put("bkt", "k", "content")
	_, h, _ := w.do(http.MethodHead, "/bkt/k", nil, "")
	told := h.Get("Last-Modified")
	at, err := http.ParseTime(told)
	w.must(err)
	w.await("another second", func() bool { return time.Since(at) > 2*time.Second })
	w.apply(&catalog.Bucket{Name: "bkt", Policy: "both", Primary: "c1"})
	w.awaitOK("bkt")
	w.awaitCopy("bkt", "k", "c2")
	if _, h, _ = w.do(http.MethodHead, "/bkt/k", nil, ""); h.Get("X-Fado-Cluster") != "c2" || h.Get("Last-Modified") != told {
		t.Fatalf("%v, want the time %s from c2", h, told)
	}
	if status, _, body := w.do(http.MethodGet, "/bkt/k", http.Header{"If-Unmodified-Since": {told}}, ""); status != http.StatusOK {
		t.Errorf("a read: %d %s", status, body)
	}
	if status, _, body := w.do(http.MethodGet, "/bkt/k", http.Header{"If-Modified-Since": {told}}, ""); status != http.StatusNotModified {
		t.Errorf("a read of what the client has: %d %s", status, body)
	}
	source := http.Header{"X-Amz-Copy-Source": {"/bkt/k"}, "X-Amz-Copy-Source-If-Unmodified-Since": {told}}
	if status, _, body := w.do(http.MethodPut, "/other/k", source, ""); status != http.StatusOK {
		t.Errorf("a copy: %d %s", status, body)
	}
}
