package routing_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
)

// A copy's mark that its bucket is about to be written there is kept however many copies
// and rules the bucket has, and is about that cluster only.
func TestMovingIsKept(t *testing.T) {
	for _, n := range []int{2, 4, 40} {
		for _, prefix := range []string{"", "p/"} {
			snap := routing.NewSnapshot().Edit(func(e *routing.Editor) {
				e.PutBucket(&catalog.Bucket{Name: "bkt", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "x"}}[:len(prefix)/2]})
				copies := []catalog.Copy{{Prefix: prefix, Cluster: "c0", Primary: true, State: catalog.CopySynced}}
				for i := 1; i < n; i++ {
					copies = append(copies, catalog.Copy{Prefix: prefix, Cluster: fmt.Sprint("c", i), State: catalog.CopySynced, Moving: i == n-1})
				}
				e.SetCopies("bkt", copies)
			})
			for i := range n {
				cluster := fmt.Sprint("c", i)
				if got := snap.Of("bkt").Moving(cluster); got != (i == n-1) {
					t.Errorf("%d copies of %q: moving to %s: %v", n, prefix, cluster, got)
				}
			}
			at := slices.IndexFunc(snap.Of("bkt").Copies(), func(c catalog.Copy) bool { return c.Moving })
			if at < 0 || snap.Of("bkt").Copies()[at].State != catalog.CopySynced || snap.Of("other").Moving("c1") || snap.Of("bkt").Moving("elsewhere") {
				t.Errorf("%d copies of %q: %+v", n, prefix, snap.Of("bkt").Copies())
			}
		}
	}
}
