package routing_test

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// A copy is no hit while its cluster's storage has another address than the one it was learnt
// at, and is one again once it has that address, without a change of the copy.
func TestCopyLearntElsewhere(t *testing.T) {
	t.Parallel()
	cluster := func(name, endpoint string) *catalog.Cluster {
		return &catalog.Cluster{Name: name, Zones: []string{"z"}, Storage: &catalog.Storage{Endpoint: endpoint}}
	}
	c1, c2 := cluster("c1", "http://one"), cluster("c2", "http://two")
	copies := []catalog.Copy{
		{Cluster: "c1", Primary: true, State: catalog.CopySynced, At: c1.Storage.Address()},
		{Cluster: "c2", State: catalog.CopySynced, At: c2.Storage.Address()},
	}
	r := routing.NewRouter()
	edit := func(f func(*routing.Editor)) { r.Swap(r.Snapshot().Edit(f)) }
	edit(func(e *routing.Editor) {
		e.PutZone(&catalog.Zone{Name: "z"})
		e.PutCluster(c1)
		e.PutCluster(c2)
		e.PutBucket(&catalog.Bucket{Name: "b"})
		e.SetCopies("b", copies)
	})
	want := func(what string, one, two bool) {
		t.Helper()
		s := r.Snapshot()
		if r.Current("b", "k", "c1") != one || r.Current("b", "k", "c2") != two || s.Of("b").Elsewhere("c1") == one || s.Of("b").Elsewhere("c2") == two {
			t.Errorf("%s: hits %v and %v, want %v and %v", what, r.Current("b", "k", "c1"), r.Current("b", "k", "c2"), one, two)
		}
	}
	want("as learnt", true, true)
	if got := r.Snapshot().Of("b").Copies(); got[1].At != copies[1].At || got[1].Stopped {
		t.Errorf("read back %+v", got[1])
	}
	edit(func(e *routing.Editor) { e.PutCluster(cluster("c2", "http://three")) })
	want("another storage of the copy", true, false)
	edit(func(e *routing.Editor) { e.PutCluster(cluster("c2", "HTTP://Two:80")) })
	want("the former one, spelt otherwise", true, true)
	edit(func(e *routing.Editor) { e.PutCluster(cluster("c1", "http://four")) })
	want("another storage of the primary", false, true)
	copies[0].At, copies[1].At = 0, 0
	edit(func(e *routing.Editor) { e.SetCopies("b", copies) })
	want("nothing is known", true, true)
	copies[0].Stopped = true
	edit(func(e *routing.Editor) { e.SetCopies("b", copies) })
	want("stopped", false, true)

	// More addresses than there are numbers (two are in use): never a hit by mistake.
	for i := range 200 {
		c := cluster("c2", fmt.Sprintf("http://s%d", i))
		copies[1].At = c.Storage.Address()
		edit(func(e *routing.Editor) { e.PutCluster(c); e.SetCopies("b", copies) })
		if got := r.Current("b", "k", "c2"); got != (i < 124) {
			t.Fatalf("address %d: hit %v", i, got)
		}
	}
	edit(func(e *routing.Editor) { e.PutCluster(cluster("c2", "http://s199x")) })
	if r.Current("b", "k", "c2") {
		t.Error("an address without a number is taken for another one")
	}
}
