package s3gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/control"
)

// An instance in a cluster that a policy does not allow carries none of its bytes, whatever the
// endpoint says: not in, not out, not as the source of a copy or of a part, not from the cache.
func TestInstanceInForbiddenCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.Cache = &Cache{Size: 1 << 20} })
	w.cluster("eu", minioA.Server(t))
	w.cluster("us", minioB.Server(t))
	w.policy("in-eu", 1, "eu")
	w.policy("any", 1, "us", "eu")
	w.bucket("closed", "in-eu", "eu")
	w.bucket("open", "any", "us")
	w.put("closed", "k", "secret")
	w.put("open", "k", "x")
	if got := w.get("closed", "k"); got != "secret" { // it is in the cache now
		t.Fatalf("before: %q", got)
	}
	ctx := context.Background()
	upload, err := w.core.NewMultipartUpload(ctx, "open", "parts", minio.PutObjectOptions{})
	w.must(err)
	closed, err := w.core.NewMultipartUpload(ctx, "closed", "parts", minio.PutObjectOptions{})
	w.must(err)
	if _, err := w.ctl.Attach(ctx, control.Config{Here: "us"}); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if code(err) != "AccessDenied" {
			t.Errorf("%s: %v, want AccessDenied", what, err)
		}
	}
	_, err = w.core.PutObject(ctx, "closed", "k2", strings.NewReader("x"), 1, "", "", minio.PutObjectOptions{})
	refused("a write", err)
	_, err = w.core.CopyObject(ctx, "closed", "k", "open", "stolen", nil, minio.CopySrcOptions{}, minio.PutObjectOptions{})
	refused("a copy out of it", err)
	_, err = w.core.CopyObject(ctx, "open", "k", "closed", "brought", nil, minio.CopySrcOptions{}, minio.PutObjectOptions{})
	refused("a copy into it", err)
	_, err = w.core.CopyObjectPart(ctx, "closed", "k", "open", "parts", upload, 1, 0, -1, nil)
	refused("a part of it", err)
	_, err = w.core.PutObjectPart(ctx, "closed", "parts", closed, 1, strings.NewReader("x"), 1, minio.PutObjectPartOptions{})
	refused("a part for it", err)
	_, err = w.core.NewMultipartUpload(ctx, "closed", "more", minio.PutObjectOptions{})
	refused("an upload in it", err)
	_, err = w.core.ListObjectsV2("closed", "", "", "", "", 10)
	refused("a listing", err)
	_, _, _, err = w.core.GetObject(ctx, "closed", "k", minio.GetObjectOptions{})
	refused("a read", err)
	if err == nil || !strings.Contains(err.Error(), `"in-eu"`) || !strings.Contains(err.Error(), "cluster us, where this instance is") {
		t.Errorf("%v: names neither the policy nor the cluster", err)
	}
	if _, err := w.core.StatObject(ctx, "closed", "k", minio.StatObjectOptions{}); minio.ToErrorResponse(err).StatusCode != http.StatusForbidden {
		t.Errorf("a HEAD: %v", err)
	}
	if got := w.get("open", "k"); got != "x" {
		t.Errorf("what is allowed: %q", got)
	}
	if _, err := w.ctl.Attach(ctx, control.Config{Here: "eu"}); err != nil {
		t.Fatal(err)
	}
	if got := w.get("closed", "k"); got != "secret" {
		t.Errorf("after it moved: %q", got)
	}
}
