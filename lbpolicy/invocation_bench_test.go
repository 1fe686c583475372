package lbpolicy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// cpu is the time this process has been on a processor, in its own code.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano())
}

// BenchmarkInvocation is a whole invocation, client and function included, beside the same
// with Caddy's own policy. What counts is user-ns/op: it depends least on what else the
// machine does. Rounds take turns; compare those of one run.
func BenchmarkInvocation(b *testing.B) {
	const buckets = 10_000
	for round := range 3 {
		for _, name := range []string{"data_aware", "least_conn"} {
			b.Run(fmt.Sprintf("%d %s", round, name), func(b *testing.B) {
				w := newWorld(b)
				var to string
				for _, c := range []string{"c1", "c2", "c3"} {
					f := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") }))
					b.Cleanup(f.Close)
					w.cluster(c, at(f.URL))
					to += " " + addressOf(f.URL)
				}
				w.edit(func(e *routing.Editor) {
					for i := range buckets {
						e.PutBucket(&catalog.Bucket{Name: fmt.Sprintf("bucket-%d", i), Policy: "default"})
						e.SetCopies(fmt.Sprintf("bucket-%d", i), copiesIn("c1", "c2", "c3")[i%2:])
					}
				})
				proxy := dynamicProxy
				if name == "least_conn" {
					proxy = "to" + to + "\nlb_policy least_conn\n"
				}
				s := serve(b, proxy)
				invoke(b, s, 0)
				b.ReportAllocs()
				b.ResetTimer()
				before := cpu()
				var clients sync.WaitGroup
				for c := range 32 {
					clients.Go(func() {
						for i := c; i < b.N; i += 32 {
							invoke(b, s, i%buckets)
						}
					})
				}
				clients.Wait()
				b.ReportMetric(float64(cpu()-before)/float64(b.N), "user-ns/op")
			})
		}
	}
}

func invoke(b *testing.B, s *site, i int) {
	b.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://site/run", http.NoBody)
	if err != nil {
		b.Error(err)
		return
	}
	req.Header["X-Fado-Bucket"] = []string{fmt.Sprintf("bucket-%d", i)}
	req.Header["X-Fado-Object"] = []string{"dir/object-17"}
	res, err := s.client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b.Errorf("status %d", res.StatusCode)
	}
}
