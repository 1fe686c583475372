package purge

import (
	"context"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/walktest"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// A purge of everything takes the objects of all, and the buckets that FaDO made.
func TestPurgeAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.Fakes["c2"].User(bkt, "theirs", "someone else's")
	w.carryOut(w.order(state.PurgeAll))
	for cluster, made := range map[string]bool{"c1": false, "c2": true} {
		if got := w.Fakes[cluster].Contents(bkt); len(got) != 0 || (got == nil) != made {
			t.Errorf("%s has %v", cluster, got)
		}
	}
}

// A purge of copies leaves the primary, and what is someone else's in a copy.
func TestPurgeCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.Fakes["c2"].User(bkt, "theirs", "someone else's")
	w.carryOut(w.order(state.PurgeCopies))
	w.wantKeys("c1", "a", "b")
	w.wantKeys("c2", "theirs")
}

// An object of a copy goes if the primary has the same, or has gone on since FaDO wrote it; it
// stays if the primary has none, or went back in time: then it may be the last there is.
func TestPurgeCopiesKeepsTheLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("same", "newer", "gone", "back")
	w.Fakes["c1"].User(bkt, "newer", "newer at the primary")
	w.Fakes["c1"].UserDelete(bkt, "gone")
	w.Fakes["c1"].Restore(bkt, "back", "an older state")
	w.carryOut(w.order(state.PurgeCopies))
	w.wantKeys("c1", "same", "newer", "back")
	w.wantKeys("c2", "gone", "back")
}

// What was in conflict when the purge was decided is someone else's, whatever it looks like.
func TestPurgeCopiesKeepsConflicts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	w.Fakes["c1"].User(bkt, "a", "newer at the primary")
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "a", Cluster: "c2", Since: time.Now(), Hold: state.HoldConflict}))
	w.carryOut(w.order(state.PurgeCopies))
	w.wantKeys("c2", "a")
}

// A purge of everything takes what a bucket hides, a purge of copies what is FaDO's of it.
func TestPurgeTakesOldVersions(t *testing.T) {
	t.Parallel()
	for _, mode := range []state.PurgeMode{state.PurgeAll, state.PurgeCopies} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.KeepTimes()
			w.synced("k")
			w.Fakes["c1"].UserDelete(bkt, "k")
			w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Since: time.Now()}))
			w.Settle()
			w.WantBodies("c2", "k", "", "body of k")
			w.carryOut(w.order(mode))
			if got := w.Fakes["c2"].Bodies(bkt, "k"); len(got) != 0 {
				t.Errorf("c2 hides %q", got)
			}
			if got := w.Fakes["c1"].Bodies(bkt, "k"); (len(got) == 0) != (mode == state.PurgeAll) {
				t.Errorf("c1 hides %q", got)
			}
		})
	}
}

// Nothing is removed in another bucket than the one that the purge was decided about.
func TestPurgeLeavesAnotherBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	in := w.order(state.PurgeAll)
	w.Reborn("c2")
	w.Fakes["c2"].User(bkt, "a", "body of a")
	w.carryOut(in)
	w.wantKeys("c1")
	w.wantKeys("c2", "a")
}

// Copies are compared with no other bucket than the primary that they were made of.
func TestPurgeCopiesAsksForThePrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	in := w.order(state.PurgeCopies)
	w.Reborn("c1")
	w.Fakes["c1"].User(bkt, "a", "body of a")
	w.carryOut(in)
	w.wantKeys("c2", "a")
}

// A purge ends where the bucket is declared again, whatever it has removed until then.
func TestPurgeEndsWhenTheBucketIsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b", "c")
	in := w.order(state.PurgeAll)
	w.Fakes["c2"].SetFault(func(_ context.Context, op, _, key string) error {
		if op == "listed" && key == "b" {
			w.Apply(&catalog.Bucket{Name: bkt, Policy: "p", Primary: "c1"})
		}
		return nil
	})
	w.carryOut(in)
	w.wantKeys("c1", "a", "b", "c")
	w.wantKeys("c2", "b", "c")
}

// Where there is only what was copied on demand, that goes, and only if it is what FaDO put there.
func TestPurgeOfPulledObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c3 := w.Fakes["c3"]
	c3.User(bkt, "beside", "someone else's")
	for _, k := range []string{"a", "changed"} {
		w.Fakes["c1"].User(bkt, k, "body of "+k)
	}
	w.Rows(walktest.Primary("c1"), walktest.CopyOf("c3", catalog.CopyWaiting))
	w.Must(w.syncer.Sync(t.Context(), walktest.At("c3")))
	w.Rows(walktest.Primary("c1"))
	for _, k := range []string{"a", "changed", "gone"} {
		row := state.Pulled{Bucket: bkt, Key: k, Cluster: "c3", Until: time.Now().Add(time.Hour)}
		if o, err := w.Site("c3").Stat(t.Context(), bkt, k); err != nil || o != nil {
			w.Must(err)
			row.ETag = o.ETag
		}
		w.Must(w.Store.Pulls().PutPulled(t.Context(), row))
	}
	c3.User(bkt, "changed", "by someone")
	w.carryOut(w.order(state.PurgeAll))
	w.wantKeys("c3", "changed", "beside")
}

// Data in a cluster that has no storage any more is left; the others are purged.
func TestPurgeWithoutStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a")
	in := w.order(state.PurgeAll)
	w.Apply(&catalog.Cluster{Name: "c2", Zones: []string{"c2"}})
	w.Sites.Redeclared()
	w.carryOut(in)
	w.wantKeys("c1")
	w.wantKeys("c2", "a")
}

// A purge that is cut goes on with what it had not finished, the primary last.
func TestPurgeGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.synced("a", "b")
	in := w.order(state.PurgeAll)
	w.Fakes["c1"].SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "ping" {
			return nil
		}
		return storage.ErrDenied
	})
	if cluster, err := w.purge(t.Context(), in); cluster != "c1" || err == nil {
		t.Errorf("it met %v in %q", err, cluster)
	}
	left := w.underWay()
	if len(left) != 1 || len(left[0].Targets) != 1 || left[0].Targets[0].Cluster != "c1" {
		t.Fatalf("left is %+v", left)
	}
	w.Fakes["c1"].SetFault(nil)
	w.carryOut(left[0])
	w.wantKeys("c1")
}
