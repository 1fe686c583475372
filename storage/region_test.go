package storage

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/internal/testenv"
)

// TestWrongRegion: a storage whose region is another one does not answer a ping, which says what was given
// and what is expected: neither MinIO nor AWS S3 minds when buckets are listed.
func TestWrongRegion(t *testing.T) {
	minio := testenv.StartFor(t, testenv.KindMinIO, testenv.Options{Env: []string{"MINIO_SITE_REGION=eu-west-3"}})
	answering := func(status int, header, body string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Trim(r.URL.Path, "/") == "" {
				_, _ = io.WriteString(w, "<ListAllMyBucketsResult/>")
				return
			}
			if header != "" {
				w.Header().Set("X-Amz-Bucket-Region", header)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	for name, tc := range map[string]struct {
		endpoint, region string
		want             []string // of the error; none: it answers
	}{
		"MinIO":              {minio.Endpoint, "", []string{`storage.region is "us-east-1": expected "eu-west-3"`}},
		"MinIO, another one": {minio.Endpoint, "eu-west-1", []string{`storage.region is "eu-west-1": expected "eu-west-3"`}},
		"MinIO, its own":     {minio.Endpoint, "eu-west-3", nil},
		"S3, by the body": {
			endpoint: answering(http.StatusBadRequest, "", `<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message><Region>eu-central-1</Region></Error>`),
			want:     []string{`storage.region is "us-east-1": expected "eu-central-1"`},
		},
		"S3, moved": {
			endpoint: answering(http.StatusMovedPermanently, "eu-central-1", `<Error><Code>PermanentRedirect</Code><Endpoint>s3.eu-central-1.amazonaws.com</Endpoint></Error>`),
			want:     []string{`storage.region is "us-east-1": expected "eu-central-1"`, `storage.endpoint: expected "s3.eu-central-1.amazonaws.com"`},
		},
		"S3, by a header": {endpoint: answering(http.StatusBadRequest, "eu-central-1", ""), want: []string{`storage.region is "us-east-1": expected "eu-central-1"`}},
		"no bucket":       {endpoint: answering(http.StatusNotFound, "", "<Error><Code>NoSuchBucket</Code></Error>")},
		"denied":          {endpoint: answering(http.StatusForbidden, "us-east-1", "<Error><Code>AccessDenied</Code></Error>")},
	} {
		c, err := openWhole(Config{Name: "c1", Endpoint: tc.endpoint, Region: tc.region, AccessKey: minio.AccessKey, SecretKey: minio.SecretKey})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		for range 2 {
			err = c.Ping(t.Context())
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %s", name, err, want)
				}
			}
			if len(tc.want) == 0 && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestRegionIsAskedOnce: one request about a bucket shows that the region is right, until the storage
// was away.
func TestRegionIsAskedOnce(t *testing.T) {
	var asked atomic.Int64
	var away atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case away.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.Contains(r.URL.Path, regionProbe):
			asked.Add(1)
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, "<Error><Code>NoSuchBucket</Code></Error>")
		default:
			_, _ = fmt.Fprint(w, "<ListAllMyBucketsResult/>")
		}
	}))
	t.Cleanup(srv.Close)
	c, err := openWhole(Config{Name: "c1", Endpoint: srv.URL, AccessKey: "key", SecretKey: "secret-key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for turn := range 2 {
		for range 3 {
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := asked.Load(); n != int64(turn+1) {
			t.Errorf("asked %d times", n)
		}
		away.Store(true)
		if err := c.Ping(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("while it is away: %v", err)
		}
		away.Store(false)
	}
}
