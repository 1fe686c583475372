package replication

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/evict"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// anywherePolicy declares a policy with copies in all of these clusters, each written.
func (w *world) anywherePolicy(name string, clusters ...string) {
	w.Helper()
	w.apply(&catalog.Policy{
		Name: name, Copies: catalog.Copies{N: len(clusters)}, Clusters: clusters, Prefer: clusters, Writes: catalog.WritesAnywhere,
	})
}

// anywhereWorld has a bucket written in all of its clusters.
func anywhereWorld(t *testing.T, s Settings, servers ...testenv.Shared) (*world, []string) {
	t.Helper()
	w := newWorld(t, s, nil)
	names := []string{"c1", "c2", "c3"}[:len(servers)]
	for i, l := range servers {
		w.cluster(names[i], l.Server(t))
	}
	w.anywherePolicy("all", names...)
	w.bucket("bkt", "all", "c1")
	w.awaitOK("bkt", names...)
	return w, names
}

// awaitContent waits until every cluster shows a content of a key; "" means none.
func (w *world) awaitContent(bucket, key, want string, clusters ...string) {
	w.Helper()
	w.await(bucket+"/"+key+" is "+want, func() bool {
		for _, c := range clusters {
			if got, _ := w.get(c, bucket, key); got != want {
				return false
			}
		}
		return true
	})
}

// awaitIdle waits until nothing is pending in a bucket.
func (w *world) awaitIdle(bucket string) {
	w.Helper()
	w.await("nothing pending in "+bucket, func() bool {
		logs, err := w.store.Queue().Backlogs(context.Background(), bucket)
		return err == nil && len(logs) == 0
	})
}

// versionsEverywhere returns every content of any version of a key in any of the clusters.
func (w *world) versionsEverywhere(bucket, key string, clusters ...string) map[string]bool {
	w.Helper()
	found := make(map[string]bool)
	for _, c := range clusters {
		for o := range w.apis[c].ListObjects(context.Background(), w.prefix+bucket, minio.ListObjectsOptions{
			Prefix: key, Recursive: true, WithVersions: true,
		}) {
			w.must(o.Err)
			if o.Key == key && !o.IsDeleteMarker {
				found[w.getVersion(c, bucket, key, o.VersionID)] = true
			}
		}
	}
	return found
}

func (w *world) getVersion(cluster, bucket, key, id string) string {
	w.Helper()
	o, err := w.apis[cluster].GetObject(context.Background(), w.prefix+bucket, key, minio.GetObjectOptions{VersionID: id})
	w.must(err)
	defer o.Close()
	b, err := io.ReadAll(o)
	w.must(err)
	return string(b)
}

func TestWritesAnywhere(t *testing.T) {
	t.Parallel()
	w, all := anywhereWorld(t, Settings{}, minioA, minioB, minioC)
	w.feedsLive(all...)
	for i, c := range all {
		w.put(c, "bkt", "own/"+c, "from "+c)
		w.put(c, "bkt", "shared", strings.Repeat("x", i+1))
		w.awaitContent("bkt", "own/"+c, "from "+c, all...)
		w.awaitContent("bkt", "shared", strings.Repeat("x", i+1), all...)
	}
	w.del("c2", "bkt", "shared")
	w.awaitContent("bkt", "shared", "", all...)
	w.put("c3", "bkt", "shared", "again")
	w.awaitContent("bkt", "shared", "again", all...)
	w.del("c1", "bkt", "own/c3")
	w.awaitContent("bkt", "own/c3", "", all...)
	w.awaitIdle("bkt")
	w.awaitSame("bkt", all...)
	versions := w.versionsEverywhere("bkt", "shared", all...)
	for _, v := range []string{"x", "xx", "xxx", "again"} {
		if !versions[v] {
			t.Errorf("version %q is nowhere: %v", v, versions)
		}
	}
	for _, c := range all {
		if !w.ctl.Router().Current("bkt", "shared", c) {
			t.Errorf("%s is not current", c)
		}
	}
}

// TestAnywhereNeedsVersions: a storage that keeps no versions makes the bucket stuck with
// that reason, and what is there is not touched.
func TestAnywhereNeedsVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", testenv.VersityGW(t, testenv.Options{}))
	w.anywherePolicy("all", "c1", "c2")
	w.makeBucket("c1", "bkt")
	w.makeBucket("c2", "bkt")
	w.put("c1", "bkt", "k", "one")
	w.put("c2", "bkt", "k", "two")
	w.bucket("bkt", "all", "c1")
	w.awaitStuck("bkt", site.ErrUnversioned.Error(), "c2")
	if got, _ := w.get("c2", "bkt", "k"); got != "two" {
		t.Errorf("what was in c2 is %q now", got)
	}
}

// TestAnywhereSuspended: that someone suspended versioning is said, not undone.
func TestAnywhereSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.anywherePolicy("all", "c1", "c2")
	w.makeBucket("c2", "bkt")
	w.must(w.apis["c2"].EnableVersioning(t.Context(), w.prefix+"bkt"))
	w.must(w.apis["c2"].SuspendVersioning(t.Context(), w.prefix+"bkt"))
	w.bucket("bkt", "all", "c1")
	w.awaitStuck("bkt", "suspended", "c2")
	v, err := w.apis["c2"].GetBucketVersioning(t.Context(), w.prefix+"bkt")
	if w.must(err); v.Status != "Suspended" {
		t.Errorf("versioning is %s now", v.Status)
	}
	w.must(w.apis["c2"].EnableVersioning(t.Context(), w.prefix+"bkt"))
	w.awaitOK("bkt", "c1", "c2")
}

func (w *world) awaitStuck(bucket string, reasons ...string) {
	w.Helper()
	w.await(bucket+" is stuck", func() bool {
		st := w.status(bucket)
		for _, r := range reasons {
			if !strings.Contains(st.Reason, r) {
				return false
			}
		}
		return st.State == control.BucketStuck
	})
}

// TestAnywhereWithAnotherS3: the same between a MinIO and a storage that keeps neither times
// nor version IDs; its changes are found by scans.
func TestAnywhereWithAnotherS3(t *testing.T) {
	t.Parallel()
	w, all := anywhereWorld(t, Settings{}, minioA, versA)
	w.put("c1", "bkt", "k", "one")
	w.awaitContent("bkt", "k", "one", all...)
	w.put("c2", "bkt", "k", "two")
	w.awaitContent("bkt", "k", "two", all...)
	w.del("c2", "bkt", "k")
	w.awaitContent("bkt", "k", "", all...)
	w.put("c1", "bkt", "k", "three")
	w.awaitContent("bkt", "k", "three", all...)
	w.del("c1", "bkt", "k")
	w.awaitContent("bkt", "k", "", all...)
	w.put("c2", "bkt", "other", "four")
	w.awaitContent("bkt", "other", "four", all...)
	w.awaitIdle("bkt")
	versions := w.versionsEverywhere("bkt", "k", all...)
	for _, v := range []string{"one", "two", "three"} {
		if !versions[v] {
			t.Errorf("version %q is nowhere: %v", v, versions)
		}
	}
}

// TestAnywhereHubDown: while the primary's storage can't be reached, the others exchange
// what they are told, and it catches up when it is back.
func TestAnywhereHubDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	proxy := testenv.StartProxy(t, minioA.Server(t).Endpoint)
	w.clusterAt("c1", minioA.Server(t), proxy.Endpoint())
	w.cluster("c2", minioB.Server(t))
	w.cluster("c3", minioC.Server(t))
	w.anywherePolicy("all", "c1", "c2", "c3")
	w.bucket("bkt", "all", "c1")
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.feedsLive("c1", "c2", "c3")
	w.must(proxy.Refuse(true))
	w.put("c2", "bkt", "k", "one")
	w.awaitContent("bkt", "k", "one", "c2", "c3")
	w.put("c3", "bkt", "k", "two")
	w.awaitContent("bkt", "k", "two", "c2", "c3")
	w.put("c1", "bkt", "late", "written while nobody could ask")
	w.must(proxy.Refuse(false))
	w.awaitContent("bkt", "k", "two", "c1")
	w.awaitContent("bkt", "late", "written while nobody could ask", "c1", "c2", "c3")
	w.awaitIdle("bkt")
}

// TestAnywhereLosersOutliveTheirCopy: a copy that leaves takes no version along that is
// nowhere else: writes that lost, deleted objects, the last write that nobody has yet.
func TestAnywhereLosersOutliveTheirCopy(t *testing.T) {
	t.Parallel()
	for _, leaving := range []struct {
		name string
		testenv.Shared
	}{{"minio", minioC}, {"versitygw", versA}} {
		t.Run(leaving.name, func(t *testing.T) {
			w, all := anywhereWorld(t, Settings{DrainTimeout: 1}, minioA, minioB, leaving.Shared)
			w.feedsLive("c1", "c2")
			w.put("c3", "bkt", "deleted", "of a deleted object")
			w.put("c3", "bkt", "k", "first, at c3")
			w.awaitContent("bkt", "k", "first, at c3", all...)
			w.awaitContent("bkt", "deleted", "of a deleted object", all...)
			w.eng.Pause(t.Context())
			w.put("c3", "bkt", "k", "lost, at c3")
			awaitNextSeconds(1) // versitygw tells whole seconds
			w.put("c1", "bkt", "k", "won, at c1")
			w.put("c3", "bkt", "last", "nobody has it yet")
			w.del("c3", "bkt", "deleted")
			w.must(w.eng.Resume(t.Context()))
			w.anywherePolicy("all", "c1", "c2")
			w.awaitOK("bkt", "c1", "c2")
			if there := w.contents("c3", "bkt"); len(there) > 0 {
				t.Errorf("c3 still has %v", there)
			}
			w.awaitContent("bkt", "k", "won, at c1", "c1", "c2")
			w.awaitContent("bkt", "last", "nobody has it yet", "c1", "c2")
			w.awaitContent("bkt", "deleted", "", "c1", "c2")
			for key, bodies := range map[string][]string{
				"k": {"first, at c3", "lost, at c3", "won, at c1"}, "deleted": {"of a deleted object"},
			} {
				found := w.versionsEverywhere("bkt", key, "c1", "c2")
				for _, b := range bodies {
					if !found[b] {
						t.Errorf("%s: %q is nowhere any more: %v", key, b, found)
					}
				}
			}
		})
	}
}

// TestAnywhereCopyStaysForItsVersions: where no storage that remains can take a version that
// lost, its copy stays, and the bucket says why.
func TestAnywhereCopyStaysForItsVersions(t *testing.T) {
	t.Parallel()
	w, _ := anywhereWorld(t, Settings{DrainTimeout: 1}, versA, minioA)
	w.eng.Pause(t.Context())
	w.put("c2", "bkt", "k", "lost")
	awaitNextSeconds(1)
	w.put("c1", "bkt", "k", "won")
	w.must(w.eng.Resume(t.Context()))
	w.awaitContent("bkt", "k", "won", "c2")
	w.anywherePolicy("all", "c1")
	w.awaitStuck("bkt", evict.ErrOnlyThere.Error(), "c2")
	if found := w.versionsEverywhere("bkt", "k", "c2"); !found["lost"] {
		t.Errorf("the loser has gone: %v", found)
	}
}

// TestWritesPrimaryToAnywhereAndBack: what was in conflict is decided by who wrote last;
// back, everything is brought together first, and what is written at a copy from then on is
// someone else's.
func TestWritesPrimaryToAnywhereAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.policy("all", 2, "c1", "c2")
	w.bucket("bkt", "all", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1", "c2")
	w.put("c1", "bkt", "k", "by c1")
	w.awaitContent("bkt", "k", "by c1", "c2")
	w.put("c2", "bkt", "k", "by c2")
	w.await("a conflict", func() bool { return w.status("bkt").State == control.BucketConflict })

	w.anywherePolicy("all", "c1", "c2")
	w.put("c1", "bkt", "new", "one")
	w.awaitContent("bkt", "new", "one", "c1", "c2")
	w.put("c2", "bkt", "new", "two")
	w.awaitContent("bkt", "new", "two", "c1", "c2")
	w.awaitOK("bkt", "c1", "c2")
	w.awaitSame("bkt", "c1", "c2")

	w.eng.Pause(t.Context())
	w.put("c2", "bkt", "late", "written before the change")
	awaitNextSeconds(2)
	w.policy("all", 2, "c1", "c2")
	w.must(w.eng.Resume(t.Context()))
	w.awaitContent("bkt", "late", "written before the change", "c1")
	w.await("only the primary is written", func() bool {
		a, _ := w.copyRow("bkt", "", "c1")
		b, _ := w.copyRow("bkt", "", "c2")
		return !a.Anywhere && !b.Anywhere
	})
	w.awaitOK("bkt", "c1", "c2")
	w.put("c1", "bkt", "late", "FaDO may replace what it has seen")
	w.awaitContent("bkt", "late", "FaDO may replace what it has seen", "c2")
	w.put("c2", "bkt", "late", "not this")
	w.await("a conflict", func() bool { return w.status("bkt").State == control.BucketConflict })
	w.awaitContent("bkt", "late", "not this", "c2")
	w.awaitContent("bkt", "late", "FaDO may replace what it has seen", "c1")
}

// TestAnywhereResidency: what is written where a rule forbids it stays there, and nothing is
// written to a cluster that the policy does not allow.
func TestAnywhereResidency(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.cluster("c3", minioC.Server(t))
	w.anywherePolicy("all", "c1", "c2", "c3")
	w.anywherePolicy("two", "c1", "c2")
	w.bucket("bkt", "all", "c1", catalog.PrefixRule{Prefix: "p/", Policy: "two"})
	w.await("synced", func() bool { return w.status("bkt").State == control.BucketOK })
	w.feedsLive("c1", "c2", "c3")
	w.put("c2", "bkt", "p/k", "personal")
	w.put("c3", "bkt", "p/own", "someone's")
	w.put("c2", "bkt", "k", "for all")
	w.awaitContent("bkt", "p/k", "personal", "c1")
	w.awaitContent("bkt", "k", "for all", "c1", "c3")
	w.awaitIdle("bkt")
	if got, ok := w.get("c3", "bkt", "p/k"); ok {
		t.Errorf("c3 has %q", got)
	}
	if got, ok := w.get("c1", "bkt", "p/own"); ok {
		t.Errorf("c1 has %q", got)
	}
}

// TestAnywhereBreaker: a storm of deletes at one copy is held at the others; refused, the
// objects come back where they were deleted, as the last write.
func TestAnywhereBreaker(t *testing.T) {
	t.Parallel()
	w, all := anywhereWorld(t, Settings{MaxDeletes: MaxDeletes{Objects: 2}}, minioA, minioB)
	w.feedsLive(all...)
	for i := range 5 {
		w.put("c1", "bkt", fmt.Sprint("k", i), "content")
	}
	w.awaitSame("bkt", all...)
	w.awaitIdle("bkt")
	for i := range 5 {
		w.del("c2", "bkt", fmt.Sprint("k", i))
	}
	w.await("three deletes are held", func() bool { return w.heldDeletes("bkt") == 3 })
	if n := len(w.contents("c1", "bkt")); n != 3 {
		t.Errorf("c1 has %d objects, want 3", n)
	}
	n, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false)
	if w.must(err); n != 3 {
		t.Errorf("%d deletes were rejected, want 3", n)
	}
	w.await("three objects are back", func() bool { return len(w.contents("c2", "bkt")) == 3 })
	w.awaitSame("bkt", all...)
	w.awaitIdle("bkt")
}

// TestAnywhereRejectsWhatIsRaisedAgain: a scan that saw the difference raises rows that were
// held meanwhile, and no worker has held them again when they are rejected.
func TestAnywhereRejectsWhatIsRaisedAgain(t *testing.T) {
	t.Parallel()
	w, all := anywhereWorld(t, Settings{MaxDeletes: MaxDeletes{Objects: 2}}, minioA, minioB)
	w.feedsLive(all...)
	for i := range 5 {
		w.put("c1", "bkt", fmt.Sprint("k", i), "content")
	}
	w.awaitSame("bkt", all...)
	w.awaitIdle("bkt")
	for i := range 5 {
		w.del("c2", "bkt", fmt.Sprint("k", i))
	}
	hold := state.HoldDeletes
	var held []state.Pending
	w.await("three deletes are held", func() bool {
		held = w.pending(state.PendingFilter{Bucket: "bkt", Hold: &hold})
		return len(held) == 3
	})
	for _, row := range held {
		row.Hold, row.NextAttempt = state.HoldNone, time.Now().Add(time.Hour)
		w.must(w.ctl.Pending.Add(t.Context(), row))
	}
	n, err := w.eng.Decisions().Deletes(t.Context(), "bkt", false)
	if w.must(err); n != 3 {
		t.Errorf("%d deletes were rejected, want 3", n)
	}
	w.awaitSame("bkt", all...)
	if n := len(w.contents("c1", "bkt")); n != 3 {
		t.Errorf("%d objects are left, want the 3 that were held", n)
	}
}

// TestAnywhereDamagedCopyIsRewritten: bytes that rotted are replaced from another copy of the
// version, which stays the same one in the order.
func TestAnywhereDamagedCopyIsRewritten(t *testing.T) {
	t.Parallel()
	w, all := anywhereWorld(t, Settings{}, minioA, minioB)
	w.put("c1", "bkt", "k", "content")
	w.awaitContent("bkt", "k", "content", all...)
	w.awaitIdle("bkt")
	for _, c := range all { // the original's home as well
		ref := ids.ObjectIn("bkt", "k", c)
		if v, err := w.eng.core.objects.Settle(t.Context(), object.Task{Object: ref, Size: 7, Damaged: true}); err != nil || v != object.Copied {
			t.Fatalf("%s: %v, %v", c, v, err)
		}
		if v, err := w.eng.core.objects.Settle(t.Context(), object.Task{Object: ref, Size: 7}); err != nil || v != object.InStep {
			t.Fatalf("%s afterwards: %v, %v", c, v, err)
		}
	}
	w.awaitContent("bkt", "k", "content", all...)
}
