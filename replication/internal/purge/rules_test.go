package purge

import (
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
)

// A prefix rule keeps its keys away from a cluster that has a copy of the rest, in a bucket that was there before. What
// lies there below the prefix was never FaDO's, nor compared: a purge of copies leaves it.
func TestPurgeCopiesKeepsWhatNoRuleHadThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Apply(&catalog.Policy{Name: "q", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	w.Apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "q"}}})
	c1, c2 := w.Fakes["c1"], w.Fakes["c2"]
	c2.User(bkt, "p/x", "precious") // another object of the same key
	c1.User(bkt, "a", "FaDO's to copy")
	for range 5 {
		c1.User(bkt, "p/x", "the primary's") // written later
	}
	below := walktest.Primary("c1")
	below.Prefix = "p/"
	w.Rows(walktest.Primary("c1"), below, walktest.CopyOf("c2", catalog.CopyWaiting))
	w.Must(w.syncer.Sync(t.Context(), walktest.At("c2")))
	w.wantKeys("c2", "a", "p/x")
	w.carryOut(w.order(state.PurgeCopies))
	w.wantKeys("c2", "p/x")
}
