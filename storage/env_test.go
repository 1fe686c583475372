package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/storage/s3"
)

// The servers are shared by all tests, which keep to buckets of their own.
var (
	minioA = lazyServer(testenv.KindMinIO, testenv.Options{})
	minioB = lazyServer(testenv.KindMinIO, testenv.Options{})
	versA  = lazyServer(testenv.KindVersityGW, testenv.Options{Versioning: true})
	versB  = lazyServer(testenv.KindVersityGW, testenv.Options{Versioning: true})
)

// lazy is a shared server that gives sides.
type lazy struct{ testenv.Shared }

func lazyServer(kind testenv.Kind, o testenv.Options) lazy { return lazy{testenv.Share(kind, o)} }

func TestMain(m *testing.M) {
	code := testenv.Main(m).Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// whole is a client with both of its halves at hand.
type whole struct {
	*Client
	Reader
	Writer
}

func openWhole(cfg Config) (*whole, error) {
	c, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	return &whole{c, c.Reader(), c.Writer()}, nil
}

// Name is each half's.
func (w *whole) Name() string { return w.Reader.Name() }

// Unwrap gives the client, as a type that wraps a storage does.
func (w *whole) Unwrap() Storage { return w.Client }

// side is one storage of a test.
type side struct {
	*whole
	srv *testenv.Server
	api *minio.Client
	tb  testing.TB
}

func (l lazy) side(tb testing.TB) *side {
	tb.Helper()
	srv := l.Server(tb)
	return &side{whole: open(tb, srv, srv.Endpoint), srv: srv, api: srv.NewClient(tb), tb: tb}
}

func open(tb testing.TB, srv *testenv.Server, endpoint string) *whole {
	tb.Helper()
	c, err := openWhole(Config{
		Name: string(srv.Kind), Endpoint: endpoint,
		AccessKey: srv.AccessKey, SecretKey: srv.SecretKey, BucketPrefix: "pre-",
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

var bucketCount atomic.Int64

// newBucket makes a bucket of the same name on every side.
func newBucket(tb testing.TB, versions bool, sides ...*side) string {
	tb.Helper()
	name := fmt.Sprintf("b%d", bucketCount.Add(1))
	for _, s := range sides {
		if made, err := s.EnsureBucket(tb.Context(), name, versions); err != nil || !made {
			tb.Fatalf("making %s: %v, %v", name, made, err)
		}
	}
	return name
}

// put uploads with minio-go, as a user would.
func (s *side) put(bucket, key string, body []byte, o minio.PutObjectOptions) Object {
	s.tb.Helper()
	if _, err := s.api.PutObject(s.tb.Context(), s.Physical(bucket), key, bytes.NewReader(body), int64(len(body)), o); err != nil {
		s.tb.Fatalf("putting %q: %v", key, err)
	}
	return s.stat(bucket, key)
}

func (s *side) stat(bucket, key string) Object {
	s.tb.Helper()
	o, err := s.Stat(s.tb.Context(), bucket, key)
	if err != nil {
		s.tb.Fatal(err)
	}
	return o
}

// headers returns all an object's headers, for messages.
func (s *side) headers(bucket, key string) http.Header {
	h, err := s.wire.Call(s.tb.Context(), &s3.Request{Method: http.MethodHead, Bucket: s.Physical(bucket), Key: key})
	if err != nil {
		s.tb.Fatal(err)
	}
	return h
}

func (s *side) read(bucket, key string) []byte {
	s.tb.Helper()
	r, err := s.api.GetObject(s.tb.Context(), s.Physical(bucket), key, minio.GetObjectOptions{})
	if err != nil {
		s.tb.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		s.tb.Fatalf("reading %q: %v", key, err)
	}
	return b
}

// listed returns the one listed object below a prefix, with its exact time.
func (s *side) listed(bucket, key string) Object {
	s.tb.Helper()
	for o, err := range s.List(s.tb.Context(), bucket, key, "") {
		if err != nil {
			s.tb.Fatal(err)
		}
		if o.Key == key {
			return o
		}
	}
	s.tb.Fatalf("%s does not list %q", s.Name(), key)
	return Object{}
}

// mustNotHave fails unless the key is provably absent and no upload is left behind.
func (s *side) mustNotHave(bucket, key string) {
	s.tb.Helper()
	ctx := context.WithoutCancel(s.tb.Context())
	if _, err := s.Stat(ctx, bucket, key); !errors.Is(err, ErrNotFound) {
		s.tb.Fatalf("%s: %q: want ErrNotFound, got %v", s.Name(), key, err)
	}
	s.mustHaveNoUploads(bucket)
}

func (s *side) mustHaveNoUploads(bucket string) {
	s.tb.Helper()
	// MinIO lists the uploads of one exact key only, so every key is asked for.
	for u := range s.api.ListIncompleteUploads(context.Background(), s.Physical(bucket), "", true) {
		if u.Err != nil {
			s.tb.Fatal(u.Err)
		}
		s.tb.Fatalf("%s: an upload of %q was left", s.Name(), u.Key)
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = r.Read(b)
	return b
}

// route is a direction of copies that the tests go through.
type route struct {
	name     string
	from, to lazy
	versions bool
}

var routes = []route{
	{"minio to minio", minioA, minioB, false},
	{"minio to minio, versioned", minioA, minioB, true},
	{"minio to versitygw", minioA, versA, false},
	{"versitygw to minio", versA, minioA, false},
	{"versitygw to minio, versioned", versA, minioA, true},
	{"versitygw to versitygw", versA, versB, false},
	{"versitygw to versitygw, versioned", versA, versB, true},
}

// onRoutes runs a test in every direction.
func onRoutes(t *testing.T, f func(t *testing.T, r route, src, dst *side, bucket string)) {
	t.Helper()
	for _, r := range routes {
		t.Run(r.name, func(t *testing.T) {
			src, dst := r.from.side(t), r.to.side(t)
			f(t, r, src, dst, newBucket(t, r.versions, src, dst))
		})
	}
}

// preserves says whether version, ETag and time are kept on the route.
func (r route) preserves() bool { return strings.HasPrefix(r.name, "minio to minio") }
