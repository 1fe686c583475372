package replication

import (
	"context"
	"fmt"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

func (w *world) conflicts(bucket, cluster string) map[string]bool {
	w.Helper()
	hold := state.HoldConflict
	keys := make(map[string]bool)
	for _, r := range w.pending(state.PendingFilter{Bucket: bucket, Cluster: cluster, Hold: &hold}) {
		keys[r.Key] = true
	}
	return keys
}

// Two storages that hold a bucket of the same name before FaDO knows of them: what is
// the same is adopted, what is missing is copied, everything else stays and is reported.
func TestImportNeverOverwritesOrDeletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	for _, c := range []string{"c1", "c2"} {
		w.makeBucket(c, "bkt")
		w.put(c, "bkt", "same", "same")
		w.put(c, "bkt", "other", "as in "+c)
	}
	w.put("c1", "bkt", "only1", "1")
	w.put("c2", "bkt", "only2", "2")
	awaitNextSeconds(2)
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.await("copy synced with conflicts", func() bool {
		row, _ := w.copyRow("bkt", "", "c2")
		return row.State == catalog.CopySynced && w.status("bkt").State == control.BucketConflict && w.status("bkt").Conflicts == 2
	})
	if got := w.conflicts("bkt", "c2"); len(got) != 2 || !got["other"] || !got["only2"] {
		t.Fatalf("conflicts %v", got)
	}
	want := map[string]string{"same": "same", "other": "as in c2", "only1": "1", "only2": "2"}
	for k, v := range want {
		if got, _ := w.get("c2", "bkt", k); got != v {
			t.Errorf("c2 has %s = %q, want %q", k, got, v)
		}
	}
	if _, ok := w.get("c1", "bkt", "only2"); ok {
		t.Error("only2 was copied to the primary")
	}

	// What was compared and found the same is followed from then on.
	w.feedsLive("c1", "c2")
	w.put("c1", "bkt", "same", "new version")
	w.await("the adopted object follows", func() bool { got, _ := w.get("c2", "bkt", "same"); return got == "new version" })

	// A change at the primary does not make a foreign object FaDO's, nor does a scan.
	w.put("c1", "bkt", "other", "changed at c1")
	w.put("c1", "bkt", "only2", "written at c1")
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.put("c1", "bkt", "last", "x")
	w.await("the last change arrives", func() bool { _, ok := w.get("c2", "bkt", "last"); return ok })
	w.await("conflicts stand again", func() bool { return len(w.conflicts("bkt", "c2")) == 2 })
	for _, k := range []string{"other", "only2"} {
		if got, _ := w.get("c2", "bkt", k); got != want[k] {
			t.Errorf("c2 has %s = %q, want %q", k, got, want[k])
		}
	}

	// People resolve a conflict by removing the foreign object, or making it equal.
	w.del("c2", "bkt", "other")
	w.put("c1", "bkt", "only2", "2")
	w.awaitOK("bkt", "c1", "c2")
	w.awaitSame("bkt", "c1", "c2")
}

// An earlier life of the bucket left marked copies behind: those the primary lacks stay,
// and only a newer version replaces one.
func TestImportOfForgottenCopies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	w.put("c1", "bkt", "kept", "1")
	w.put("c1", "bkt", "lost", "2")
	w.put("c1", "bkt", "newer", "3")
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.must(w.ctl.Resources.Delete(context.Background(), catalog.KindBucket, "bkt", control.Precondition{}))
	awaitNextSeconds(1)
	w.del("c1", "bkt", "lost")
	w.put("c1", "bkt", "newer", "3, newer")
	w.bucket("bkt", "two", "c1")
	w.await("settled", func() bool {
		row, ok := w.copyRow("bkt", "", "c2")
		return ok && row.State == catalog.CopySynced && w.status("bkt").Conflicts == 1
	})
	if got, _ := w.get("c2", "bkt", "lost"); got != "2" {
		t.Errorf("lost = %q: an import removed it", got)
	}
	if got, _ := w.get("c2", "bkt", "newer"); got != "3, newer" {
		t.Errorf("newer = %q", got)
	}
}

// What someone writes at a copy is reported, and neither overwritten nor removed.
func TestForeignWritesAtCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	for i := range 5 {
		w.put("c1", "bkt", fmt.Sprint(i), "x")
	}
	w.policy("two", 2, "c1", "c2")
	w.bucket("bkt", "two", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1", "c2")
	awaitNextSeconds(2)
	w.put("c2", "bkt", "1", "foreign")
	w.put("c2", "bkt", "new", "foreign")
	w.await("conflicts", func() bool { return w.status("bkt").Conflicts == 2 })
	w.put("c1", "bkt", "1", "again from the primary")
	w.put("c1", "bkt", "2", "another")
	w.await("others follow", func() bool { got, _ := w.get("c2", "bkt", "2"); return got == "another" })
	w.await("conflicts stand", func() bool { return w.status("bkt").Conflicts == 2 })
	if got, _ := w.get("c2", "bkt", "1"); got != "foreign" {
		t.Errorf("1 = %q", got)
	}
	if got, _ := w.get("c2", "bkt", "new"); got != "foreign" {
		t.Errorf("new = %q", got)
	}
}
