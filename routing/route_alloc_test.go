package routing_test

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// A decision allocates nothing once its arrays have grown, whichever way it goes.
func TestRouteAllocatesNothing(t *testing.T) {
	r := routing.NewRouter()
	r.Swap(r.Snapshot().Edit(func(e *routing.Editor) {
		sites(e, 100)
		e.PutPolicy(&catalog.Policy{Name: "here", Zones: []string{"z001", "z002"}})
		for i := range 100 {
			b := fmt.Sprintf("bucket-%d", i)
			e.PutBucket(&catalog.Bucket{Name: b, Policy: "any", Prefixes: []catalog.PrefixRule{{Prefix: "here/", Policy: "here"}}})
			e.SetCopies(b, append(synced("c001", "c002", "c003"),
				catalog.Copy{Prefix: "here/", Cluster: "c001", Primary: true, State: catalog.CopySynced},
				catalog.Copy{Prefix: "here/", Cluster: "c002", State: catalog.CopySyncing, Cursor: "here/k"}))
		}
	}))
	for i := range 100 {
		r.Pending.Add("bucket-1", fmt.Sprintf("dir/k%d", i), "c002")
	}
	r.Sizes().Note("bucket-1", "k", 100)
	all := r.Snapshot().Endpoints()
	object := func(b, k string) routing.Input { return routing.Input{Bucket: b, Key: k, Scope: routing.ScopeObject} }
	cases := map[string]routing.Query{
		"object":           {Inputs: []routing.Input{object("bucket-0", "k")}},
		"object of rule":   {Inputs: []routing.Input{object("bucket-0", "here/a")}},
		"pending object":   {Inputs: []routing.Input{object("bucket-1", "dir/k5")}},
		"prefix":           {Inputs: []routing.Input{{Bucket: "bucket-1", Key: "dir/", Scope: routing.ScopePrefix}}},
		"bucket":           {Inputs: []routing.Input{{Bucket: "bucket-1"}}},
		"two buckets":      {Inputs: []routing.Input{object("bucket-0", "k"), object("bucket-1", "dir/k5")}},
		"retry":            {Inputs: []routing.Input{object("bucket-0", "k")}, Tried: all[:4]},
		"miss":             {Inputs: []routing.Input{object("bucket-0", "k")}, Usable: func(ep *routing.Endpoint) bool { return ep.Cluster > "c050" }},
		"miss of two":      {Inputs: []routing.Input{object("bucket-0", "k"), object("bucket-1", "k")}, Usable: func(ep *routing.Endpoint) bool { return ep.Cluster > "c050" }},
		"refused":          {Inputs: []routing.Input{object("bucket-0", "here/a")}, Usable: func(ep *routing.Endpoint) bool { return false }},
		"unknown":          {Inputs: []routing.Input{object("nowhere", "k")}},
		"unknown, allowed": {Inputs: []routing.Input{object("nowhere", "k")}, UnknownBucketAny: true},
		"spill":            {Inputs: []routing.Input{object("bucket-0", "k")}, Spill: 1},
		"no data":          {},
	}
	for _, ep := range all[:4] {
		ep.Live.InFlight.Store(5)
	}
	for name, q := range cases {
		t.Run(name, func(t *testing.T) {
			var d routing.Decision
			if n := testing.AllocsPerRun(100, func() { r.Route(&q, &d) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if len(d.Candidates) == 0 {
				return
			}
			n := testing.AllocsPerRun(100, func() {
				d.StorageFor(d.Candidates[0])
				if f, ok := r.Begin(&d, d.Candidates[0]); ok {
					f.End()
				}
			})
			if n != 0 {
				t.Errorf("%v allocations after the decision", n)
			}
		})
	}
}

// Reading what is pending allocates nothing.
func TestPendingReadsAllocateNothing(t *testing.T) {
	p := routing.NewPendingIndex()
	p.Add("b", "d/k", "c")
	n := testing.AllocsPerRun(100, func() {
		if !p.Has("b", "d/k", "c") || p.Has("b", "d/other", "c") || !p.HasBelow("b", "d/", "c") {
			t.Fatal("wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
