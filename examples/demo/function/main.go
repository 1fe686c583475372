// The example function: it does what functions behind FaDO do. It reads the input
// object from the storage that FaDO named in the request headers, and answers who it
// is, what it read, from where, and how long that took.
//
//	fn -name berlin -listen 127.0.0.1:9101
//
// The S3 credentials come from S3_ACCESS_KEY and S3_SECRET_KEY.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// answer is what an invocation returns.
type answer struct {
	Function string  `json:"function"`          // who answered
	Path     string  `json:"path"`              // what it was asked for
	Cluster  string  `json:"cluster"`           // where FaDO says it runs
	Locality string  `json:"locality"`          // local, remote or none
	Storage  string  `json:"storage,omitempty"` // the S3 endpoint it read from
	Bucket   string  `json:"bucket,omitempty"`  // the physical bucket there
	Object   string  `json:"object,omitempty"`  // the key it read
	Bytes    int64   `json:"bytes"`             // how much it read
	SHA256   string  `json:"sha256,omitempty"`  // of what it read
	Version  string  `json:"version,omitempty"` // user metadata "version" of the object
	ReadMS   float64 `json:"read_ms"`           // how long reading took
	Listed   int     `json:"listed,omitempty"`  // objects seen, when only a bucket was named
	Error    string  `json:"error,omitempty"`   // why reading failed
}

type server struct {
	name string
	mu   sync.Mutex
	s3   map[string]*minio.Client // by endpoint
}

func main() {
	name := flag.String("name", "function", "the name it answers with")
	listen := flag.String("listen", "127.0.0.1:9101", "address to listen on")
	flag.Parse()
	s := &server{name: *name, s3: make(map[string]*minio.Client)}
	srv := &http.Server{Addr: *listen, Handler: s, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = srv.Shutdown(context.Background())
	}()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		fmt.Fprintln(w, "ok")
		return
	}
	a := answer{
		Function: s.name, Path: r.URL.Path,
		Cluster: r.Header.Get("X-FaDO-Cluster"), Locality: r.Header.Get("X-FaDO-Locality"),
		Storage: r.Header.Get("X-FaDO-Storage"), Bucket: r.Header.Get("X-FaDO-Storage-Bucket"),
	}
	status := http.StatusOK
	if a.Storage != "" {
		start := time.Now()
		if err := s.read(r, &a); err != nil {
			a.Error, status = err.Error(), http.StatusBadGateway
		}
		a.ReadMS = float64(time.Since(start).Microseconds()) / 1000
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a)
}

// read reads the object the request names, or lists the bucket when it names none.
func (s *server) read(r *http.Request, a *answer) error {
	c, err := s.client(a.Storage)
	if err != nil {
		return err
	}
	key := r.Header.Get("X-FaDO-Object")
	if key == "" {
		for o := range c.ListObjects(r.Context(), a.Bucket, minio.ListObjectsOptions{Recursive: true, MaxKeys: 100}) {
			if o.Err != nil {
				return fmt.Errorf("listing bucket %s at %s: %w", a.Bucket, a.Storage, o.Err)
			}
			if a.Listed++; a.Listed == 100 {
				break
			}
		}
		return nil
	}
	if a.Object, err = url.PathUnescape(key); err != nil {
		return fmt.Errorf("X-FaDO-Object: %w", err)
	}
	body, info, _, err := (&minio.Core{Client: c}).GetObject(r.Context(), a.Bucket, a.Object, minio.GetObjectOptions{})
	if err != nil {
		return fmt.Errorf("reading %s of bucket %s at %s: %w", a.Object, a.Bucket, a.Storage, err)
	}
	defer body.Close()
	h := sha256.New()
	if a.Bytes, err = io.Copy(h, body); err != nil {
		return fmt.Errorf("reading %s of bucket %s at %s: %w", a.Object, a.Bucket, a.Storage, err)
	}
	a.SHA256 = hex.EncodeToString(h.Sum(nil))
	a.Version = info.UserMetadata["Version"]
	return nil
}

// client returns the S3 client of an endpoint, made once.
func (s *server) client(endpoint string) (*minio.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.s3[endpoint]; c != nil {
		return c, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("X-FaDO-Storage: %w", err)
	}
	c, err := minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(os.Getenv("S3_ACCESS_KEY"), os.Getenv("S3_SECRET_KEY"), ""),
		Secure: u.Scheme == "https", Region: "us-east-1", BucketLookup: minio.BucketLookupPath,
	})
	if err == nil {
		s.s3[endpoint] = c
	}
	return c, err
}
