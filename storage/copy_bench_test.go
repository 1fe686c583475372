package storage

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// bare is what copies are measured against: a GET streamed into a PUT with minio-go,
// unsigned body, no condition, nothing carried over, nothing checked.
func bare(b *testing.B, src, dst *side, bucket string, o Object) {
	b.Helper()
	core, target := minio.Core{Client: src.api}, minio.Core{Client: dst.api}
	r, info, _, err := core.GetObject(b.Context(), src.Physical(bucket), o.Key, minio.GetObjectOptions{})
	if err != nil {
		b.Error(err)
		return
	}
	defer r.Close()
	_, err = target.PutObject(b.Context(), dst.Physical(bucket), o.Key, r, info.Size, "", "", minio.PutObjectOptions{DisableContentSha256: true})
	if err != nil {
		b.Error(err)
	}
}

func fado(b *testing.B, src, dst *side, bucket string, o Object) {
	b.Helper()
	if _, err := Copy(b.Context(), src, dst, bucket, o, CopyOptions{If: Condition{Absent: true}}); err != nil {
		b.Error(err)
	}
}

type copier func(b *testing.B, src, dst *side, bucket string, o Object)

// pooled gives the plain clients the connections that a fair comparison needs.
func pooled(b *testing.B, s *side) *side {
	b.Helper()
	transport, err := minio.DefaultTransport(false)
	if err != nil {
		b.Fatal(err)
	}
	transport.MaxIdleConnsPerHost = 128
	api, err := minio.New(strings.TrimPrefix(s.cfg.Endpoint, "http://"), &minio.Options{
		Creds: s.srv.Credentials(), Region: "us-east-1", Transport: transport, MaxRetries: 1,
	})
	if err != nil {
		b.Fatal(err)
	}
	s.api = api
	return s
}

func benchmarkCopies(b *testing.B, size, workers int, o minio.PutObjectOptions) {
	b.Helper()
	src, dst := pooled(b, minioA.side(b)), pooled(b, minioB.side(b))
	body := random(size)
	for _, way := range []struct {
		name string
		copy copier
	}{{"bare", bare}, {"copy", fado}} {
		b.Run(way.name, func(b *testing.B) {
			bucket := newBucket(b, false, src, dst)
			objs := make([]Object, b.N)
			inParallel(b.N, workers, func(i int) {
				objs[i] = src.put(bucket, fmt.Sprintf("key-%06d", i), body, o)
				objs[i].LastModified = objs[i].LastModified.Add(time.Millisecond) // as exact as a listing's
			})
			b.SetBytes(int64(size))
			b.ReportAllocs()
			before, serversBefore := cpuTime(), src.cpuTime()+dst.cpuTime()
			b.ResetTimer()
			inParallel(b.N, workers, func(i int) { way.copy(b, src, dst, bucket, objs[i]) })
			b.StopTimer()
			perOp := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(b.N) }
			b.ReportMetric(perOp(cpuTime()-before), "cpu-µs/op")
			b.ReportMetric(perOp(src.cpuTime()+dst.cpuTime()-serversBefore), "servers-cpu-µs/op")
		})
	}
}

func BenchmarkCopySmall(b *testing.B) { benchmarkCopies(b, 4<<10, 32, minio.PutObjectOptions{}) }

func BenchmarkCopy64MiB(b *testing.B) {
	benchmarkCopies(b, 64<<20, 4, minio.PutObjectOptions{PartSize: 16 << 20, DisableContentSha256: true})
}

func BenchmarkCopy64MiBWhole(b *testing.B) {
	benchmarkCopies(b, 64<<20, 4, minio.PutObjectOptions{DisableMultipart: true, DisableContentSha256: true})
}

func BenchmarkCopy1GiB(b *testing.B) {
	benchmarkCopies(b, 1<<30, 1, minio.PutObjectOptions{PartSize: 16 << 20, DisableContentSha256: true})
}

func BenchmarkCopy1GiBWhole(b *testing.B) {
	benchmarkCopies(b, 1<<30, 1, minio.PutObjectOptions{DisableMultipart: true, DisableContentSha256: true})
}

func BenchmarkList(b *testing.B) {
	s := pooled(b, minioA.side(b))
	bucket := newBucket(b, false, s)
	const n = 10000
	inParallel(n, 32, func(i int) { s.put(bucket, fmt.Sprintf("dir/key-%06d", i), []byte("x"), minio.PutObjectOptions{}) })
	for b.Loop() {
		count := 0
		for _, err := range s.List(b.Context(), bucket, "", "") {
			if err != nil {
				b.Fatal(err)
			}
			count++
		}
		if count != n {
			b.Fatal(count)
		}
	}
}

func inParallel(n, workers int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	wg.Wait()
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuTime is what the server has used so far (proc(5), in ticks of 10 ms). Beside
// the time on the clock it tells ways apart on a machine that is busy otherwise.
func (s *side) cpuTime() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.srv.Cmd.Process.Pid))
	if err != nil {
		s.tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			s.tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
