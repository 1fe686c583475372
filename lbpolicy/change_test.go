package lbpolicy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Who takes a copy out of routing and then finds no request in flight may remove the
// copy: no function there may be asked about the bucket from then on. This is the
// promise "drain before evict", as far as it is made here.
func TestNoRequestRunsWhereACopyHasLeft(t *testing.T) {
	for name, proxy := range map[string]string{
		"dynamic":     dynamicProxy,
		"round_robin": "dynamic fado\ntransport fado\nlb_policy data_aware round_robin\n",
		"static":      "to {F1} {F2}\nlb_policy data_aware\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var gone atomic.Bool // the copy in c2 was removed
			var late atomic.Int64
			f1 := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			defer f1.Close()
			f2 := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if gone.Load() {
					late.Add(1)
				}
			}))
			defer f2.Close()
			w.cluster("c1", at(f1.URL))
			w.cluster("c2", at(f2.URL))
			w.bucket("photos", catalog.Policy{}, "c1", "c2")
			s := serve(t, withAddress(withAddress(proxy, "{F1}", f1.URL), "{F2}", f2.URL))

			stop := make(chan struct{})
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						req, _ := http.NewRequest(http.MethodGet, "http://site/", http.NoBody)
						req.Header.Set("X-FaDO-Bucket", "photos")
						res, err := s.client.Do(req)
						if err != nil {
							t.Error(err)
							return
						}
						res.Body.Close()
						if res.StatusCode != http.StatusOK {
							t.Errorf("status %d, %v", res.StatusCode, res.Header)
						}
					}
				})
			}
			with := w.router.Snapshot()
			without := with.Edit(func(e *routing.Editor) { e.SetCopies("photos", copiesIn("c1")) })
			for range 3000 {
				w.router.Swap(without)
				for w.router.Flights.InFlight("photos", "c2") != 0 {
					runtime.Gosched()
				}
				gone.Store(true)
				runtime.Gosched()
				gone.Store(false)
				w.router.Swap(with.Edit(func(e *routing.Editor) { e.SetCopies("photos", copiesIn("c1", "c2")) }))
				runtime.Gosched()
				without = w.router.Snapshot().Edit(func(e *routing.Editor) { e.SetCopies("photos", copiesIn("c1")) })
			}
			close(stop)
			clients.Wait()
			if n := late.Load(); n != 0 {
				t.Errorf("%d requests ran where the copy had left", n)
			}
		})
	}
}

func TestReloadsUnderLoad(t *testing.T) {
	w := threeClusters(t)
	secure := secureFunction(t, "secure")
	w.cluster("c4", catalog.Function{URL: secure.URL, InsecureSkipVerify: true})
	w.bucket("photos", catalog.Policy{Balance: catalog.RawObject(`{"policy":"random"}`)}, "c1", "c2", "c4")
	s := serve(t, dynamicProxy)
	var served atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := s.try(http.MethodGet, "/", "", "X-FaDO-Bucket: photos")
				if err != nil {
					continue // Caddy closes new connections to a unix socket when it reloads
				}
				if a.Status != http.StatusOK {
					t.Errorf("answer %v", a)
					return
				}
				served.Add(1)
			}
		})
	}
	for i := range 25 {
		before := served.Load()
		eventually(t, "requests are served", func() bool { return served.Load() > before+4 })
		s.load(fmt.Sprintf("%s\nheader_up X-Reload %d", dynamicProxy, i))
		if err := s.tryLoad("dynamic fado\ntransport fado {\nversions 3\n}\nlb_policy data_aware"); err == nil {
			t.Error("HTTP/3 is accepted")
		}
	}
	close(stop)
	clients.Wait()
	for _, ep := range w.router.Snapshot().Endpoints() {
		eventually(t, "nothing is in flight", func() bool { return ep.Live.InFlight.Load() == 0 })
	}
}
