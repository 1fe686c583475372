package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
)

// What a resource costs grows with its lists, so they have bounds, and what is over one is
// told in one line whatever else may be wrong with it.
func TestListsHaveBounds(t *testing.T) {
	in := europe()
	bucket := func(n int) *catalog.Bucket {
		b := &catalog.Bucket{Name: "b-1"}
		for i := range n {
			b.Prefixes = append(b.Prefixes, catalog.PrefixRule{Prefix: fmt.Sprintf("%d/", i), Policy: "default"})
		}
		return b
	}
	violations(t, in, bucket(1000))
	violations(t, in, bucket(1001), `bucket b-1: prefixes: "1001 items": expected at most 1000`)

	cluster := func(n int) *catalog.Cluster {
		c := &catalog.Cluster{Name: "c-new", Zones: []string{"eu"}}
		for i := range n {
			c.Functions = append(c.Functions, catalog.Function{URL: fmt.Sprintf("http://f%d.example", i)})
		}
		return c
	}
	violations(t, in, cluster(1000))
	violations(t, in, cluster(1001), `cluster c-new: functions: "1001 items": expected at most 1000`)
	violations(t, in, &catalog.Cluster{Name: "c-new", Zones: slices.Repeat([]string{"eu"}, 101)},
		`cluster c-new: zones: "101 items": expected at most 100`)

	violations(t, in, &catalog.Policy{Name: "p", Zones: slices.Repeat([]string{"mars"}, 1001), ExcludeZones: slices.Repeat([]string{"mars"}, 1001)},
		`policy p: zones: "1001 items": expected at most 1000`, `policy p: exclude_zones: "1001 items": expected at most 1000`)
	violations(t, in, &catalog.Policy{Name: "p", Clusters: slices.Repeat([]string{"c9"}, 10001), Prefer: slices.Repeat([]string{"c9"}, 10001)},
		`policy p: clusters: "10001 items": expected at most 10000`, `policy p: prefer: "10001 items": expected at most 10000`)

	labels := make(map[string]string)
	for i := range 101 {
		labels[fmt.Sprint(i)] = ""
	}
	violations(t, in, &catalog.Zone{Name: "z", Labels: labels}, `zone z: labels: "101 items": expected at most 100`)
	violations(t, in, &catalog.Zone{Name: "z", Labels: map[string]string{"long": strings.Repeat("x", 1025), "ok": strings.Repeat("x", 1024)}},
		`zone z: labels: "long": expected a name and a value of at most 1024 bytes each`)
}
