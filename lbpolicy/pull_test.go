package lbpolicy_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// pullingWorld has bucket photos in c1, which has no function, and functions in c2 and c3.
func pullingWorld(t *testing.T, pull func(w *world, ctx context.Context, plan routing.PullPlan) error) *world {
	t.Helper()
	w := newWorld(t)
	w.puller = func(ctx context.Context, plan routing.PullPlan) error { return pull(w, ctx, plan) }
	w.cluster("c1")
	w.cluster("c2", at(function(t, "c2").URL))
	w.cluster("c3", at(function(t, "c3").URL))
	w.bucket("photos", catalog.Policy{OnMiss: catalog.OnMissPull, Zones: []string{"c1", "c2"}}, "c1")
	return w
}

var theObject = []string{"X-FaDO-Bucket: photos", "X-FaDO-Object: k"}

func TestARequestWaitsForItsObjectAndRunsBesideIt(t *testing.T) {
	for name, proxy := range map[string]string{"dynamic": dynamicProxy, "static": "to {C2} {C3}\nlb_policy data_aware\n"} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			w := pullingWorld(t, func(w *world, _ context.Context, plan routing.PullPlan) error {
				asked++
				if !slices.Equal(plan.Clusters, []string{"c2"}) || !slices.Equal(plan.Objects, []catalog.ObjectName{{Bucket: "photos", Key: "k"}}) {
					t.Errorf("plan %+v", plan)
				}
				w.router.Pulled.Set("photos", "k", "c2", catalog.Pulled{ETag: "e", Current: true})
				return nil
			})
			url := func(c string) string { return w.router.Snapshot().Cluster(c).Functions[0].URL }
			s := serve(t, withAddress(withAddress(proxy, "{C2}", url("c2")), "{C3}", url("c3")))
			for range 2 {
				a := s.get("/", theObject...)
				if a.Who != "c2" || asked != 1 {
					t.Fatalf("%v, asked %d times", a, asked)
				}
				expect(t, a.Header, "X-FaDO-Locality", "local")
				expect(t, a.seen.Header, "X-FaDO-Locality", "local")
				expect(t, a.seen.Header, "X-FaDO-Storage", "http://storage.c2:9000")
				expect(t, a.seen.Header, "X-FaDO-Storage-Bucket", "c2-photos")
			}
			if w.decisions[routing.LocalityLocal] != 2 || len(w.decisions) != 1 {
				t.Errorf("counted %v", w.decisions)
			}
		})
	}
}

var errNoRoom = errors.New("no room")

func TestARequestWhoseObjectDoesNotComeReadsRemotely(t *testing.T) {
	pullingWorld(t, func(*world, context.Context, routing.PullPlan) error { return errNoRoom })
	a := serve(t, dynamicProxy).get("/", theObject...)
	if a.Who != "c2" {
		t.Fatal(a)
	}
	expect(t, a.Header, "X-FaDO-Locality", "remote")
	expect(t, a.seen.Header, "X-FaDO-Storage", "http://storage.c1:9000")
}

// Whatever a pull says, a request asks for one only once, and goes on.
func TestAPullThatHelpedNothingIsNotAskedForAgain(t *testing.T) {
	asked := 0
	pullingWorld(t, func(*world, context.Context, routing.PullPlan) error { asked++; return nil })
	a := serve(t, dynamicProxy+"lb_retries 3\nlb_try_interval 1ms\n").get("/", theObject...)
	if a.Who != "c2" || asked != 1 {
		t.Errorf("%v, asked %d times", a, asked)
	}
	expect(t, a.Header, "X-FaDO-Locality", "remote")
}

func TestTheWaitEndsWithTheClient(t *testing.T) {
	waiting, ended := make(chan struct{}), make(chan error, 1)
	w := pullingWorld(t, func(_ *world, ctx context.Context, _ routing.PullPlan) error {
		close(waiting)
		select {
		case <-ctx.Done():
			ended <- ctx.Err()
		case <-time.After(time.Minute):
			ended <- errors.New("still waiting")
		}
		return errors.New("not there")
	})
	s := serve(t, dynamicProxy)
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		<-waiting
		leave()
	}()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://site/", http.NoBody)
	req.Header.Set("X-FaDO-Bucket", "photos")
	req.Header.Set("X-FaDO-Object", "k")
	if res, err := s.client.Do(req); err == nil {
		res.Body.Close()
		t.Error("answered")
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the wait ended with %v", err)
	}
	eventually(t, "nothing is in flight", func() bool {
		return w.endpoint(w.router.Snapshot().Cluster("c2").Functions[0].URL).Live.InFlight.Load() == 0
	})
}
