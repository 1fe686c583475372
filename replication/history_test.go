package replication

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/minio/minio-go/v7"
)

// wholeHistory lists every version and delete marker of a bucket, as the storage does.
func (w *world) wholeHistory(cluster, bucket string) (all []string) {
	w.Helper()
	for o := range w.apis[cluster].ListObjects(context.Background(), w.prefix+bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if minio.ToErrorResponse(o.Err).Code == "NoSuchBucket" {
			return nil
		}
		w.must(o.Err)
		all = append(all, fmt.Sprintf("%s %s %s %d %v %s", o.Key, o.VersionID, o.ETag, o.Size, o.IsDeleteMarker, o.LastModified.UTC()))
	}
	return all
}

func (w *world) awaitVersions(bucket, a, b string) {
	w.Helper()
	w.await(fmt.Sprintf("the history of %s to be the same in %s and %s", bucket, a, b), func() bool {
		x, y := w.wholeHistory(a, bucket), w.wholeHistory(b, bucket)
		return len(x) > 0 && slices.Equal(x, y)
	})
}

// historied has a bucket in c1 with history from before it is registered, the null version of a
// time when it kept none included, and a copy of it in c2.
func historied(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, Settings{}, nil)
	w.threeMinIOs()
	w.makeBucket("c1", "bkt")
	w.put("c1", "bkt", "k", "from before versions were kept")
	w.must(w.apis["c1"].EnableVersioning(t.Context(), w.prefix+"bkt"))
	for i := range 3 {
		w.put("c1", "bkt", "k", fmt.Sprint("before ", i))
		w.put("c1", "bkt", "deleted", fmt.Sprint("before ", i))
		w.del("c1", "bkt", "deleted")
	}
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "")
	w.awaitOK("bkt", "c1", "c2")
	return w
}

// Between MinIOs a copy has every version and delete marker with ID, ETag and time: those from before
// the registration, those that are overwritten at once, deletes and what they hide.
func TestCopiesHaveHistory(t *testing.T) {
	t.Parallel()
	w := historied(t)
	w.awaitVersions("bkt", "c1", "c2")
	w.feedsLive("c1")
	for i := range 10 {
		w.put("c1", "bkt", "k", fmt.Sprint("quick ", i))
		w.put("c1", "bkt", "new", fmt.Sprint("quick ", i))
	}
	w.del("c1", "bkt", "new")
	w.awaitVersions("bkt", "c1", "c2")
	w.awaitOK("bkt", "c1", "c2")
}

// A primary that moves has its history at the new one before anything of it is removed at the old.
func TestHistoryMoves(t *testing.T) {
	t.Parallel()
	w := historied(t)
	w.feedsLive("c1")
	want := w.wholeHistory("c1", "bkt")
	w.policy("p", 2, "c2", "c3")
	w.await("c1 is left", func() bool {
		_, there := w.copyRow("bkt", "", "c1")
		return !there
	})
	w.awaitOK("bkt", "c2", "c3")
	for _, c := range []string{"c2", "c3"} {
		w.await("all versions in "+c, func() bool { return slices.Equal(w.wholeHistory(c, "bkt"), want) })
	}
	w.put("c2", "bkt", "k", "after the move")
	w.awaitVersions("bkt", "c2", "c3")
}

// Versions that users remove from the primary by their IDs, and delete markers, go from the copy: what its
// storage tells of is proof enough. What the copies' storage refuses to remove stays.
func TestRemovedVersionsAreFollowed(t *testing.T) {
	t.Parallel()
	w := historied(t)
	w.awaitVersions("bkt", "c1", "c2")
	w.feedsLive("c1")
	remove := func(key string, which func(o minio.ObjectInfo) bool) {
		t.Helper()
		var ids []string
		for o := range w.apis["c1"].ListObjects(t.Context(), w.prefix+"bkt", minio.ListObjectsOptions{Prefix: key, WithVersions: true}) {
			w.must(o.Err)
			if o.VersionID != "null" && which(o) {
				ids = append(ids, o.VersionID)
			}
		}
		if len(ids) == 0 {
			t.Fatalf("%s has no such version", key)
		}
		for _, id := range ids {
			w.must(w.apis["c1"].RemoveObject(t.Context(), w.prefix+"bkt", key, minio.RemoveObjectOptions{VersionID: id}))
		}
		w.awaitVersions("bkt", "c1", "c2")
	}
	older := 0
	remove("k", func(o minio.ObjectInfo) bool { older++; return !o.IsLatest && older == 3 })
	remove("k", func(o minio.ObjectInfo) bool { return o.IsLatest })
	remove("deleted", func(o minio.ObjectInfo) bool { return !o.IsDeleteMarker })
	w.put("c1", "bkt", "k", "more")
	w.awaitVersions("bkt", "c1", "c2")
	w.awaitOK("bkt", "c1", "c2")
}
