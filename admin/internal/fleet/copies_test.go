package fleet

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Copies are counted by the policy of their rule, by cluster and by state; those of rules that are gone apart.
func TestCopies(t *testing.T) {
	t.Parallel()
	snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		for _, c := range []string{"c1", "c2"} {
			e.PutCluster(&catalog.Cluster{Name: c})
		}
		for i, state := range []catalog.CopyState{catalog.CopySynced, catalog.CopySynced, catalog.CopySyncing, catalog.CopyWaiting, catalog.CopyDraining, catalog.CopyRemoving, catalog.CopyFailed} {
			name := fmt.Sprint("b", i)
			e.PutBucket(&catalog.Bucket{Name: name, Policy: "tin", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "gold"}}})
			e.SetCopies(name, []catalog.Copy{
				{Cluster: "c1", Primary: true, State: catalog.CopySynced},
				{Cluster: "c2", State: state},
				{Cluster: "c2", Prefix: "p/", State: state},
			})
		}
		e.PutBucket(&catalog.Bucket{Name: "former", Policy: "tin"})
		e.SetCopies("former", []catalog.Copy{{Cluster: "c1", Primary: true, State: catalog.CopySynced}, {Cluster: "c2", Prefix: "gone/", State: catalog.CopyRemoving}})
	})
	f := new(Fleet)
	got := fmt.Sprint(f.Copies(snap))
	const each = " 2 1 1 1 1 1}"
	if want := "[{ c2 0 0 0 0 1 0} {gold c2" + each + " {tin c1 8 0 0 0 0 0} {tin c2" + each + "]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if again := fmt.Sprint(f.Copies(routing.NewSnapshot())); again != got {
		t.Errorf("counted again: %s", again)
	}
	if none := new(Fleet).Copies(routing.NewSnapshot()); none == nil || len(none) > 0 {
		t.Errorf("of no buckets: %v", none)
	}
}
