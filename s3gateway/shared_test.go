package s3gateway

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state/postgres"
)

// shared is a world of instances on one PostgreSQL, with a bucket in two places: reads of the
// second instance prefer the copy.
func shared(t *testing.T) (*world, []*instance) {
	t.Helper()
	dsn := testenv.PostgresDatabase(t)
	w := &world{prefix: fmt.Sprintf("s3g%d-%d-", os.Getpid(), worlds.Add(1))}
	for n := range 2 {
		store, err := postgres.Open(context.Background(), postgres.Options{DSN: dsn, Key: []byte("a passphrase"), Lease: 3 * time.Second, MaxConns: 8})
		if err != nil {
			t.Fatal(err)
		}
		w.join(t, store, func(h *Handler) { h.Cluster = []string{"c1", "c2"}[n] })
	}
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("both", 2, "c1", "c2")
	w.bucket("bkt", "both", "c1")
	return w, w.all
}

// A write through one instance is read and listed by the next request to another.
func TestReadYourWritesThroughAnotherInstance(t *testing.T) {
	t.Parallel()
	_, at := shared(t)
	fromCopy := 0
	for n := range 60 {
		writer, reader := at[n%2], at[(n+1)%2]
		key, want := fmt.Sprintf("k%d", n%5), fmt.Sprint("version ", n)
		writer.put("bkt", key, want)
		o, _, h, err := reader.core.GetObject(context.Background(), "bkt", key, minio.GetObjectOptions{})
		reader.must(err)
		o.Close()
		if h.Get("X-Fado-Cluster") == "c2" {
			fromCopy++
		}
		if got := reader.get("bkt", key); got != want {
			t.Fatalf("%s: %q, want %q", key, got, want)
		}
		if got := reader.list("bkt", key, ""); len(got) != 1 {
			t.Fatalf("%s: listed %q", key, got)
		}
	}
	t.Logf("%d of the first reads were from the copy", fromCopy)
}

// An upload begun at one instance is completed at another.
func TestUploadThroughTwoInstances(t *testing.T) {
	t.Parallel()
	_, at := shared(t)
	ctx := context.Background()
	id, err := at[0].core.NewMultipartUpload(ctx, "bkt", "big", minio.PutObjectOptions{})
	at[0].must(err)
	part, err := at[1].core.PutObjectPart(ctx, "bkt", "big", id, 1, strings.NewReader("content"), 7, minio.PutObjectPartOptions{})
	at[1].must(err)
	_, err = at[1].core.CompleteMultipartUpload(ctx, "bkt", "big", id, []minio.CompletePart{{PartNumber: 1, ETag: part.ETag}}, minio.PutObjectOptions{})
	at[1].must(err)
	for _, i := range at {
		if got := i.get("bkt", "big"); got != "content" {
			t.Errorf("%q", got)
		}
	}
}

// Concurrent writers and readers of one key through two instances: what a read returned is never
// followed by something older.
func TestNoReadGoesBack(t *testing.T) {
	t.Parallel()
	_, at := shared(t)
	at[0].put("bkt", "k", "0")
	var wg sync.WaitGroup
	done := make(chan struct{})
	for n, i := range at {
		wg.Go(func() {
			last := 0
			for {
				select {
				case <-done:
					return
				default:
				}
				var v int
				got := i.get("bkt", "k")
				if _, err := fmt.Sscan(got, &v); err != nil {
					t.Errorf("instance %d read %q", n, got)
					return
				}
				if v < last {
					t.Errorf("instance %d read %d after %d", n, v, last)
					return
				}
				last = v
			}
		})
	}
	for v := 1; v <= 60; v++ {
		at[v%2].put("bkt", "k", fmt.Sprint(v))
		if got := at[(v+1)%2].get("bkt", "k"); got != fmt.Sprint(v) {
			t.Errorf("%q after %d was written", got, v)
		}
	}
	close(done)
	wg.Wait()
}
