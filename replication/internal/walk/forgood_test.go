package walk

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
	w.fakes["c1"].KeepVersions(bkt)
	w.fakes["c2"].KeepVersions(bkt)
	return w
}

func (w *world) wantBodies(cluster, key string, want ...string) {
	w.Helper()
	if got := w.fakes[cluster].Bodies(bkt, key); !slices.Equal(got, want) {
		w.Errorf("%s has %q of %s, want %q", cluster, got, key, want)
	}
}

// A copy that leaves takes its versions along: all of them are the primary's as well.
func TestEvictTakesVersions(t *testing.T) {
	t.Parallel()
	w := versioned(t)
	w.synced("a", "b")
	w.fakes["c1"].UserDelete(bkt, "b")
	w.must(w.fakes["c2"].Delete(t.Context(), bkt, "b", ""))
	w.leaving(catalog.CopyRemoving)
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	w.wantBodies("c2", "a")
	w.wantBodies("c2", "b")
	w.wantBodies("c1", "a", "body of a")
	w.wantBodies("c1", "b", "", "body of b")
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
				w.fakes["c1"].UserDelete(bkt, "a")
				w.must(w.fakes["c2"].Delete(t.Context(), bkt, "a", ""))
			}
			w.leaving(catalog.CopyRemoving)
			w.fakes["c2"].SetFault(func(_ context.Context, op, _, _ string) error {
				if op == "versions" {
					w.fakes["c2"].SetFault(nil)
					w.fakes["c2"].User(bkt, "a", "a user's, written in between")
				}
				return nil
			})
			w.must(w.Evictor.Evict(t.Context(), at("c2")))
			if got := w.fakes["c2"].Bodies(bkt, "a"); len(got) == 0 || got[0] != "a user's, written in between" {
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
	w.fakes["c2"].KeepVersions(bkt)
	w.synced("a")
	for _, c := range []string{"c1", "c2"} {
		w.fakes[c].User(bkt, "a", "the second")
	}
	w.leaving(catalog.CopyRemoving)
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	w.wantBodies("c2", "a", "", "the second", "body of a")
}

// What another replication wrote stays as it is, with what FaDO wrote of the same key.
func TestEvictKeepsForeignReplicas(t *testing.T) {
	t.Parallel()
	w := versioned(t)
	w.synced("a")
	w.fakes["c2"].Replicate(bkt, "a", "another replication's")
	w.fakes["c2"].Replicate(bkt, "z", "another replication's")
	w.leaving(catalog.CopyRemoving)
	w.must(w.Evictor.Evict(t.Context(), at("c2")))
	w.wantBodies("c2", "a", "another replication's", "body of a")
	w.wantBodies("c2", "z", "another replication's")
	w.wantBodies("c1", "a", "body of a")
}

// A version that a user restored by a server-side copy carries what FaDO's had, and stays: at
// most below a delete marker, be it the current one or not.
func TestEvictKeepsRestoredVersions(t *testing.T) {
	t.Parallel()
	for _, below := range []bool{false, true} {
		w := newWorld(t)
		w.fakes["c2"].KeepVersions(bkt)
		w.synced("a")
		w.fakes["c1"].User(bkt, "a", "the second")
		w.must(w.Scanner.Scan(t.Context(), at("c2")))
		w.settle()
		w.fakes["c2"].CopyVersion(bkt, "a")
		if below {
			w.fakes["c2"].User(bkt, "a", "a user's third")
			w.fakes["c1"].User(bkt, "a", "a user's third")
		}
		w.leaving(catalog.CopyRemoving)
		w.must(w.Evictor.Evict(t.Context(), at("c2")))
		if got := w.fakes["c2"].Bodies(bkt, "a"); !slices.Contains(got, "body of a") {
			t.Errorf("below another version: %v: what a user restored is gone: %q", below, got)
		}
	}
}
