package evict

import (
	"context"
	"slices"
	"testing"

	"github.com/fado-project/fado/catalog"
)

// versioned is a world whose bucket keeps versions in c1 and c2.
func versioned(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.Fakes["c1"].KeepVersions(bkt)
	w.Fakes["c2"].KeepVersions(bkt)
	return w
}

// A copy that leaves takes its versions along: all of them are the primary's as well.
func TestEvictTakesVersions(t *testing.T) {
	t.Parallel()
	for _, suspended := range []bool{false, true} {
		w := versioned(t)
		w.synced("a", "b")
		w.Fakes["c1"].UserDelete(bkt, "b")
		w.Must(w.Fakes["c2"].Writer().Delete(t.Context(), bkt, "b", ""))
		if suspended { // what was kept before stays hidden
			w.Fakes["c2"].Suspend(bkt, true)
		}
		w.SetState("c2", catalog.CopyRemoving)
		w.Must(w.Evictor.Evict(t.Context(), at("c2")))
		w.WantBodies("c2", "a")
		w.WantBodies("c2", "b")
		w.WantBodies("c1", "a", "body of a")
		w.WantBodies("c1", "b", "", "body of b")
	}
}

// What is written between the look at the versions and their removal stays.
func TestEvictKeepsWriteAfterTheLook(t *testing.T) {
	t.Parallel()
	for name, hidden := range map[string]bool{"current": false, "below a delete marker": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := versioned(t)
			w.synced("a")
			if hidden {
				w.Fakes["c1"].UserDelete(bkt, "a")
				w.Must(w.Fakes["c2"].Writer().Delete(t.Context(), bkt, "a", ""))
			}
			w.SetState("c2", catalog.CopyRemoving)
			w.Fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
				if op == "versions" {
					w.Fakes["c2"].SetFault(nil)
					w.Fakes["c2"].User(bkt, "a", "a user's, written in between")
				}
				return nil
			})
			w.Must(w.Evictor.Evict(t.Context(), at("c2")))
			if got := w.Fakes["c2"].Bodies(bkt, "a"); len(got) == 0 || got[0] != "a user's, written in between" {
				t.Errorf("c2 has %q, want what was written in between", got)
			}
		})
	}
}

// What FaDO once copied may be left nowhere else, where users wrote above it: at a former
// primary, whose history another one does not have.
func TestEvictKeepsHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Fakes["c2"].KeepVersions(bkt)
	w.synced("a")
	for _, c := range []string{"c1", "c2"} {
		w.Fakes[c].User(bkt, "a", "the second")
	}
	w.SetState("c2", catalog.CopyRemoving)
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	w.WantBodies("c2", "a", "", "the second", "body of a")
}

// What another replication wrote stays as it is, with what FaDO wrote of the same key.
func TestEvictKeepsForeignReplicas(t *testing.T) {
	t.Parallel()
	w := versioned(t)
	w.synced("a")
	w.Fakes["c2"].Replicate(bkt, "a", "another replication's")
	w.Fakes["c2"].Replicate(bkt, "z", "another replication's")
	w.SetState("c2", catalog.CopyRemoving)
	w.Must(w.Evictor.Evict(t.Context(), at("c2")))
	w.WantBodies("c2", "a", "another replication's", "body of a")
	w.WantBodies("c2", "z", "another replication's")
	w.WantBodies("c1", "a", "body of a")
}

// A version that a user restored by a server-side copy carries what FaDO's had, and stays: at
// most below a delete marker, be it the current one or not.
func TestEvictKeepsRestoredVersions(t *testing.T) {
	t.Parallel()
	for _, below := range []bool{false, true} {
		w := newWorld(t)
		w.Fakes["c2"].KeepVersions(bkt)
		w.synced("a")
		w.Fakes["c1"].User(bkt, "a", "the second")
		w.Must(w.Scanner.Scan(t.Context(), at("c2")))
		w.Settle()
		w.Fakes["c2"].CopyVersion(bkt, "a")
		if below {
			w.Fakes["c2"].User(bkt, "a", "a user's third")
			w.Fakes["c1"].User(bkt, "a", "a user's third")
		}
		w.SetState("c2", catalog.CopyRemoving)
		w.Must(w.Evictor.Evict(t.Context(), at("c2")))
		if got := w.Fakes["c2"].Bodies(bkt, "a"); !slices.Contains(got, "body of a") {
			t.Errorf("below another version: %v: what a user restored is gone: %q", below, got)
		}
	}
}
