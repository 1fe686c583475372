package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/storage/s3"
)

func mustCopy(t testing.TB, src, dst *side, bucket string, o Object) Object {
	t.Helper()
	out, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{Absent: true}})
	if err != nil {
		t.Fatalf("copying %q: %v", o.Key, err)
	}
	return out
}

// checkCopy compares everything a copy promises.
func checkCopy(t testing.TB, r route, src, dst *side, bucket, key string, returned Object) {
	t.Helper()
	a, b := src.stat(bucket, key), dst.stat(bucket, key)
	if !bytes.Equal(src.read(bucket, key), dst.read(bucket, key)) {
		t.Errorf("%q: contents differ", key)
	}
	if a.Attributes != b.Attributes && !(strings.HasSuffix(key, "/") && dst.srv.Kind == testenv.KindVersityGW) { // its directories have no content type
		t.Errorf("%q: headers, metadata or tags differ:\n%v\n%v", key, src.headers(bucket, key), dst.headers(bucket, key))
	}
	if !b.Replica {
		t.Errorf("%q: not marked as a copy", key)
	}
	if got := Compare(a, b); got != Equal {
		t.Errorf("%q: Compare says %v for %+v and %+v", key, got, a, b)
	}
	if returned.ETag != b.ETag || returned.Size != b.Size || !sameVersion(returned.VersionID, b.VersionID) {
		t.Errorf("%q: Copy returned %+v, there is %+v", key, returned, b)
	}
	if r.preserves() {
		la, lb := src.listed(bucket, key), dst.listed(bucket, key)
		if a.VersionID != b.VersionID || la.ETag != lb.ETag || !la.LastModified.Equal(lb.LastModified) {
			t.Errorf("%q: not preserved: %+v %+v, %+v %+v", key, a, la, b, lb)
		}
	} else if b.Source.ETag != a.ETag || b.Source.VersionID != a.VersionID || b.Source.Size != a.Size {
		t.Errorf("%q: stamp %+v does not name %+v", key, b.Source, a)
	}
}

var oddKeys = []string{
	"plain", "with space", "plus+plus", "percent%20percent", "a/b/c", "ümläut/日本語/😀", "quote'\"`",
	"amp&<xml>;", "back\\slash", "a=b?c#d", "tilde~*()!@$,:", "trailing.", ".hidden", "dir/", "-dash", "star*",
	strings.Repeat("k", 200) + "/" + strings.Repeat("l", 200) + "/" + strings.Repeat("m", 200) + "/" +
		strings.Repeat("n", 200) + "/" + strings.Repeat("o", 220),
}

func TestCopyKeys(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		for _, key := range oddKeys {
			body := []byte("content of " + key)
			if strings.HasSuffix(key, "/") {
				body = nil // versitygw takes no content there
			}
			o := src.put(bucket, key, body, minio.PutObjectOptions{})
			checkCopy(t, r, src, dst, bucket, key, mustCopy(t, src, dst, bucket, o))
		}
		checkListing(t, src, bucket)
		checkListing(t, dst, bucket)
	})
}

func checkListing(t *testing.T, s *side, bucket string) {
	t.Helper()
	var got []string
	for o, err := range s.List(t.Context(), bucket, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Key)
	}
	want := slices.Sorted(slices.Values(oddKeys))
	if !slices.Equal(got, want) {
		t.Errorf("%s lists\n%q, want\n%q", s.Name(), got, want)
	}
}

func TestCopyRefusesKeysThatWouldChange(t *testing.T) {
	src, vers, mini := minioA.side(t), versA.side(t), minioB.side(t)
	bucket := newBucket(t, false, src, vers, mini)
	src.put(bucket, "a/b", []byte("x"), minio.PutObjectOptions{})
	vers.put(bucket, "a/b", []byte("mine"), minio.PutObjectOptions{})
	for _, key := range []string{"a//b", "/a", "a/./b", "a/../b", "bad\xff", strings.Repeat("x", 1025)} {
		for _, dst := range []*side{vers, mini} {
			o := Object{Key: key, Size: 1, ETag: "9dd4e461268c8034f5c8564e155c67a6"}
			_, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{})
			if !errors.Is(err, ErrRefused) {
				t.Errorf("%s: %q: want ErrRefused, got %v", dst.Name(), key, err)
			}
		}
	}
	dir := src.put(bucket, "dir/", []byte("content"), minio.PutObjectOptions{})
	if _, err := Copy(t.Context(), src, vers, bucket, dir, CopyOptions{}); !errors.Is(err, ErrRefused) {
		t.Errorf("dir/ with content: want ErrRefused, got %v", err)
	}
	if got := vers.read(bucket, "a/b"); string(got) != "mine" {
		t.Errorf("a/b became %q", got)
	}
}

func TestCopySizes(t *testing.T) {
	const part = s3.MinPart
	sizes := []int{0, 1, smallObject, smallObject + 1, part - 1, part, part + 1, 2 * part, 2*part + 1}
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		for _, size := range sizes {
			copySize(t, r, src, dst, bucket, size, minio.PutObjectOptions{DisableMultipart: true})
			if size > part {
				copySize(t, r, src, dst, bucket, size, minio.PutObjectOptions{PartSize: part})
			}
		}
		dst.mustHaveNoUploads(bucket)
	})
}

func copySize(t *testing.T, r route, src, dst *side, bucket string, size int, o minio.PutObjectOptions) {
	t.Helper()
	key := fmt.Sprintf("%d in parts of %d", size, o.PartSize)
	seen := src.put(bucket, key, random(size), o)
	out := mustCopy(t, src, dst, bucket, seen)
	checkCopy(t, r, src, dst, bucket, key, out)
	if out.ETag != seen.ETag {
		t.Errorf("%s: the parts did not stay: ETag %s became %s", key, seen.ETag, out.ETag)
	}
}

func TestCopyLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("200 MiB")
	}
	for i, r := range []route{routes[0], routes[2], routes[3]} {
		src, dst := r.from.side(t), r.to.side(t)
		o := minio.PutObjectOptions{PartSize: 16 << 20, DisableMultipart: i == 0}
		copySize(t, r, src, dst, newBucket(t, false, src, dst), 200<<20, o)
	}
}

// TestCopyInOwnParts is the way of objects whose parts the source does not tell.
func TestCopyInOwnParts(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		o := src.put(bucket, "key", random(20<<20), minio.PutObjectOptions{DisableMultipart: true})
		tr := newTransfer(job{src: src.conn, dst: dst.conn, bucket: bucket, obj: o, opts: CopyOptions{If: Condition{Absent: true}}})
		ctx, dog := s3.Watch(t.Context(), time.Minute)
		defer dog.Stop()
		tr.dog = dog
		if err := tr.prepare(ctx); err != nil {
			t.Fatal(err)
		}
		out, err := tr.copyParts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		checkCopy(t, r, src, dst, bucket, "key", out)
	})
}

func TestCopyAttributes(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		options := minio.PutObjectOptions{
			ContentType: "text/x-thing; charset=utf-8", ContentEncoding: "gzip", ContentDisposition: `attachment; filename="a b.txt"`,
			ContentLanguage: "de, en", CacheControl: "no-store, max-age=0", Expires: time.Now().Add(time.Hour),
			UserMetadata: map[string]string{"Plain": "value", "Spaces": "a  b", "Umlaut": "größe", "Comma": "a, b", "Empty": ""},
			UserTags:     map[string]string{"team": "a b", "odd": "x/y:z@._-", "plus": "1+1=2"},
		}
		for _, size := range []int{5, smallObject + 1, 2*s3.MinPart + 1} {
			o := options
			o.PartSize = s3.MinPart
			key := fmt.Sprint("key-", size)
			seen := src.put(bucket, key, random(size), o)
			checkCopy(t, r, src, dst, bucket, key, mustCopy(t, src, dst, bucket, seen))
			checkHeaders(t, src, dst, bucket, key)
		}
	})
}

// checkHeaders looks with another client's eyes: the digest in Attributes could err
// on both sides alike.
func checkHeaders(t *testing.T, src, dst *side, bucket, key string) {
	t.Helper()
	a, err := src.api.StatObject(t.Context(), src.Physical(bucket), key, minio.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := dst.api.StatObject(t.Context(), dst.Physical(bucket), key, minio.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Expires.IsZero() || !a.Expires.Equal(b.Expires) {
		t.Errorf("Expires: %v became %v", a.Expires, b.Expires)
	}
	for _, h := range []string{"Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control"} {
		was := a.Metadata.Get(h)
		if h == "Content-Encoding" {
			was = strings.TrimPrefix(was, "aws-chunked,") // versitygw keeps that of the upload
		}
		if was == "" || was != b.Metadata.Get(h) {
			t.Errorf("%s: %q became %q", h, was, b.Metadata.Get(h))
		}
	}
	for k, v := range a.UserMetadata {
		if b.UserMetadata[k] != v {
			t.Errorf("metadata %s: %q became %q", k, v, b.UserMetadata[k])
		}
	}
	ta, err := src.api.GetObjectTagging(t.Context(), src.Physical(bucket), key, minio.GetObjectTaggingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tb, err := dst.api.GetObjectTagging(t.Context(), dst.Physical(bucket), key, minio.GetObjectTaggingOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(ta.ToMap()) != 3 || fmt.Sprint(ta.ToMap()) != fmt.Sprint(tb.ToMap()) {
		t.Errorf("tags %v became %v", ta.ToMap(), tb.ToMap())
	}
}

// TestCopyFollowsAttributes: a change of tags alone makes no new version and no new
// ETag, and is a change all the same.
func TestCopyFollowsAttributes(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		seen := src.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{UserTags: map[string]string{"a": "1"}})
		first := mustCopy(t, src, dst, bucket, seen)
		tagging, err := tags.NewTags(map[string]string{"a": "2"}, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := src.api.PutObjectTagging(t.Context(), src.Physical(bucket), "key", tagging, minio.PutObjectTaggingOptions{}); err != nil {
			t.Fatal(err)
		}
		seen = src.stat(bucket, "key")
		if Compare(seen, dst.stat(bucket, "key")) != Different {
			t.Fatal("Compare does not see the tags")
		}
		out, err := Copy(t.Context(), src, dst, bucket, seen, CopyOptions{If: Condition{IfETag: first.ETag}})
		if err != nil {
			t.Fatal(err)
		}
		checkCopy(t, r, src, dst, bucket, "key", out)
	})
}

// copyAgain copies as replication does: again when the storage was unavailable for a
// moment. A server that refuses a PUT before it has read the body closes the
// connection, and may do so only when the next request is on its way.
func copyAgain(t *testing.T, src, dst *side, bucket string, o Object, opts CopyOptions) (out Object, err error) {
	t.Helper()
	for range 5 {
		if out, err = Copy(t.Context(), src, dst, bucket, o, opts); !errors.Is(err, ErrUnavailable) {
			break
		}
	}
	return out, err
}

func TestCopyConditions(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		for _, size := range []int{5, smallObject + 1, 2*s3.MinPart + 1} {
			key := fmt.Sprint("key-", size)
			parts := minio.PutObjectOptions{PartSize: s3.MinPart}
			v1 := src.put(bucket, key, random(size), parts)
			theirs := dst.put(bucket, key, []byte("someone else's"), parts)

			refused := func(c Condition) {
				t.Helper()
				_, err := copyAgain(t, src, dst, bucket, v1, CopyOptions{If: c})
				if !errors.Is(err, ErrPrecondition) {
					t.Errorf("%s, %+v: want ErrPrecondition, got %v", key, c, err)
				}
				if got := dst.read(bucket, key); string(got) != "someone else's" {
					t.Fatalf("%s, %+v: overwritten", key, c)
				}
				dst.mustHaveNoUploads(bucket)
			}
			refused(Condition{Absent: true})
			refused(Condition{IfETag: "00000000000000000000000000000000"})

			// Adopted: what was seen there may be replaced, though it is newer.
			out, err := copyAgain(t, src, dst, bucket, v1, CopyOptions{If: Condition{IfETag: theirs.ETag}})
			if err != nil {
				t.Fatal(err)
			}
			if now := dst.stat(bucket, key); now.ETag != out.ETag || Compare(v1, now) != Equal {
				t.Errorf("%s: the copy is not what is read there: %+v, %+v", key, out, now)
			}

			// The next version follows, on condition of the first.
			v2 := src.put(bucket, key, random(size+1), parts)
			if out, err = copyAgain(t, src, dst, bucket, v2, CopyOptions{If: Condition{IfETag: out.ETag}}); err != nil {
				t.Fatal(err)
			}
			checkCopy(t, r, src, dst, bucket, key, out)
		}
	})
}

func TestCopyOverNothingWithIfMatch(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		o := src.put(bucket, "key", []byte("x"), minio.PutObjectOptions{})
		_, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{IfETag: "00000000000000000000000000000000"}})
		if dst.srv.Kind == testenv.KindMinIO && !(r.versions && r.preserves()) {
			// MinIO lets writes marked as a replica's pass here; see the package comment.
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if !errors.Is(err, ErrPrecondition) {
			t.Fatalf("want ErrPrecondition, got %v", err)
		}
		dst.mustNotHave(bucket, "key")
	})
}

func TestCopySourceIsAnother(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		for _, size := range []int{0, 5, 2*s3.MinPart + 1} {
			o := src.put(bucket, "key", random(size), minio.PutObjectOptions{PartSize: s3.MinPart})
			src.put(bucket, "key", []byte("changed"), minio.PutObjectOptions{})
			if _, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{}); !errors.Is(err, ErrPrecondition) {
				t.Errorf("overwritten: want ErrPrecondition, got %v", err)
			}
			if err := src.Delete(t.Context(), bucket, "key", ""); err != nil {
				t.Fatal(err)
			}
			if _, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{}); !errors.Is(err, ErrPrecondition) {
				t.Errorf("deleted: want ErrPrecondition, got %v", err)
			}
			dst.mustNotHave(bucket, "key")
		}
	})
}

// TestCopySourceChangesMeanwhile overwrites the source once the first part moves:
// parts opened later are not its parts any more.
func TestCopySourceChangesMeanwhile(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		o := src.put(bucket, "key", random((partWorkers+3)*s3.MinPart), minio.PutObjectOptions{PartSize: s3.MinPart})
		var once sync.Once
		_, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{Progress: func(int64) {
			once.Do(func() { src.put(bucket, "key", []byte("changed"), minio.PutObjectOptions{}) })
		}})
		if !errors.Is(err, ErrPrecondition) {
			t.Errorf("want ErrPrecondition, got %v", err)
		}
		dst.mustNotHave(bucket, "key")
	})
}

// TestPartsShareStreams: an object's parts get on while others have all the streams that are
// shared, and leave none taken.
func TestPartsShareStreams(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		o := src.put(bucket, "key", random((ownStreams+3)*s3.MinPart), minio.PutObjectOptions{PartSize: s3.MinPart})
		for _, taken := range []int{cap(dst.streams), 0, cap(dst.streams) - 1} {
			for range taken {
				dst.streams <- struct{}{}
			}
			if _, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{}); err != nil {
				t.Fatalf("with %d streams taken: %v", taken, err)
			}
			if len(dst.streams) != taken {
				t.Errorf("%d streams are taken, %d were", len(dst.streams), taken)
			}
			for range taken {
				<-dst.streams
			}
		}
	})
}

// TestCopyCut breaks connections in the middle of bodies, on either side.
func TestCopyCut(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		srcProxy, dstProxy := testenv.StartProxy(t, src.srv.Endpoint), testenv.StartProxy(t, dst.srv.Endpoint)
		from, to := open(t, src.srv, srcProxy.Endpoint()), open(t, dst.srv, dstProxy.Endpoint())
		for _, size := range []int{600 << 10, 3 << 20} {
			o := src.put(bucket, "key", random(size), minio.PutObjectOptions{DisableMultipart: true})
			for _, cut := range []func(){
				func() { srcProxy.CutAfter(testenv.Down, 300<<10) },
				func() { dstProxy.CutAfter(testenv.Up, 300<<10) },
			} {
				cut()
				_, err := Copy(t.Context(), from, to, bucket, o, CopyOptions{})
				if err == nil {
					t.Fatal("a cut copy succeeded")
				}
				if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRefused) || errors.Is(err, ErrUnsupported) {
					t.Errorf("want ErrUnavailable, got %v", err)
				}
				dst.mustNotHave(bucket, "key")
			}
			if _, err := Copy(t.Context(), from, to, bucket, o, CopyOptions{}); err != nil {
				t.Fatalf("after the cuts: %v", err)
			}
			if err := dst.DeleteAllVersions(t.Context(), bucket, "key"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestCopyPartsSurviveCuts: a part that the network failed is sent again.
func TestCopyPartsSurviveCuts(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		srcProxy, dstProxy := testenv.StartProxy(t, src.srv.Endpoint), testenv.StartProxy(t, dst.srv.Endpoint)
		from, to := open(t, src.srv, srcProxy.Endpoint()), open(t, dst.srv, dstProxy.Endpoint())
		o := src.put(bucket, "key", random(6*s3.MinPart), minio.PutObjectOptions{PartSize: s3.MinPart})
		var moved int64
		var mu sync.Mutex
		out, err := Copy(t.Context(), from, to, bucket, o, CopyOptions{Progress: func(n int64) {
			mu.Lock()
			defer mu.Unlock()
			before := moved
			moved += n
			if before < 8<<20 && moved >= 8<<20 {
				dstProxy.Cut()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if moved <= o.Size {
			t.Error("nothing was sent again: the test tests nothing")
		}
		checkCopy(t, r, src, dst, bucket, "key", out)
	})
}

func TestCopyEndsWithItsContext(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		o := src.put(bucket, "key", random(4*s3.MinPart), minio.PutObjectOptions{PartSize: s3.MinPart})
		ctx, cancel := context.WithCancel(t.Context())
		var once sync.Once
		_, err := Copy(ctx, src, dst, bucket, o, CopyOptions{Progress: func(int64) { once.Do(cancel) }})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("want context.Canceled, got %v", err)
		}
		dst.mustNotHave(bucket, "key")
	})
}

// TestCopyStalls: a transfer on which no byte moves ends, without a deadline of the
// caller's.
func TestCopyStalls(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, false, src, dst)
	proxy := testenv.StartProxy(t, src.srv.Endpoint)
	from := open(t, src.srv, proxy.Endpoint())
	from.wire.Waits.Stall = 200 * time.Millisecond
	o := src.put(bucket, "key", random(8<<20), minio.PutObjectOptions{DisableMultipart: true})
	var once sync.Once
	_, err := Copy(t.Context(), from, dst, bucket, o, CopyOptions{Progress: func(int64) { once.Do(func() { proxy.Hang(true) }) }})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no byte moved") {
		t.Errorf("want a stall, got %v", err)
	}
	dst.mustNotHave(bucket, "key")
}

// TestCopyLimitIsNoStall: waiting for bandwidth is not hanging, however long it takes; what
// follows has its whole time.
func TestCopyLimitIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stall = time.Minute
		ctx, dog := s3.Watch(t.Context(), stall)
		defer dog.Stop()
		asked := 0
		s := &sourceReader{ctx: ctx, t: &transfer{job: job{dog: dog, opts: CopyOptions{Limit: func(ctx context.Context, n int) error {
			asked += n
			time.Sleep(10 * stall)
			return ctx.Err()
		}}}}}
		if err := s.account(5); err != nil || asked != 5 {
			t.Errorf("asked for %d bytes: %v", asked, err)
		}
		time.Sleep(stall - time.Second)
		if ctx.Err() != nil {
			t.Errorf("it ended with %v", context.Cause(ctx))
		}
		time.Sleep(stall)
		if !errors.Is(context.Cause(ctx), s3.ErrStalled) {
			t.Errorf("a transfer that hangs afterwards: %v, want %v", context.Cause(ctx), s3.ErrStalled)
		}
	})
}

// TestCopyOlderThanTheMarker: a deletion that is newer than the source's object by
// the storages' clocks must not hide the copy.
func TestCopyOlderThanTheMarker(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, src, dst)
	o := src.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{})
	dst.put(bucket, "key", []byte("other"), minio.PutObjectOptions{})
	if err := dst.api.RemoveObject(t.Context(), dst.Physical(bucket), "key", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	out := mustCopy(t, src, dst, bucket, o)
	if got := dst.stat(bucket, "key"); got.VersionID != out.VersionID || Compare(o, got) != Equal {
		t.Errorf("there is %+v, Copy returned %+v", got, out)
	}
}

// TestCopyKeepsForeignVersionOnTop: on a versioned MinIO, what someone writes between
// the look and the write stays, and stays current.
func TestCopyKeepsForeignVersionOnTop(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, src, dst)
	o := src.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{})
	var once sync.Once
	_, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{
		If: Condition{Absent: true},
		Progress: func(int64) { // after the look at dst, before the write
			once.Do(func() { dst.put(bucket, "key", []byte("theirs"), minio.PutObjectOptions{}) })
		},
	})
	if err != nil && !errors.Is(err, ErrPrecondition) {
		t.Fatal(err)
	}
	if got := dst.read(bucket, "key"); string(got) != "theirs" {
		t.Errorf("current is %q", got)
	}
}

// TestCopyToSuspended: a bucket whose versioning is suspended keeps its versions and
// adds null ones.
func TestCopyToSuspended(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, src, dst)
	old := dst.put(bucket, "key", []byte("theirs"), minio.PutObjectOptions{})
	if err := dst.api.SuspendVersioning(t.Context(), dst.Physical(bucket)); err != nil {
		t.Fatal(err)
	}
	forgetVersioning(dst.conn, dst.Physical(bucket))
	o := src.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{})
	if _, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{Absent: true}}); !errors.Is(err, ErrPrecondition) {
		t.Errorf("want ErrPrecondition, got %v", err)
	}
	out, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{IfETag: old.ETag}})
	if err != nil {
		t.Fatal(err)
	}
	if now := dst.stat(bucket, "key"); now.ETag != out.ETag || Compare(o, now) != Equal || !now.Replica {
		t.Errorf("there is %+v, Copy returned %+v", now, out)
	}
	vs, err := versionsOf(t.Context(), dst.conn, bucket, "key", 0)
	if err != nil || len(vs) != 2 || vs[1].ID != old.VersionID {
		t.Errorf("versions: %+v, %v", vs, err)
	}
	other := src.put(bucket, "other", []byte("hello"), minio.PutObjectOptions{})
	mustCopy(t, src, dst, bucket, other)
	if now := dst.stat(bucket, "other"); Compare(other, now) != Equal {
		t.Errorf("there is %+v", now)
	}
}

// TestCopyWhenVersioningChanged: what is remembered of a bucket may be out of
// date; then the copy fails once and not for good.
func TestCopyWhenVersioningChanged(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, src, dst)
	o := src.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{})
	dst.versioning[dst.Physical(bucket)] = versioningEntry{VersioningOff, time.Now().Add(time.Hour)}
	if _, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{Absent: true}}); err != nil {
		t.Errorf("taken for unversioned: %v", err)
	}
	plain := newBucket(t, false, dst)
	if made, err := src.EnsureBucket(t.Context(), plain, true); err != nil || !made {
		t.Fatal(made, err)
	}
	o = src.put(plain, "key", []byte("hello"), minio.PutObjectOptions{})
	dst.versioning[dst.Physical(plain)] = versioningEntry{VersioningOn, time.Now().Add(time.Hour)}
	if _, err := Copy(t.Context(), src, dst, plain, o, CopyOptions{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("taken for versioned: want ErrUnavailable, got %v", err)
	}
	mustCopy(t, src, dst, plain, o)
}

// TestCopyRepeated: a copy that was made already, its answer lost, is no fault.
func TestCopyRepeated(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		for _, size := range []int{5, 2*s3.MinPart + 1} {
			key := fmt.Sprint("key-", size)
			o := src.put(bucket, key, random(size), minio.PutObjectOptions{PartSize: s3.MinPart})
			first := mustCopy(t, src, dst, bucket, o)
			again, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{If: Condition{IfETag: first.ETag}})
			if err != nil {
				t.Fatal(err)
			}
			checkCopy(t, r, src, dst, bucket, key, again)
		}
	})
}

func TestCopyErrorsTellWhere(t *testing.T) {
	src, dst := minioA.side(t), versA.side(t)
	bucket := newBucket(t, false, src)
	o := src.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{})
	_, err := Copy(t.Context(), src, dst, bucket, o, CopyOptions{})
	if !errors.Is(err, ErrNoBucket) || At(err) != dst.Name() {
		t.Errorf("want ErrNoBucket at %s, got %v at %q", dst.Name(), err, At(err))
	}
	other := newBucket(t, false, dst)
	_, err = Copy(t.Context(), src, dst, other, o, CopyOptions{})
	if !errors.Is(err, ErrNoBucket) || At(err) != src.Name() {
		t.Errorf("want ErrNoBucket at %s, got %v at %q", src.Name(), err, At(err))
	}
}

// corrupting passes requests on to a server and flips one byte of every body of more
// than a kilobyte, in one direction.
func corrupting(t *testing.T, s *side, dir testenv.Direction) *whole {
	t.Helper()
	target, err := url.Parse(s.srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
			if dir == testenv.Up && r.Out.Method == http.MethodPut && r.Out.ContentLength > 1024 {
				r.Out.Body = &flipper{ReadCloser: r.Out.Body}
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if dir == testenv.Down && r.Request.Method == http.MethodGet && r.Header.Get("ETag") != "" {
				r.Body = &flipper{ReadCloser: r.Body}
			}
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0), Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	return open(t, s.srv, srv.URL)
}

type flipper struct {
	io.ReadCloser
	passed int
}

func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if at := 1000 - f.passed; at >= 0 && at < n {
		p[at] ^= 1
	}
	f.passed += n
	return n, err
}

// TestCopyCorrupted: content that changes on the way is noticed, and does not stay.
func TestCopyCorrupted(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		for name, c := range map[string]struct {
			from Reader
			to   Writer
		}{
			"from the source":    {corrupting(t, src, testenv.Down), dst},
			"to the destination": {src, corrupting(t, dst, testenv.Up)},
		} {
			for _, size := range []int{4 << 10, smallObject + 1, 2*s3.MinPart + 1} {
				o := src.put(bucket, "key", random(size), minio.PutObjectOptions{PartSize: s3.MinPart})
				_, err := Copy(t.Context(), c.from, c.to, bucket, o, CopyOptions{})
				// A server that has seen enough of a body hangs up, and what is still being sent can
				// fail before its answer is read: the copy is made again then, as jobs do.
				for range 9 {
					if !errors.Is(err, ErrUnavailable) {
						break
					}
					dst.mustNotHave(bucket, "key")
					_, err = Copy(t.Context(), c.from, c.to, bucket, o, CopyOptions{})
				}
				if !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s, %d bytes: want ErrCorrupt, got %v", name, size, err)
				}
				dst.mustNotHave(bucket, "key")
			}
		}
	})
}

// TestCopyOwnPartsCorrupted: where the source's ETag can't tell, the checksum that is
// sent along protects the way to the destination.
func TestCopyOwnPartsCorrupted(t *testing.T) {
	onRoutes(t, func(t *testing.T, r route, src, dst *side, bucket string) {
		o := src.put(bucket, "key", random(20<<20), minio.PutObjectOptions{DisableMultipart: true})
		to := corrupting(t, dst, testenv.Up)
		ctx, dog := s3.Watch(t.Context(), time.Minute)
		defer dog.Stop()
		tr := newTransfer(job{src: src.conn, dst: to.conn, bucket: bucket, obj: o, dog: dog})
		if err := tr.prepare(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.copyParts(ctx); !errors.Is(err, ErrCorrupt) {
			t.Errorf("want ErrCorrupt, got %v", err)
		}
		dst.mustNotHave(bucket, "key")
	})
}

// TestCopyMemoryIsBounded holds the heap to 64 MiB over a copy of 200 MiB. The servers
// are other processes; the source's content is written in a stream.
func TestCopyMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("200 MiB")
	}
	const size = 200 << 20
	for _, opts := range []minio.PutObjectOptions{{DisableMultipart: true}, {PartSize: 16 << 20}} {
		src, dst := minioA.side(t), versA.side(t)
		bucket := newBucket(t, false, src, dst)
		_, err := src.api.PutObject(t.Context(), src.Physical(bucket), "key", io.LimitReader(zeroes{}, size), size, opts)
		if err != nil {
			t.Fatal(err)
		}
		o := src.stat(bucket, "key")
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		var peak, calls atomic.Uint64
		_, err = Copy(t.Context(), src, dst, bucket, o, CopyOptions{Progress: func(int64) {
			if calls.Add(1)%200 == 0 {
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				peak.Store(max(peak.Load(), now.HeapAlloc))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if grown := int64(peak.Load()) - int64(before.HeapAlloc); grown > 64<<20 {
			t.Errorf("%+v: the heap grew by %d MiB", opts, grown>>20)
		}
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }
