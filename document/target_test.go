package document

import (
	"slices"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// Checking each of many resources visits what is put of the other kinds: that costs what there is of
// those, not what there is of all. What is put later is visited, too.
func TestPutsAreSortedOnce(t *testing.T) {
	t.Parallel()
	target := newTarget(routing.NewRouter().Snapshot())
	visited := func() (names []string) {
		target.Clusters(func(c *catalog.Cluster) bool {
			names = append(names, c.Name)
			return true
		})
		return names
	}
	for _, name := range []string{"c2", "c1"} {
		target.put(id{catalog.KindCluster, name}, &catalog.Cluster{Name: name})
	}
	target.put(id{catalog.KindBucket, "b"}, &catalog.Bucket{Name: "b"})
	if got := visited(); !slices.Equal(got, []string{"c1", "c2"}) {
		t.Errorf("visited %q", got)
	}
	clear(target.puts) // nothing looks through all of them again
	if got := visited(); !slices.Equal(got, []string{"c1", "c2"}) {
		t.Errorf("visited %q the second time", got)
	}
	target.put(id{catalog.KindCluster, "c0"}, &catalog.Cluster{Name: "c0"})
	if got := visited(); !slices.Equal(got, []string{"c0"}) {
		t.Errorf("visited %q after another was put", got)
	}
}
