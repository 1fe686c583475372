package replication

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
)

const (
	benchObjects = 10_000
	benchSize    = 4 << 10
)

func cpuSeconds() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// benchWorld has a source bucket of 10,000 objects of 4 KiB on a MinIO of its own.
func benchWorld(b *testing.B) *world {
	b.Helper()
	w := newWorld(b, Settings{}, nil)
	w.cluster("c1", testenv.MinIO(b))
	w.cluster("c2", testenv.MinIO(b))
	w.makeBucket("c1", "bkt")
	body := strings.Repeat("x", benchSize)
	parallel(32, benchObjects, func(i int) { w.put("c1", "bkt", fmt.Sprintf("dir%02d/object-%05d", i%50, i), body) })
	return w
}

func parallel(workers, n int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range workers {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// BenchmarkBulk measures the bulk copy beside bare parallel GET→PUT streams over the same
// servers in the same run: FaDO's figure has listing, comparison, verification and
// bookkeeping in it. Then it measures a rescan with everything in step.
func BenchmarkBulk(b *testing.B) {
	w := benchWorld(b)
	for b.Loop() {
		cpu, began := cpuSeconds(), time.Now()
		w.bareCopy(b)
		bare, bareCPU := time.Since(began), cpuSeconds()-cpu

		cpu, began = cpuSeconds(), time.Now()
		w.policy("p", 2)
		w.bucket("bkt", "p", "c1")
		w.await("synced", func() bool {
			row, _ := w.copyRow("bkt", "", "c2")
			return row.State == catalog.CopySynced && row.Objects == benchObjects
		})
		bulk, bulkCPU := time.Since(began), cpuSeconds()-cpu

		row, _ := w.copyRow("bkt", "", "c2")
		began = time.Now()
		w.must(w.eng.SyncBucket(context.Background(), "bkt"))
		w.await("rescanned", func() bool { now, _ := w.copyRow("bkt", "", "c2"); return now.VerifiedAt.After(row.VerifiedAt) })
		rescan := time.Since(began)

		b.ReportMetric(bare.Seconds(), "bare-s")
		b.ReportMetric(bulk.Seconds(), "bulk-s")
		b.ReportMetric(bare.Seconds()/bulk.Seconds(), "bare/bulk")
		b.ReportMetric(bareCPU, "bare-cpu-s")
		b.ReportMetric(bulkCPU, "bulk-cpu-s")
		b.ReportMetric(rescan.Seconds(), "rescan-s")
	}
}

// bareCopy is the peer: the same number of streams, no listing, no comparison.
func (w *world) bareCopy(b *testing.B) {
	b.Helper()
	ctx := context.Background()
	src, dst := w.apis["c1"], w.apis["c2"]
	target := w.prefix + "bare"
	w.must(dst.MakeBucket(ctx, target, minio.MakeBucketOptions{}))
	parallel(32, benchObjects, func(i int) {
		key := fmt.Sprintf("dir%02d/object-%05d", i%50, i)
		o, err := src.GetObject(ctx, w.prefix+"bkt", key, minio.GetObjectOptions{})
		w.must(err)
		defer o.Close()
		_, err = dst.PutObject(ctx, target, key, o, benchSize, minio.PutObjectOptions{DisableContentSha256: true})
		w.must(err)
	})
}

// BenchmarkLag measures from a write acknowledged at one storage to its copy routable, at
// 20 writes per second.
func BenchmarkLag(b *testing.B) {
	w := newWorld(b, Settings{}, nil)
	w.cluster("c1", testenv.MinIO(b))
	w.cluster("c2", testenv.MinIO(b))
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1", "c2")
	body := strings.Repeat("x", benchSize)
	pendingIndex := w.ctl.Router().Pending
	for b.Loop() {
		var lags []time.Duration
		for i := range 200 {
			key := fmt.Sprintf("lag%04d", i)
			next := time.Now().Add(50 * time.Millisecond)
			w.put("c1", "bkt", key, body)
			acked := time.Now()
			for !w.copiedTo("c2", "bkt", key) || pendingIndex.Has("bkt", key, "c2") {
				time.Sleep(100 * time.Microsecond)
			}
			lags = append(lags, time.Since(acked))
			time.Sleep(time.Until(next))
		}
		slices.Sort(lags)
		b.ReportMetric(float64(lags[100].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(lags[198].Microseconds())/1000, "p99-ms")
		st, err := w.eng.Reports().Status(context.Background(), false)
		w.must(err)
		b.ReportMetric(st.LagMS.P50, "own-p50-ms")
		b.ReportMetric(st.LagMS.P99, "own-p99-ms")
	}
}

// copiedTo looks at the server's own files, so that asking costs it nothing.
func (w *world) copiedTo(cluster, bucket, key string) bool {
	_, err := os.Stat(filepath.Join(w.servers[cluster].Dir, w.prefix+bucket, key, "xl.meta"))
	return err == nil
}
