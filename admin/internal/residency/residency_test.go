package residency

import (
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Every cluster is told by name: whether it is allowed, why or why not, and whether it takes copies.
func TestOf(t *testing.T) {
	t.Parallel()
	snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
		e.PutZone(&catalog.Zone{Name: "eu"})
		e.PutZone(&catalog.Zone{Name: "de", Parent: "eu"})
		e.PutZone(&catalog.Zone{Name: "us"})
		e.PutCluster(&catalog.Cluster{Name: "virginia", Zones: []string{"us"}, Storage: &catalog.Storage{}})
		e.PutCluster(&catalog.Cluster{Name: "munich", Zones: []string{"de"}, Storage: &catalog.Storage{}, Drain: true})
		e.PutCluster(&catalog.Cluster{Name: "berlin", Zones: []string{"de"}, Storage: &catalog.Storage{}})
		e.PutCluster(&catalog.Cluster{Name: "edge"})
	})
	for want, p := range map[string]catalog.Policy{
		"[{berlin de true allowed true} {edge  true allowed false} {munich de true allowed false} {virginia us true allowed true}]": {},
		"[{berlin de true allowed true} {edge  false not in the policy's zones eu false} {munich de true allowed false} " +
			"{virginia us false not in the policy's zones eu true}]": {Zones: []string{"eu"}},
	} {
		if got := fmt.Sprint(Of(&p, snap).Clusters); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if none := Of(&catalog.Policy{}, routing.NewSnapshot()); none.Clusters == nil {
		t.Error("no clusters are null in JSON, not an empty list")
	}
}
