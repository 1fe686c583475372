package s3gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
)

// A copy from one storage to another streams, with what S3 keeps of an object.
func TestCopyAcross(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]func(testing.TB) *testenv.Server{"MinIO": minioB.Server, "versitygw": versA.Server} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.cluster("c1", minioA.Server(t))
			w.cluster("c2", other(t))
			w.policy("in1", 1, "c1")
			w.policy("in2", 1, "c2")
			w.bucket("src", "in1", "c1")
			w.bucket("dst", "in2", "c2")
			ctx := context.Background()
			_, err := w.api.PutObject(ctx, "src", "k", strings.NewReader("content"), 7, minio.PutObjectOptions{
				ContentType: "text/x", UserMetadata: map[string]string{"Colour": "blue"}, UserTags: map[string]string{"a b": "c+d"},
			})
			w.must(err)
			if tags, err := w.api.GetObjectTagging(ctx, "src", "k", minio.GetObjectTaggingOptions{}); err != nil || tags.ToMap()["a b"] != "c+d" {
				t.Fatalf("tags of the source %v %v", tags, err)
			}
			_, err = w.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "dst", Object: "sub/copy"}, minio.CopySrcOptions{Bucket: "src", Object: "k"})
			w.must(err)
			if got := w.get("dst", "sub/copy"); got != "content" {
				t.Errorf("content %q", got)
			}
			st, err := w.api.StatObject(ctx, "dst", "sub/copy", minio.StatObjectOptions{})
			if err != nil || st.ContentType != "text/x" || st.UserMetadata["Colour"] != "blue" {
				t.Errorf("%+v %v", st, err)
			}
			tags, err := w.api.GetObjectTagging(ctx, "dst", "sub/copy", minio.GetObjectTaggingOptions{})
			if err != nil || tags.ToMap()["a b"] != "c+d" {
				t.Errorf("tags %v %v", tags, err)
			}
			_, err = w.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "dst", Object: "other", ReplaceMetadata: true, UserMetadata: map[string]string{"Colour": "red"}},
				minio.CopySrcOptions{Bucket: "src", Object: "k"})
			w.must(err)
			if st, err = w.api.StatObject(ctx, "dst", "other", minio.StatObjectOptions{}); err != nil || st.UserMetadata["Colour"] != "red" {
				t.Errorf("replaced: %+v %v", st, err)
			}
			_, err = w.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "dst", Object: "not"}, minio.CopySrcOptions{Bucket: "src", Object: "k", MatchETag: "0123"})
			if code(err) != "PreconditionFailed" {
				t.Errorf("condition: %v", err)
			}
			_, err = w.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "dst", Object: "not"}, minio.CopySrcOptions{Bucket: "src", Object: "nothing"})
			if code(err) != "NoSuchKey" {
				t.Errorf("nothing to copy: %v", err)
			}
		})
	}
}

// A copy in one storage leaves the stamp behind of an object that FaDO brought there: carried away and back
// it told when a version was written that is long gone.
func TestCopyCarriesNoStamp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", versA.Server(t))
	w.policy("both", 2, "c1", "c2")
	w.bucket("bkt", "both", "c1")
	ctx := t.Context()
	_, err := w.api.PutObject(ctx, "bkt", "k", strings.NewReader("first"), 5, minio.PutObjectOptions{
		ContentType: "text/x", CacheControl: "no-store", UserMetadata: map[string]string{"Colour": "blue"}, UserTags: map[string]string{"a b": "c+d"},
	})
	w.must(err)
	written := time.Now()
	w.awaitCopy("bkt", "k", "c2")
	w.apply(&catalog.Bucket{Name: "bkt", Policy: "both", Primary: "c2"})
	w.await("the primary in c2", func() bool {
		st, err := w.ctl.Status.Bucket(ctx, "bkt")
		w.must(err)
		return st.Primary == "c2" && st.State == "ok"
	})
	copyTo := func(to, from string) {
		t.Helper()
		_, err := w.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "bkt", Object: to}, minio.CopySrcOptions{Bucket: "bkt", Object: from})
		w.must(err)
	}
	_, err = w.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "bkt", Object: "k"}, minio.CopySrcOptions{Bucket: "bkt", Object: "k"})
	if minio.ToErrorResponse(err).Code != "InvalidRequest" {
		t.Errorf("a copy to itself that changes nothing: %v", err)
	}
	copyTo("bak", "k")
	w.put("bkt", "k", "second")
	w.await("another second", func() bool { return time.Since(written) > 3*time.Second })
	began := time.Now().Truncate(time.Second)
	copyTo("k", "bak")
	st, err := w.api.StatObject(ctx, "bkt", "k", minio.StatObjectOptions{})
	w.must(err)
	if st.LastModified.Before(began) {
		t.Errorf("last modified %s, want %s or later", st.LastModified, began)
	}
	if w.get("bkt", "k") != "first" || st.ContentType != "text/x" || st.UserMetadata["Colour"] != "blue" || st.Metadata.Get("Cache-Control") != "no-store" {
		t.Errorf("%+v", st)
	}
	tags, err := w.api.GetObjectTagging(ctx, "bkt", "k", minio.GetObjectTaggingOptions{})
	if err != nil || tags.ToMap()["a b"] != "c+d" {
		t.Errorf("tags %v %v", tags, err)
	}
}
