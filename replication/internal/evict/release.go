package evict

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
)

// ReleaseHistory removes every version for good that a bucket's copies in a cluster hide which are being
// removed, and returns of how many objects. It can be cut anywhere and called again.
func (e *Evictor) ReleaseHistory(ctx context.Context, bucket, cluster string) (objects int, err error) {
	rows, err := e.o.Copies.Of(ctx, bucket)
	if err != nil {
		return 0, err
	}
	leaving := 0
	for _, row := range rows {
		if row.Cluster != cluster || row.Primary || row.State != catalog.CopyRemoving {
			continue
		}
		leaving++
		n, err := e.releaseCopy(ctx, ids.CopyIn(bucket, row.Prefix, cluster))
		objects += n
		if err != nil {
			return objects, err
		}
	}
	if leaving == 0 {
		return 0, fmt.Errorf("bucket %s in %s: %w", bucket, cluster, ErrNoneLeaves)
	}
	return objects, nil
}

func (e *Evictor) releaseCopy(ctx context.Context, id ids.Copy) (objects int, err error) {
	v, err := look(ctx, e.o, id)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(v.settled(), e.o.Buckets.Identities.MayRemove(ctx, v.removal())); err != nil {
		return 0, err
	}
	v.keep = v.keeper()
	if has, err := v.dst.HasHistory(ctx, id.Bucket); err != nil || !has {
		return 0, err
	}
	for key, err := range v.dst.Reader().VersionedKeys(ctx, id.Bucket, id.Prefix) {
		if err != nil {
			return objects, err
		}
		if v.keep(key) {
			continue
		}
		released, err := v.release(ctx, key)
		if err != nil {
			return objects, err
		}
		if released {
			objects++
		}
	}
	e.o.Log.Info("older versions at a copy that leaves were removed, as people asked", zap.String("bucket", id.Bucket),
		zap.String("prefix", id.Prefix), zap.String("cluster", id.Cluster), zap.Int("objects", objects))
	return objects, nil
}

// release removes all versions of a key that shows none.
func (v *eviction) release(ctx context.Context, key string) (released bool, err error) {
	ref := ids.ObjectIn(v.id.Bucket, key, v.id.Cluster)
	err = v.removing(ctx, ref, func(ctx context.Context, p *guard.Pass) error {
		h, err := object.HistoryAt(ctx, v.dst, ref.Bucket, key, storage.MaxHistory)
		if err != nil || len(h.Versions) == 0 || !h.Versions[0].Deleted {
			return err // what is shown is not hidden
		}
		released = true
		return object.DropVersions(ctx, p, v.dst, h.Versions)
	})
	return released, err
}
