package caddymodule

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// While documents are applied that move a bucket from one zone to another and back, together with the
// clusters' labels and other buckets, no request fails; once an apply is answered, requests go where it
// says.
func TestNoRequestFailsWhileDocumentsAreApplied(t *testing.T) {
	noLeaks(t)
	s := newSite(t)
	s.bucket = "moved"
	mustLoad(t, s.config(t))
	resources := running(t).Control().Resources
	apply := func(zone string) {
		t.Helper()
		for { // as POST /fado/apply without a revision
			at, err := resources.Catalogue(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			policy, bucket := &catalog.Policy{Name: "moving", Zones: []string{zone}}, &catalog.Bucket{Name: "moved", Policy: "moving"}
			other := &catalog.Bucket{Name: "other-" + zone, Policy: "moving"}
			b := control.Batch{Puts: []catalog.Resource{policy, bucket, other}}
			for _, r := range b.Puts {
				r.Normalize()
			}
			if _, err = resources.Apply(t.Context(), at, b); err == nil {
				return
			}
			if !errors.Is(err, control.ErrPrecondition) {
				t.Fatal(err)
			}
		}
	}
	apply("eu")
	s.expect(t, "c1")

	var load sync.WaitGroup
	var answered [2]atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		load.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch got, err := s.getOnce(client); {
				case err != nil:
					t.Errorf("a request failed: %v", err)
					return
				case got == "c1":
					answered[0].Add(1)
				default:
					answered[1].Add(1)
				}
			}
		})
	}
	for i := range 60 {
		zone, want := "us", "c2"
		if i%2 == 1 {
			zone, want = "eu", "c1"
		}
		apply(zone)
		s.expect(t, want)
	}
	close(stop)
	load.Wait()
	if answered[0].Load() == 0 || answered[1].Load() == 0 {
		t.Errorf("c1 answered %d requests, c2 %d", answered[0].Load(), answered[1].Load())
	}
}
