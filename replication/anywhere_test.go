package replication

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
)

// anywherePolicy declares a policy with copies in all of these clusters, each written.
func (w *world) anywherePolicy(name string, clusters ...string) {
	w.Helper()
	w.apply(&catalog.Policy{
		Name: name, Copies: catalog.Copies{N: len(clusters)}, Clusters: clusters, Prefer: clusters, Writes: catalog.WritesAnywhere,
	})
}

// anywhereWorld has a bucket written in all of its clusters.
func anywhereWorld(t *testing.T, s Settings, servers ...lazy) (*world, []string) {
	w := newWorld(t, s, nil)
	names := []string{"c1", "c2", "c3"}[:len(servers)]
	for i, l := range servers {
		w.cluster(names[i], l.server(t))
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
		logs, err := w.store.Backlogs(context.Background(), bucket)
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
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.server(t))
	w.cluster("c2", testenv.VersityGW(t, testenv.Options{}))
	w.anywherePolicy("all", "c1", "c2")
	w.makeBucket("c1", "bkt")
	w.makeBucket("c2", "bkt")
	w.put("c1", "bkt", "k", "one")
	w.put("c2", "bkt", "k", "two")
	w.bucket("bkt", "all", "c1")
	w.awaitStuck("bkt", errUnversioned.Error(), "c2")
	if got, _ := w.get("c2", "bkt", "k"); got != "two" {
		t.Errorf("what was in c2 is %q now", got)
	}
}

// TestAnywhereSuspended: that somebody suspended versioning is said, not undone.
func TestAnywhereSuspended(t *testing.T) {
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.server(t))
	w.cluster("c2", minioB.server(t))
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
