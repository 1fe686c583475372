package s3gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/internal/testenv"
)

// twoKinds is a world of a bucket whose primary's storage tells of no change, with a copy at a MinIO.
func twoKinds(t *testing.T, primary, copies testenv.Shared) *world {
	t.Helper()
	w := newWorld(t, func(h *Handler) { h.emptiedPatience = 2 * time.Second })
	w.cluster("c1", primary.Server(t))
	w.cluster("c2", copies.Server(t))
	w.policy("one", 1, "c1")
	w.policy("both", 2, "c1", "c2")
	return w
}

// beside writes an object at a storage beside FaDO.
func (w *world) beside(api *minio.Core, bucket, key string) {
	w.Helper()
	_, err := api.PutObject(context.Background(), w.prefix+bucket, key, strings.NewReader("theirs"), 6, "", "", minio.PutObjectOptions{})
	w.must(err)
}

// refused has the bucket removed, which is to be refused, and an object of it is to stay at a storage.
func (w *world) refused(api *minio.Core, bucket, key string) {
	w.Helper()
	ctx := context.Background()
	if err := w.api.RemoveBucket(ctx, bucket); code(err) != "BucketNotEmpty" {
		w.Errorf("removing: %v, want BucketNotEmpty", err)
	}
	w.must(w.eng.Resume(ctx))
	if w.ctl.Router().Snapshot().Bucket(bucket) == nil {
		w.await("the purge of a bucket that was removed", func() bool {
			purges, err := w.store.Purges().Purges(ctx)
			return err == nil && len(purges) == 0
		})
	}
	if _, err := api.StatObject(ctx, w.prefix+bucket, key, minio.StatObjectOptions{}); err != nil {
		w.Errorf("%s, where it was acknowledged: %v", key, err)
	}
}

// A bucket that its primary shows empty goes only if its copies are empty, too: what others wrote there, and
// nobody told of, stays.
func TestDeleteBucketKeepsOthersObjects(t *testing.T) {
	t.Parallel()
	w := twoKinds(t, minioA, versA)
	w.bucket("bkt", "both", "c1")
	theirs := w.direct(versA.Server(t))
	w.beside(theirs, "bkt", "theirs")
	w.refused(theirs, "bkt", "theirs")
}

// A primary whose bucket has gone has lost it, and the copies may be the last that have its objects.
func TestDeleteBucketOfALostPrimary(t *testing.T) {
	t.Parallel()
	w := twoKinds(t, versA, minioA)
	w.bucket("bkt", "both", "c1")
	w.put("bkt", "k", "acknowledged")
	w.awaitCopy("bkt", "k", "c2")
	ctx := context.Background()
	lost := w.direct(versA.Server(t))
	w.must(lost.RemoveObject(ctx, w.prefix+"bkt", "k", minio.RemoveObjectOptions{}))
	w.must(lost.RemoveBucket(ctx, w.prefix+"bkt"))
	w.refused(w.direct(minioA.Server(t)), "bkt", "k")
}

// What lies in the place of a copy that was not begun was never compared.
func TestDeleteBucketBeforeACopyBegan(t *testing.T) {
	t.Parallel()
	w := twoKinds(t, minioA, minioB)
	ctx := context.Background()
	theirs := w.direct(minioB.Server(t))
	w.bucket("bkt", "one", "c1")
	w.must(theirs.MakeBucket(ctx, w.prefix+"bkt", minio.MakeBucketOptions{}))
	w.beside(theirs, "bkt", "theirs")
	w.must(w.eng.Pause(ctx))
	w.apply(&catalog.Bucket{Name: "bkt", Policy: "both", Primary: "c1"})
	w.await("a copy that is not begun", func() bool { return len(w.ctl.Router().Snapshot().Of("bkt").Copies()) == 2 })
	w.refused(theirs, "bkt", "theirs")
}
