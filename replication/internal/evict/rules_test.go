package evict

import (
	"context"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/state"
)

// A prefix rule goes together with the residency of a cluster that had a copy of the rest. What lay there below the
// prefix before was never compared: it is others', and stays.
func TestEvictKeepsWhatNoRuleHadThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Apply(&catalog.Policy{Name: "q", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	w.Apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1", Prefixes: []catalog.PrefixRule{{Prefix: "p/", Policy: "q"}}})
	c1, c2 := w.Fakes["c1"], w.Fakes["c2"]
	c2.User(bkt, "p/x", "precious")
	c2.User(bkt, "p/y", "precious too")
	c1.User(bkt, "a", "FaDO's to copy")
	c1.User(bkt, "p/x", "the primary's")
	below := primary("c1")
	below.Prefix = "p/"
	w.Rows(primary("c1"), below, copyOf("c2", catalog.CopyWaiting))
	w.Must(w.Syncer.Sync(t.Context(), at("c2")))

	w.Apply(&catalog.Policy{Name: "r", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	w.Apply(&catalog.Bucket{Name: bkt, Policy: "r", Primary: "c1"})
	snap := w.Ctl.Router().Snapshot()
	for range 2 {
		w.Must(w.Copies.Update(w.Context(), bkt, func(rows []state.Copy) ([]state.Copy, error) {
			return plan.NewInputs(snap, nil, nil).Plan(snap.Bucket(bkt), snap.Of(bkt).Rules(), rows, "c1").Rows, nil
		}))
	}
	w.SetState("c2", catalog.CopyRemoving) // as it comes to be
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	if got := c2.Contents(bkt); got["p/x"] != "precious" || got["p/y"] != "precious too" {
		t.Errorf("others' objects are gone, c2 has %q", got)
	}
}

// A copy stays while another one that is wanted has failed.
func TestEvictWaitsForFailedCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.AddRow(copyOf("c3", catalog.CopyFailed))
	w.SetState("c2", catalog.CopyRemoving)
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrNotYet)
	if got := w.Fakes["c2"].Contents(bkt); len(got) != 2 {
		t.Errorf("c2 has %q", got)
	}
}

// Where versioning is suspended, a user's write takes the place of the version that was looked at, with its ID: it stays.
func TestEvictKeepsASuspendedWriteAfterTheLook(t *testing.T) {
	t.Parallel()
	w := versioned(t)
	w.Fakes["c2"].Suspend(bkt, true)
	w.synced("a")
	w.SetState("c2", catalog.CopyRemoving)
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "versions" {
			w.Fakes["c2"].SetFault(nil)
			w.Fakes["c2"].User(bkt, "a", "a user's, written in between")
		}
		return nil
	})
	w.WantErr(w.Evictor.Evict(t.Context(), at("c2")), object.ErrNotYet)
	if got := w.Fakes["c2"].Bodies(bkt, "a"); len(got) == 0 || got[0] != "a user's, written in between" {
		t.Errorf("c2 has %q, want what was written in between", got)
	}
}
