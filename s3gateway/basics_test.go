package s3gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// What is written is read, listed, copied and removed, with its metadata.
func TestObjects(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	ctx := context.Background()
	info, err := w.api.PutObject(ctx, "bkt", "dir/a b+c", strings.NewReader("hello"), 5, minio.PutObjectOptions{
		ContentType: "text/x-test", UserMetadata: map[string]string{"Colour": "blue"}, UserTags: map[string]string{"t": "1"}, CacheControl: "no-store",
	})
	w.must(err)
	st, err := w.api.StatObject(ctx, "bkt", "dir/a b+c", minio.StatObjectOptions{})
	w.must(err)
	if st.ETag != info.ETag || st.Size != 5 || st.ContentType != "text/x-test" || st.UserMetadata["Colour"] != "blue" || st.UserTagCount != 1 ||
		st.Metadata.Get("Cache-Control") != "no-store" {
		t.Errorf("stat %+v", st)
	}
	if got := w.get("bkt", "dir/a b+c"); got != "hello" {
		t.Errorf("content %q", got)
	}
	opts := minio.GetObjectOptions{}
	w.must(opts.SetRange(1, 3))
	o, _, h, err := w.core.GetObject(ctx, "bkt", "dir/a b+c", opts)
	w.must(err)
	b, err := io.ReadAll(o)
	w.must(err)
	if string(b) != "ell" || h.Get("Content-Range") != "bytes 1-3/5" || !strings.HasPrefix(h.Get("X-Fado-Cluster"), "c") {
		t.Errorf("range: %q %v", b, h)
	}
	_, err = w.api.CopyObject(ctx, minio.CopyDestOptions{Bucket: "bkt", Object: "copy"}, minio.CopySrcOptions{Bucket: "bkt", Object: "dir/a b+c"})
	w.must(err)
	if st, err = w.api.StatObject(ctx, "bkt", "copy", minio.StatObjectOptions{}); err != nil || st.UserMetadata["Colour"] != "blue" {
		t.Errorf("copy %+v %v", st, err)
	}
	w.must(w.api.RemoveObject(ctx, "bkt", "copy", minio.RemoveObjectOptions{}))
	if got := w.get("bkt", "copy"); got != "NoSuchKey" {
		t.Errorf("after removal: %s", got)
	}
}

// Routing learns how large objects are from what passes, and from the storages' feeds.
func TestSizesAreLearnt(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	size := func(key string) int64 {
		n, known := w.ctl.Router().Sizes().Of("bkt", key)
		if !known {
			return -1
		}
		return n
	}
	w.put("bkt", "written", "12345")
	if got := size("written"); got != 5 {
		t.Errorf("what was written has %d bytes, want 5", got)
	}
	w.must(w.api.RemoveObject(context.Background(), "bkt", "written", minio.RemoveObjectOptions{}))
	beside, written := w.direct(minioA.Server(t)), time.Time{}
	w.await("the feed tells", func() bool {
		if time.Since(written) > 5*time.Second { // MinIO may drop an event, and the listener begin again
			_, err := beside.Client.PutObject(context.Background(), w.prefix+"bkt", "beside", strings.NewReader("1234567"), 7, minio.PutObjectOptions{})
			w.must(err)
			written = time.Now()
		}
		return size("beside") == 7
	})
	w.ctl.Router().Sizes().Note("bkt", "beside", 1)
	status, _, body := w.do(http.MethodGet, "/bkt/beside", http.Header{"Range": {"bytes=0-1"}}, "")
	if got := size("beside"); got != 7 || body != "12" {
		t.Errorf("what was read in part (%d %q) has %d bytes, want 7", status, body, got)
	}
}

// Every write is seen by the next read and list, wherever they are answered from.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	w := two(t, func(h *Handler) { h.Cluster = "c2" }) // reads prefer the copy
	for n := range 100 {
		key := fmt.Sprintf("k%d", n%7)
		want := fmt.Sprint("version ", n)
		w.put("bkt", key, want)
		if got := w.get("bkt", key); got != want {
			t.Fatalf("%s: %q, want %q", key, got, want)
		}
		if n%5 == 4 {
			w.must(w.api.RemoveObject(context.Background(), "bkt", key, minio.RemoveObjectOptions{}))
			if got := w.get("bkt", key); got != "NoSuchKey" {
				t.Fatalf("%s after removal: %q", key, got)
			}
			if names := w.list("bkt", "", ""); slices.Contains(names, key) {
				t.Fatalf("%s is still listed: %v", key, names)
			}
		} else if names := w.list("bkt", "", ""); !slices.Contains(names, key) {
			t.Fatalf("%s is not listed: %v", key, names)
		}
	}
}

// list returns the names below a prefix, page by page.
func (i *instance) list(bucket, prefix, delimiter string) (names []string) {
	i.Helper()
	token := ""
	for {
		r, err := i.core.ListObjectsV2(bucket, prefix, "", token, delimiter, 3)
		i.must(err)
		for _, o := range r.Contents {
			names = append(names, o.Key)
		}
		for _, p := range r.CommonPrefixes {
			names = append(names, p.Prefix)
		}
		if !r.IsTruncated {
			slices.Sort(names)
			return names
		}
		token = r.NextContinuationToken
	}
}

// Listings page by keys, in both versions, with and without delimiters and encoding.
func TestListings(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	keys := []string{"a/1", "a/2", "a/b/3", "b", "c d+e&f", "d/ü", "e<>", "x/y/z/1", "x/y/z/2"}
	for _, k := range keys {
		w.put("bkt", k, k)
	}
	slices.Sort(keys)
	if got := w.list("bkt", "", ""); !slices.Equal(got, keys) {
		t.Errorf("all: %q", got)
	}
	want := []string{"a/", "b", "c d+e&f", "d/", "e<>", "x/"}
	if got := w.list("bkt", "", "/"); !slices.Equal(got, want) {
		t.Errorf("delimited: %q, want %q", got, want)
	}
	if got := w.list("bkt", "a/", "/"); !slices.Equal(got, []string{"a/1", "a/2", "a/b/"}) {
		t.Errorf("below a/: %q", got)
	}
	var v1 []string
	for marker := ""; ; {
		r, err := w.core.ListObjects("bkt", "", marker, "/", 2)
		w.must(err)
		for _, o := range r.Contents {
			v1 = append(v1, o.Key)
		}
		for _, p := range r.CommonPrefixes {
			v1 = append(v1, p.Prefix)
		}
		if !r.IsTruncated {
			break
		}
		marker = r.NextMarker
	}
	slices.Sort(v1)
	if !slices.Equal(v1, want) {
		t.Errorf("version 1: %q, want %q", v1, want)
	}
}

// A large object goes up in parts, whose upload ID any instance understands.
func TestMultipart(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	ctx := context.Background()
	body := bytes.Repeat([]byte("0123456789abcdef"), (6<<20)/16)
	id, err := w.core.NewMultipartUpload(ctx, "bkt", "big", minio.PutObjectOptions{ContentType: "text/big"})
	w.must(err)
	p1, err := w.core.PutObjectPart(ctx, "bkt", "big", id, 1, bytes.NewReader(body), int64(len(body)), minio.PutObjectPartOptions{})
	w.must(err)
	w.put("bkt", "src", "tail of it")
	p2, err := w.core.CopyObjectPart(ctx, "bkt", "src", "bkt", "big", id, 2, 0, -1, nil)
	w.must(err)
	ups, err := w.core.ListMultipartUploads(ctx, "bkt", "", "", "", "", 10)
	w.must(err)
	if len(ups.Uploads) != 1 || ups.Uploads[0].UploadID != id || ups.Bucket != "bkt" {
		t.Errorf("uploads %+v", ups)
	}
	parts, err := w.core.ListObjectParts(ctx, "bkt", "big", id, 0, 10)
	w.must(err)
	if len(parts.ObjectParts) != 2 || parts.UploadID != id || parts.Bucket != "bkt" {
		t.Errorf("parts %+v", parts)
	}
	if _, err := w.core.ListObjectParts(ctx, "bkt", "big", "bm9uc2Vuc2U", 0, 10); code(err) != "NoSuchUpload" {
		t.Errorf("an upload that is not: %v", err)
	}
	_, err = w.core.CompleteMultipartUpload(ctx, "bkt", "big", id, []minio.CompletePart{{PartNumber: 1, ETag: p1.ETag}, {PartNumber: 2, ETag: p2.ETag}}, minio.PutObjectOptions{})
	w.must(err)
	if got := w.get("bkt", "big"); got != string(body)+"tail of it" {
		t.Errorf("%d bytes", len(got))
	}
	id, err = w.core.NewMultipartUpload(ctx, "bkt", "gone", minio.PutObjectOptions{})
	w.must(err)
	w.must(w.core.AbortMultipartUpload(ctx, "bkt", "gone", id))
	if _, err := w.core.ListObjectParts(ctx, "bkt", "gone", id, 0, 10); code(err) != "NoSuchUpload" {
		t.Errorf("an aborted upload: %v", err)
	}
}

// Many keys go in one request.
func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	w := two(t, nil)
	ch := make(chan minio.ObjectInfo, 10)
	for n := range 10 {
		key := fmt.Sprintf("k & <%d>", n)
		w.put("bkt", key, "x")
		ch <- minio.ObjectInfo{Key: key}
	}
	close(ch)
	for e := range w.api.RemoveObjects(context.Background(), "bkt", ch, minio.RemoveObjectsOptions{}) {
		t.Errorf("%s: %v", e.ObjectName, e.Err)
	}
	if got := w.list("bkt", "", ""); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}
