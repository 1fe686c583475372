package storage

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/storage/s3"
)

// refusing passes requests on to a server, and refuses the writes that have a header as a
// storage would whose condition does not hold.
func refusing(t *testing.T, s *side, header string, status int, code string) (c *whole, refused *int) {
	t.Helper()
	target, err := url.Parse(s.srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	refused = new(int)
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(header) == "" || r.Method != http.MethodPut && r.Method != http.MethodPost {
			pass.ServeHTTP(w, r)
			return
		}
		*refused++
		w.Header().Set("Server", "VERSITYGW")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
	}))
	t.Cleanup(srv.Close)
	return open(t, s.srv, srv.URL), refused
}

// hidden makes a key that a user deleted at dst, with a later version at src, and how to copy that.
func hidden(src, dst *side, bucket string, size int) (v Version, body []byte) {
	dst.put(bucket, "k", []byte("before"), minio.PutObjectOptions{})
	dst.removeAsUser(bucket, "k")
	awaitNextSecond(dst.tb)
	body = bytes.Repeat([]byte{'n'}, size)
	src.put(bucket, "k", body, minio.PutObjectOptions{PartSize: s3.MinPart})
	return src.current(bucket, "k"), body
}

// TestVersionOverAMarker: a version comes over the delete marker that was there, and not over what a user
// writes, or deletes, between the look and the write.
func TestVersionOverAMarker(t *testing.T) {
	for _, size := range []int{7, smallObject + s3.MinPart + 5} {
		src, dst := minioA.side(t), versA.side(t)
		absent := func(v *Version, meanwhile func()) CopyOptions {
			return CopyOptions{If: Condition{Absent: true}, Version: v, Progress: func(int64) {
				if f := meanwhile; f != nil {
					meanwhile = nil
					f()
				}
			}}
		}
		bucket := newBucket(t, true, src, dst)
		v, body := hidden(src, dst, bucket, size)
		if _, err := Copy(t.Context(), src, dst, bucket, v.Object, absent(&v, nil)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(dst.read(bucket, "k"), body) {
			t.Errorf("%d bytes: it is not on top", size)
		}

		bucket = newBucket(t, true, src, dst)
		v, _ = hidden(src, dst, bucket, size)
		theirs := func() { dst.put(bucket, "k", []byte("theirs"), minio.PutObjectOptions{}) }
		if _, err := Copy(t.Context(), src, dst, bucket, v.Object, absent(&v, theirs)); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%d bytes: over a user's: %v", size, err)
		}
		if got := dst.read(bucket, "k"); string(got) != "theirs" {
			t.Errorf("%d bytes: a user's write is hidden by %.10q", size, got)
		}

		bucket = newBucket(t, true, src, dst)
		src.put(bucket, "k", body, minio.PutObjectOptions{PartSize: s3.MinPart})
		v = src.current(bucket, "k")
		awaitNextSecond(t)
		deleted := func() { theirs(); dst.removeAsUser(bucket, "k") }
		if _, err := Copy(t.Context(), src, dst, bucket, v.Object, absent(&v, deleted)); !errors.Is(err, ErrPrecondition) {
			t.Errorf("%d bytes: over a user's delete: %v", size, err)
		}
		if now := dst.current(bucket, "k"); !now.Deleted {
			t.Errorf("%d bytes: a user's delete is undone: %+v", size, now)
		}
	}
}

// TestMarkerWithoutACondition: where a storage takes no condition that a delete marker meets, the write
// goes without one, as long as that marker is what is there.
func TestMarkerWithoutACondition(t *testing.T) {
	for name, refusal := range map[string]struct {
		header string
		status int
		code   string
	}{
		"If-Match, as of another object": {"If-Match", http.StatusPreconditionFailed, "PreconditionFailed"},
		"If-Match, as of none":           {"If-Match", http.StatusNotFound, "NoSuchKey"},
	} {
		for _, asVersion := range []bool{true, false} {
			for _, size := range []int{7, smallObject + s3.MinPart + 5} {
				t.Run(fmt.Sprint(name, " ", asVersion, " ", size), func(t *testing.T) {
					src, dst := minioA.side(t), versA.side(t)
					bucket := newBucket(t, true, src, dst)
					v, body := hidden(src, dst, bucket, size)
					opts := CopyOptions{If: Condition{Absent: true}}
					if asVersion {
						opts.Version = &v
					}
					c, refused := refusing(t, dst, refusal.header, refusal.status, refusal.code)
					if _, err := Copy(t.Context(), src, c, bucket, v.Object, opts); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(dst.read(bucket, "k"), body) || *refused != 1 {
						t.Errorf("it is not on top, or %d requests were refused", *refused)
					}
				})
			}
		}
	}
}

// awaitNextSecond returns in a later second than it was called in: some storages tell no more of their times.
func awaitNextSecond(tb testing.TB) {
	tb.Helper()
	for began := time.Now().Unix(); time.Now().Unix() == began; {
		time.Sleep(10 * time.Millisecond)
	}
}
