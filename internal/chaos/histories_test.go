package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fado-project/fado/internal/histories"
	"github.com/fado-project/fado/internal/testenv"
)

const (
	s3Key    = "chaos-key"
	s3Secret = "chaos-secret-key"
)

// TestHistoriesUnderKills: clients of the S3 endpoints of two instances that share a database use
// the same keys while one instance after the other is killed, at any step of what it does. There
// is an order of all requests that explains what they saw: what was answered is there, what was
// not answered happened once or not at all, and nobody sees what is stale.
func TestHistoriesUnderKills(t *testing.T) {
	s := seed(t)
	rng := rand.New(rand.NewPCG(s, 2))
	w := twoEndpoints(t)
	journal := histories.NewJournal()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for n := range 6 {
		at := w.fados[n%2].core()
		c := histories.Client{ID: n, At: at, Bucket: bucket, Journal: journal, Rand: rand.New(rand.NewPCG(s, uint64(n)+100))}
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				c.Turn(context.Background(), i)
				select {
				case <-time.After(time.Duration(c.Rand.IntN(60)) * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	kills := 3 * rounds(t, 2)
	for n := range kills {
		w.await("requests after the last kill", func() error {
			if known, _ := journal.Known(); known < 25*(n+1) {
				return fmt.Errorf("the outcome of %d requests is known", known)
			}
			return nil
		})
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond) // at a random moment
		i := w.fados[rng.IntN(2)]
		i.kill()
		i.start()
	}
	seen, _ := journal.Known()
	w.await("requests that see what the last kill left, and one of each kind", func() error {
		if known, missing := journal.Known(); known < seen+50 || missing != "" {
			return fmt.Errorf("the outcome of %d requests is known, of none that is a %q", known-seen, missing)
		}
		return nil
	})
	stop()
	clients.Wait()
	t.Logf("%d kills", kills)
	journal.Check(t)
}

// twoEndpoints is a world of two instances, each with an S3 endpoint and a storage nearby, and of
// a bucket at both storages.
func twoEndpoints(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	for n := range 2 {
		p := &place{name: fmt.Sprintf("c%d", n+1), server: testenv.MinIO(t)}
		var err error
		p.proxy, err = testenv.NewHTTPProxy(p.server.Endpoint)
		w.must(err)
		t.Cleanup(p.proxy.Close)
		w.places = append(w.places, p)
	}
	w.db = testenv.PostgresServer(t)
	name, err := w.db.NewDatabase(t.Context())
	w.must(err)
	for _, p := range w.places {
		port, err := testenv.FreePort()
		w.must(err)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		w.addWith(fmt.Sprintf("postgres %q", w.db.DSN(name)), fmt.Sprintf(
			"http://%s {\n\tfado_s3 {\n\t\tcluster %s\n\t\tkey %s {\n\t\t\tsecret %s\n\t\t}\n\t}\n}\n", addr, p.name, s3Key, s3Secret), addr)
	}
	_, err = w.fados[0].call(http.MethodPost, "/fado/policies", map[string]any{"name": "both", "copies": 2})
	w.must(err)
	_, err = w.fados[0].call(http.MethodPost, "/fado/buckets", map[string]any{"name": bucket, "policy": "both", "primary": "c1"})
	w.must(err)
	for _, i := range w.fados {
		w.await("the bucket at an S3 endpoint", func() error {
			_, err := i.core().ListObjectsV2(bucket, "", "", "", "", 1)
			return err
		})
	}
	return w
}

// core is a client of the instance's S3 endpoint that asks once.
func (i *instance) core() *minio.Core {
	i.Helper()
	c, err := minio.NewCore(i.s3, &minio.Options{Creds: credentials.NewStaticV4(s3Key, s3Secret, ""), Region: "us-east-1", MaxRetries: 1})
	i.must(err)
	return c
}
