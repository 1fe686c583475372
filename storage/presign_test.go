package storage

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// A presigned URL reads its object without a key, whatever the key looks like, and nothing else.
func TestPresign(t *testing.T) {
	t.Parallel()
	for kind, l := range map[string]lazy{"minio": minioA, "versitygw": versA} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := l.side(t)
			bucket := newBucket(t, false, s)
			ask := func(method, url string) (int, string) {
				req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(b)
			}
			presign := func(key string, expires time.Duration) string {
				u, err := Presign(s, bucket, key, expires)
				if err != nil {
					t.Fatal(err)
				}
				return u
			}
			for _, key := range []string{"k", "dir/sub/k", "a b+c&d=e", "ü/ß", "100%", "a%20b", "q?x=1#y", "it's (1)*!~", "a:b@c,d;e$f", "[x]", `"quoted"`} {
				s.put(bucket, key, []byte("in "+key), minio.PutObjectOptions{})
				u := presign(key, time.Minute)
				if strings.ContainsAny(u, " \"<>") {
					t.Errorf("%s: %s has characters that no URL has", key, u)
				}
				if status, body := ask(http.MethodGet, u); status != http.StatusOK || body != "in "+key {
					t.Errorf("%s: %d %s by %s", key, status, body, u)
				}
				if status, _ := ask(http.MethodPut, u); status != http.StatusForbidden {
					t.Errorf("%s: a write by it: %d", key, status)
				}
				if status, _ := ask(http.MethodGet, strings.Replace(u, "?", "x?", 1)); status != http.StatusForbidden {
					t.Errorf("%s: another object by it: %d", key, status)
				}
			}
			short := presign("k", time.Second)
			deadline := time.Now().Add(time.Minute)
			for {
				status, _ := ask(http.MethodGet, short)
				if status == http.StatusForbidden {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("it works after it expired: %d", status)
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

// BenchmarkPresign is one URL, 20 µs at most, beside minio-go's.
func BenchmarkPresign(b *testing.B) {
	const access, secret = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	c, err := openWhole(Config{Name: "c", Endpoint: "http://127.0.0.1:9000", AccessKey: access, SecretKey: secret})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	peer, err := minio.New("127.0.0.1:9000", &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: "us-east-1"})
	if err != nil {
		b.Fatal(err)
	}
	for name, one := range map[string]func() error{
		"FaDO": func() error {
			_, err := Presign(c, "bucket", "some/object.parquet", time.Hour)
			return err
		},
		"minio-go": func() error {
			_, err := peer.PresignedGetObject(b.Context(), "bucket", "some/object.parquet", time.Hour, nil)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := one(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
