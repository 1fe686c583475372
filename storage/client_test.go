package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/storage/s3"
)

// both runs a test on a MinIO and a versitygw.
func both(t *testing.T, f func(t *testing.T, s *side)) {
	t.Helper()
	for name, l := range map[string]lazy{"minio": minioA, "versitygw": versA} {
		t.Run(name, func(t *testing.T) { f(t, l.side(t)) })
	}
}

// fake returns a client of a server of the test's own.
func fake(t *testing.T, h http.HandlerFunc) *whole {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := openWhole(Config{Name: "fake", Endpoint: srv.URL, AccessKey: "the-access-key", SecretKey: "the-secret-key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestOpenRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{
		{Endpoint: ""},
		{Endpoint: "127.0.0.1:9000"},
		{Endpoint: "ftp://host"},
		{Endpoint: "http://"},
		{Endpoint: "https://host", CAFile: "/nowhere"},
		{Endpoint: "https://host", CAFile: empty},
	} {
		if c, err := openWhole(cfg); err == nil {
			t.Errorf("%+v: opened %v", cfg, c.Name())
		}
	}
}

func TestTLS(t *testing.T) {
	dir, ca := testenv.Certs(t)
	srv := testenv.VersityGW(t, testenv.Options{CertsDir: dir})
	cfg := Config{Endpoint: srv.Endpoint, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey}
	ping := func(cfg Config) error {
		c, err := openWhole(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.Ping(t.Context())
	}
	if err := ping(cfg); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown CA: %v", err)
	}
	withCA, insecure := cfg, cfg
	withCA.CAFile, insecure.InsecureSkipVerify = ca, true
	if err := ping(withCA); err != nil {
		t.Errorf("with ca_file: %v", err)
	}
	if err := ping(insecure); err != nil {
		t.Errorf("insecure: %v", err)
	}
}

func TestBuckets(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		ctx := t.Context()
		const name = "made-here"
		if ok, err := s.BucketExists(ctx, name); ok || err != nil {
			t.Fatalf("before: %v, %v", ok, err)
		}
		if err := s.RemoveBucket(ctx, name); !errors.Is(err, ErrNoBucket) {
			t.Errorf("removing what is not there: %v", err)
		}
		if made, err := s.EnsureBucket(ctx, name, false); !made || err != nil {
			t.Fatalf("making: %v, %v", made, err)
		}
		if v, err := Versioned(ctx, s, name); v || err != nil {
			t.Errorf("versioned: %v, %v", v, err)
		}
		if made, err := s.EnsureBucket(ctx, name, true); made || err != nil {
			t.Fatalf("again: %v, %v", made, err)
		}
		if v, err := Versioned(ctx, s, name); !v || err != nil {
			t.Errorf("versioned: %v, %v", v, err)
		}
		if made, err := s.EnsureBucket(ctx, name, false); made || err != nil {
			t.Fatalf("third: %v, %v", made, err)
		}
		if v, _ := Versioned(ctx, s, name); !v {
			t.Error("versioning was switched off")
		}
		s.put(name, "key", []byte("x"), minio.PutObjectOptions{})
		if err := s.RemoveBucket(ctx, name); !errors.Is(err, ErrPrecondition) {
			t.Errorf("removing a full bucket: %v", err)
		}
		if err := s.DeleteAllVersions(ctx, name, "key"); err != nil {
			t.Fatal(err)
		}
		if err := s.RemoveBucket(ctx, name); err != nil {
			t.Error(err)
		}
		if ok, err := s.BucketExists(ctx, name); ok || err != nil {
			t.Errorf("after: %v, %v", ok, err)
		}
	})
}

func TestStatTellsWhatIsMissing(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		bucket := newBucket(t, true, s)
		if _, err := s.Stat(t.Context(), bucket, "nothing"); !errors.Is(err, ErrNotFound) {
			t.Errorf("want ErrNotFound, got %v", err)
		}
		if _, err := s.Stat(t.Context(), "nowhere", "nothing"); !errors.Is(err, ErrNoBucket) {
			t.Errorf("want ErrNoBucket, got %v", err)
		}
		s.put(bucket, "key", []byte("x"), minio.PutObjectOptions{})
		if err := s.api.RemoveObject(t.Context(), s.Physical(bucket), "key", minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Stat(t.Context(), bucket, "key"); !errors.Is(err, ErrNotFound) {
			t.Errorf("under a marker: want ErrNotFound, got %v", err)
		}
		if _, _, _, err := s.Page(t.Context(), "nowhere", "", "", "", 10); !errors.Is(err, ErrNoBucket) {
			t.Errorf("listing: want ErrNoBucket, got %v", err)
		}
	})
}

// A key that the storage takes for another one is not there: nobody is told of that other one.
func TestStatOfAnotherName(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		bucket := newBucket(t, false, s)
		s.put(bucket, "a", []byte("x"), minio.PutObjectOptions{})
		if _, err := s.Stat(t.Context(), bucket, "a"); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"/a", "//a", "./a", "x/../a", "/x/../a"} {
			if o, err := s.Stat(t.Context(), bucket, key); !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %+v, %v, want ErrNotFound", key, o, err)
			}
		}
	})
}

func TestWrongCredentials(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		bucket := newBucket(t, false, s)
		o := s.put(bucket, "key", []byte("x"), minio.PutObjectOptions{})
		for _, keys := range [][2]string{{s.srv.AccessKey, "wrong-secret"}, {"nobody", "wrong-secret"}} {
			c, err := openWhole(Config{Name: "c", Endpoint: s.srv.Endpoint, AccessKey: keys[0], SecretKey: keys[1], BucketPrefix: "pre-"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, statErr := c.Stat(t.Context(), bucket, "key")
			_, probeErr := c.Probe(t.Context(), bucket)
			_, existsErr := c.BucketExists(t.Context(), bucket)
			_, ensureErr := c.EnsureBucket(t.Context(), "new-one", false)
			_, copyErr := Copy(t.Context(), c, s, bucket, o, CopyOptions{})
			_, copyToErr := Copy(t.Context(), s, c, bucket, o, CopyOptions{})
			deleteErr := c.Delete(t.Context(), bucket, "key", o.ETag)
			for i, err := range []error{c.Ping(t.Context()), statErr, probeErr, existsErr, ensureErr, copyErr, copyToErr, deleteErr} {
				if !errors.Is(err, ErrDenied) {
					t.Errorf("%d: want ErrDenied, got %v", i, err)
				} else if strings.Contains(err.Error(), keys[1]) || strings.Contains(err.Error(), keys[0]) {
					t.Errorf("%d: the error tells a key: %v", i, err)
				}
			}
		}
	})
}

// TestStrangersAreNoEvidence: what is not S3's answer proves nothing, whatever its
// status; above all it does not prove that an object is gone.
func TestStrangersAreNoEvidence(t *testing.T) {
	const page = "<!DOCTYPE html><html><body>the-secret-key</body></html>"
	for _, status := range []int{200, 204, 301, 404, 400, 500, 502, 503} {
		c := fake(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			if status != 204 {
				_, _ = w.Write([]byte(page))
			}
		})
		_, statErr := c.Stat(t.Context(), "bucket", "key")
		_, existsErr := c.BucketExists(t.Context(), "bucket")
		_, _, _, pageErr := c.Page(t.Context(), "bucket", "", "", "", 0)
		_, probeErr := c.Probe(t.Context(), "")
		_, copyErr := Copy(t.Context(), c, c, "bucket", Object{Key: "key", ETag: "x", Size: 5}, CopyOptions{})
		for i, err := range []error{statErr, existsErr, pageErr, probeErr, c.Ping(t.Context()), copyErr} {
			if !errors.Is(err, ErrUnavailable) && !(i == 5 && errors.Is(err, ErrPrecondition)) {
				t.Errorf("status %d, call %d: want ErrUnavailable, got %v", status, i, err)
			}
			if err != nil && (strings.Contains(err.Error(), "the-secret-key") || len(err.Error()) > 400) {
				t.Errorf("status %d, call %d: the error is %q", status, i, err)
			}
		}
	}
}

// TestEverythingIsBounded: a server that takes requests and never answers costs a
// bounded time, without a deadline of the caller's.
func TestEverythingIsBounded(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		bucket := newBucket(t, false, s)
		o := s.put(bucket, "key", []byte("hello"), minio.PutObjectOptions{})
		proxy := testenv.StartProxy(t, s.srv.Endpoint)
		hanging := open(t, s.srv, proxy.Endpoint())
		if err := hanging.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		hanging.wire.Waits.Answer, hanging.wire.Waits.Stall = 100*time.Millisecond, 100*time.Millisecond
		proxy.Hang(true)
		_, statErr := hanging.Stat(t.Context(), bucket, "key")
		_, existsErr := hanging.BucketExists(t.Context(), bucket)
		_, ensureErr := hanging.EnsureBucket(t.Context(), bucket, true)
		_, copyErr := Copy(t.Context(), hanging, s, bucket, o, CopyOptions{})
		var listErr error
		for _, listErr = range hanging.List(t.Context(), bucket, "", "") {
		}
		for i, err := range []error{
			hanging.Ping(t.Context()), statErr, existsErr, ensureErr, copyErr, listErr,
			hanging.Delete(t.Context(), bucket, "key", "x"), hanging.DeleteAllVersions(t.Context(), bucket, "key"),
		} {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("%d: want ErrUnavailable, got %v", i, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		hanging.wire.Waits.Answer = time.Hour
		if err := hanging.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("a deadline: %v", err)
		}
	})
}

func TestRefusedConnections(t *testing.T) {
	s := versA.side(t)
	proxy := testenv.StartProxy(t, s.srv.Endpoint)
	c := open(t, s.srv, proxy.Endpoint())
	if err := proxy.Refuse(true); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	proxy.Heal()
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}

func TestListPages(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		bucket := newBucket(t, false, s)
		const n = 2*s3.PageSize + 3
		want := make([]string, n)
		ctx := t.Context()
		var wg sync.WaitGroup
		slots := make(chan struct{}, 16)
		for i := range want {
			want[i] = fmt.Sprintf("dir %04d/k+%%", i)
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				q := &s3.Request{Method: http.MethodPut, Bucket: s.Physical(bucket), Key: want[i]}
				if _, err := s.wire.Call(ctx, q); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		collect := func(prefix, after string) (got []string) {
			for o, err := range s.List(ctx, bucket, prefix, after) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, o.Key)
			}
			return got
		}
		if got := collect("", ""); !slices.Equal(got, want) {
			t.Errorf("listed %d keys of %d", len(got), n)
		}
		if got := collect("", want[1500]); !slices.Equal(got, want[1501:]) {
			t.Errorf("after %q: %d keys", want[1500], len(got))
		}
		if got := collect("dir 1", ""); !slices.Equal(got, want[1000:2000]) {
			t.Errorf("below a prefix: %d keys", len(got))
		}
		count := 0
		for range s.List(ctx, bucket, "", "") { // stopping early leaves nothing running
			if count++; count == 5 {
				break
			}
		}
	})
}

func TestPageWithDelimiter(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		bucket := newBucket(t, false, s)
		for _, k := range []string{"a", "b/1", "b/2", "c", "d/1", "d/2/3", "e"} {
			s.put(bucket, k, []byte("x"), minio.PutObjectOptions{})
		}
		var got []string
		for after := ""; ; {
			objs, prefixes, next, err := s.Page(t.Context(), bucket, "", "/", after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objs {
				got = append(got, o.Key)
			}
			got = append(got, prefixes...)
			if len(objs)+len(prefixes) > 2 {
				t.Errorf("a page of %d", len(objs)+len(prefixes))
			}
			if next == "" {
				break
			}
			after = next
		}
		slices.Sort(got)
		if want := []string{"a", "b/", "c", "d/", "e"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestListDetectsDisorder(t *testing.T) {
	for name, pages := range map[string][]string{
		"within a page":  {"a,c,b"},
		"between pages":  {"a,c", "b,d"},
		"a key repeated": {"a,b", "b,c"},
	} {
		served := 0
		c := fake(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><EncodingType>url</EncodingType>`)
			for k := range strings.SplitSeq(pages[served], ",") {
				fmt.Fprintf(w, `<Contents><Key>%s</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>"e"</ETag><Size>1</Size></Contents>`, k)
			}
			if served++; served < len(pages) {
				fmt.Fprint(w, `<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>`)
			}
			fmt.Fprint(w, `</ListBucketResult>`)
		})
		var last error
		for _, err := range c.List(t.Context(), "bucket", "", "") {
			last = err
		}
		if !errors.Is(last, ErrCorrupt) {
			t.Errorf("%s: want ErrCorrupt, got %v", name, last)
		}
	}
}

func TestListRefusesToBreakOff(t *testing.T) {
	c := fake(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<?xml version="1.0"?><ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>`)
	})
	var last error
	for _, err := range c.List(t.Context(), "bucket", "", "") {
		last = err
	}
	if last == nil {
		t.Error("a listing that breaks off was taken for a whole one")
	}
}

func TestDelete(t *testing.T) {
	for _, versions := range []bool{false, true} {
		both(t, func(t *testing.T, s *side) {
			ctx := t.Context()
			bucket := newBucket(t, versions, s)
			if err := s.Delete(ctx, bucket, "nothing", ""); err != nil {
				t.Errorf("what is not there: %v", err)
			}
			if err := s.Delete(ctx, bucket, "nothing", "00000000000000000000000000000000"); err != nil {
				t.Errorf("what is not there, conditional: %v", err)
			}
			o := s.put(bucket, "key +%", []byte("x"), minio.PutObjectOptions{})
			if err := s.Delete(ctx, bucket, o.Key, "00000000000000000000000000000000"); !errors.Is(err, ErrPrecondition) {
				t.Errorf("another ETag: want ErrPrecondition, got %v", err)
			}
			s.stat(bucket, o.Key)
			if err := s.Delete(ctx, bucket, o.Key, o.ETag); err != nil {
				t.Fatal(err)
			}
			s.mustNotHave(bucket, o.Key)
			vs, err := versionsOf(ctx, s.conn, bucket, o.Key, 0)
			if err != nil || len(vs) != map[bool]int{false: 0, true: 2}[versions] {
				t.Errorf("versions left: %+v, %v", vs, err)
			}
			s.put(bucket, o.Key, []byte("again"), minio.PutObjectOptions{})
			if got := s.read(bucket, o.Key); string(got) != "again" {
				t.Errorf("read %q", got)
			}
			s.put(bucket, o.Key+"2", []byte("neighbour"), minio.PutObjectOptions{})
			if err := s.DeleteAllVersions(ctx, bucket, o.Key); err != nil {
				t.Fatal(err)
			}
			if vs, err = versionsOf(ctx, s.conn, bucket, o.Key, 0); err != nil || len(vs) != 0 {
				t.Errorf("versions left: %+v, %v", vs, err)
			}
			s.stat(bucket, o.Key+"2")
		})
	}
}

// TestDeleteThenCopy: what is written at the source right after a deletion was
// replicated must come on top of the marker.
func TestDeleteThenCopy(t *testing.T) {
	src, dst := minioA.side(t), minioB.side(t)
	bucket := newBucket(t, true, src, dst)
	for i := range 20 {
		o := src.put(bucket, "key", fmt.Appendf(nil, "v%d", i), minio.PutObjectOptions{})
		out := mustCopy(t, src, dst, bucket, o)
		if err := dst.Delete(t.Context(), bucket, "key", out.ETag); err != nil {
			t.Fatal(err)
		}
		dst.mustNotHave(bucket, "key")
		again := src.put(bucket, "key", fmt.Appendf(nil, "w%d", i), minio.PutObjectOptions{})
		out = mustCopy(t, src, dst, bucket, again)
		if got := dst.stat(bucket, "key"); got.VersionID != out.VersionID {
			t.Fatalf("%d: there is %+v, Copy returned %+v", i, got, out)
		}
		if err := dst.Delete(t.Context(), bucket, "key", out.ETag); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDeleteManyVersions(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		bucket := newBucket(t, true, s)
		for range 30 {
			s.put(bucket, "key", []byte("x"), minio.PutObjectOptions{})
		}
		if err := s.DeleteAllVersions(t.Context(), bucket, "key"); err != nil {
			t.Fatal(err)
		}
		if vs, err := versionsOf(t.Context(), s.conn, bucket, "key", 0); err != nil || len(vs) != 0 {
			t.Errorf("%d versions left, %v", len(vs), err)
		}
	})
}

func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		lazy
		want Capabilities
	}{
		"minio": {minioA, Capabilities{
			Provider: "MinIO", Versioning: true, Notifications: true, Tags: true, ConditionalPut: true, PreserveVersion: true,
			Checksums: true, SortedList: true, Multipart: s3Multipart,
		}},
		"versitygw": {versA, Capabilities{
			Provider: "versitygw", Versioning: true, Tags: true, ConditionalPut: true, ConditionalDelete: true,
			Checksums: true, SortedList: true, Multipart: s3Multipart,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.side(t)
			bucket := newBucket(t, false, s)
			if _, ok := s.Capabilities(); ok {
				t.Error("capabilities before a probe")
			}
			for _, b := range []string{bucket, bucket} {
				got, err := s.Probe(t.Context(), b)
				if err != nil || got != c.want {
					t.Errorf("got %+v, %v", got, err)
				}
				if objs, _, _, err := s.Page(t.Context(), bucket, "", "", "", 10); err != nil || len(objs) > 1 {
					t.Errorf("the probe left %v, %v", objs, err)
				}
				s.put(bucket, "key", []byte("x"), minio.PutObjectOptions{})
				s.mustHaveNoUploads(bucket)
			}
			if got, ok := s.Capabilities(); !ok || got != c.want {
				t.Errorf("remembered %+v, %v", got, ok)
			}
			if got := s.read(bucket, "key"); string(got) != "x" {
				t.Errorf("the probe changed an object: %q", got)
			}
		})
	}
}

// TestHonoursConditionsIsHarmless: the question whether conditional writes are
// honoured is put so that no answer changes anything.
func TestHonoursConditionsIsHarmless(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		bucket := newBucket(t, false, s)
		o := s.put(bucket, "key", []byte("x"), minio.PutObjectOptions{})
		t.Logf("told apart: %v", honoursConditions(t.Context(), s.conn, s.Physical(bucket), "key"))
		if now := s.listed(bucket, "key"); !now.LastModified.Equal(s.listed(bucket, "key").LastModified) || now.ETag != o.ETag {
			t.Error("the object changed")
		}
		s.mustHaveNoUploads(bucket)
	})
}

// TestPingWithFewRights: keys that may not list buckets may still be what is wanted.
func TestPingWithFewRights(t *testing.T) {
	for code, ok := range map[string]bool{"AccessDenied": true, "InvalidAccessKeyId": false, "SignatureDoesNotMatch": false} {
		c := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
		})
		if err := c.Ping(t.Context()); (err == nil) != ok || (!ok && !errors.Is(err, ErrDenied)) {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestNow(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		before := time.Now()
		got, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.After(time.Now()) || got.Before(before.Add(-2*time.Second)) {
			t.Errorf("got %v at %v", got, before)
		}
	})
}

// TestDeletesAreProved: an answer that what is to be removed is not there counts where the listing
// agrees: a cache or a gateway may have answered for the storage.
func TestDeletesAreProved(t *testing.T) {
	both(t, func(t *testing.T, s *side) {
		lying := lying(t, s, http.MethodHead, http.MethodDelete)
		for _, versioned := range []bool{false, true} {
			bucket := newBucket(t, versioned, s)
			o := s.put(bucket, "key", []byte("x"), minio.PutObjectOptions{})
			for what, err := range map[string]error{
				"a delete":       lying.Delete(t.Context(), bucket, "key", ""),
				"of what it was": lying.Delete(t.Context(), bucket, "key", o.ETag),
			} {
				if !errors.Is(err, ErrInconsistent) && !errors.Is(err, ErrUnavailable) {
					t.Errorf("versions %v, %s: %v, want ErrInconsistent or ErrUnavailable", versioned, what, err)
				}
			}
			if versioned {
				if err := lying.DeleteVersion(t.Context(), bucket, "key", o.VersionID); !errors.Is(err, ErrInconsistent) {
					t.Errorf("of a version: %v, want ErrInconsistent", err)
				}
			}
			if err := lying.Delete(t.Context(), bucket, "another", ""); err != nil {
				t.Errorf("of what is not there: %v", err)
			}
			if _, err := s.Stat(t.Context(), bucket, "key"); err != nil {
				t.Errorf("what was not removed: %v", err)
			}
		}
	})
}

// lying passes requests on to a server, and says of every object that it is not there where a
// request has one of some methods.
func lying(t *testing.T, s *side, methods ...string) *whole {
	t.Helper()
	target, err := url.Parse(s.srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if key == "" || !slices.Contains(methods, r.Method) {
			pass.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
	}))
	t.Cleanup(srv.Close)
	return open(t, s.srv, srv.URL)
}
