package routing_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// sites makes a catalogue of n clusters c000, c001, … in zones z000, …, each with a
// storage and a function, and the policy "any".
func sites(e *routing.Editor, n int) {
	for i := range n {
		e.PutZone(&catalog.Zone{Name: fmt.Sprintf("z%03d", i)})
		e.PutCluster(&catalog.Cluster{
			Name:      fmt.Sprintf("c%03d", i),
			Zones:     []string{fmt.Sprintf("z%03d", i)},
			Storage:   &catalog.Storage{Endpoint: fmt.Sprintf("http://s3.c%03d", i)},
			Functions: []catalog.Function{{URL: fmt.Sprintf("http://f.c%03d", i), Weight: 1}},
		})
	}
	e.PutPolicy(&catalog.Policy{Name: "any", OnMiss: catalog.OnMissRemote})
}

func synced(primary string, others ...string) []catalog.Copy {
	copies := []catalog.Copy{{Cluster: primary, Primary: true, State: catalog.CopySynced}}
	for _, c := range others {
		copies = append(copies, catalog.Copy{Cluster: c, State: catalog.CopySynced})
	}
	return copies
}

// While one edit after the other moves a bucket with its policy to and fro between
// two zones, every decision is that of one side or the other, never a mixture.
func TestRouteWhileTheCatalogueChanges(t *testing.T) {
	r := routing.NewRouter()
	side := func(e *routing.Editor, i int) {
		c := fmt.Sprintf("c%03d", i)
		e.PutPolicy(&catalog.Policy{Name: "p", Zones: []string{fmt.Sprintf("z%03d", i)}, OnMiss: catalog.OnMissReject})
		e.PutBucket(&catalog.Bucket{Name: "b", Policy: "p", Primary: c})
		e.SetCopies("b", synced(c))
	}
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) { sites(e, 2); side(e, 0) }))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { routeUntil(t, r, done) })
	}
	for i := range 1000 {
		r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
			side(e, (i+1)%2)
			// Names never seen before, which readers of the snapshots before must not see.
			e.PutBucket(&catalog.Bucket{
				Name: fmt.Sprintf("other-%d", i), Policy: fmt.Sprintf("p%d", i), Primary: fmt.Sprintf("x%d", i),
			})
		}))
	}
	close(done)
	wg.Wait()
}

func routeUntil(t *testing.T, r *routing.Router, done chan struct{}) {
	t.Helper()
	q := &routing.Query{Inputs: []routing.Input{{Bucket: "b", Key: "k", Scope: routing.ScopeObject}}}
	var d routing.Decision
	for {
		select {
		case <-done:
			return
		default:
		}
		r.Route(q, &d)
		if d.Reason != "" || d.Locality != routing.LocalityLocal || len(d.Candidates) != 1 {
			t.Errorf("half a change was routed by: %q %v %v", d.Reason, d.Locality, urlsOf(d.Candidates))
			return
		}
		ep := d.Candidates[0]
		if storage, _ := d.StorageFor(ep); storage != "http://s3."+ep.Cluster {
			t.Errorf("in %s the storage is %s", ep.Cluster, storage)
			return
		}
	}
}

// A copy that left routing and has no flights gets none any more, so it may be
// removed then; whether an invocation runs beside it or reads it from elsewhere.
func TestNoFlightBeginsAtACopyThatLeft(t *testing.T) {
	r := routing.NewRouter()
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
		sites(e, 3)
		e.PutBucket(&catalog.Bucket{Name: "b", Policy: "any"})
		e.SetCopies("b", synced("c000", "c001"))
	}))
	// Half of the requests can't run at the holders, and read from one of them.
	var removed [2]atomic.Bool
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { fly(t, r, i%2 == 0, &removed, done) })
	}
	for i := range 500 {
		leaves, stays := i%2, (i+1)%2
		r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
			e.SetCopies("b", synced(fmt.Sprintf("c%03d", stays)))
		}))
		for r.Flights.InFlight("b", fmt.Sprintf("c%03d", leaves)) > 0 {
			runtime.Gosched()
		}
		removed[leaves].Store(true)
		// Its content is gone for a while, and comes back.
		runtime.Gosched()
		removed[leaves].Store(false)
		r.Swap(r.Snapshot().Edit(func(e *routing.Editor) { e.SetCopies("b", synced("c000", "c001")) }))
	}
	close(done)
	wg.Wait()
}

func fly(t *testing.T, r *routing.Router, remote bool, removed *[2]atomic.Bool, done chan struct{}) {
	t.Helper()
	q := &routing.Query{Inputs: []routing.Input{{Bucket: "b", Scope: routing.ScopeBucket}}}
	if remote {
		q.Usable = func(ep *routing.Endpoint) bool { return ep.Cluster == "c002" }
	}
	var d routing.Decision
	for n := 0; ; n++ {
		runtime.Gosched()
		select {
		case <-done:
			return
		default:
		}
		r.Route(q, &d)
		ep := d.Candidates[n%len(d.Candidates)]
		flight, ok := r.Begin(&d, ep)
		if !ok {
			continue
		}
		from, _ := d.StorageFor(ep)
		for i := range removed {
			if from == fmt.Sprintf("http://s3.c%03d", i) && removed[i].Load() {
				t.Errorf("a flight began that reads from %s, which was removed", from)
			}
		}
		flight.End()
	}
}

// A flight counts every bucket named, in the function's cluster and where it reads,
// until it ends; and none when the catalogue changed since the decision.
func TestFlightCountsEveryBucket(t *testing.T) {
	r := routing.NewRouter()
	var buckets []string
	q := &routing.Query{Usable: func(ep *routing.Endpoint) bool { return ep.Cluster == "c002" }}
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
		sites(e, 3)
		for i := range 6 {
			b := fmt.Sprintf("b%d", i)
			buckets = append(buckets, b)
			e.PutBucket(&catalog.Bucket{Name: b, Policy: "any"})
			e.SetCopies(b, synced("c000"))
			q.Inputs = append(q.Inputs, routing.Input{Bucket: b})
		}
	}))
	counts := func() (here, source []int64) {
		for _, b := range buckets {
			here = append(here, r.Flights.InFlight(b, "c002"))
			source = append(source, r.Flights.InFlight(b, "c000"))
		}
		return here, source
	}
	var d routing.Decision
	r.Route(q, &d)
	f, ok := r.Begin(&d, d.Candidates[0])
	here, source := counts()
	if !ok || slices.Contains(here, 0) || source[0] == 0 {
		t.Errorf("begun %v, in flight %v at the function's cluster, %v where it reads", ok, here, source)
	}
	f.End()
	f.End()
	zero := make([]int64, len(buckets))
	if here, source = counts(); !slices.Equal(here, zero) || !slices.Equal(source, zero) {
		t.Errorf("after the end: in flight %v and %v", here, source)
	}
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) { e.SetCopies("b0", synced("c001")) }))
	if _, ok := r.Begin(&d, d.Candidates[0]); ok {
		t.Error("a flight began on a decision that is no longer current")
	}
	if here, source = counts(); !slices.Equal(here, zero) || !slices.Equal(source, zero) {
		t.Errorf("a flight that did not begin is counted: %v and %v", here, source)
	}
}
