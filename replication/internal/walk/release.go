package walk

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

// Versions that a copy hides when its residency ends: below a delete marker, and in no copy that remains,
// as far as can be told.
//
// Invariant: they go on people's word only, for they may be the last there are; and until they have
// gone, the copy's row stays and the bucket says so, for nothing is to lie unnamed where a policy does not
// allow it. Where the policy allows the cluster they stay, and the copy leaves.

// hiddenHistory counts the keys with such versions.
type hiddenHistory struct {
	keys int
	one  string // of them
}

// leavesBehind notes a key of which versions are left, if it is one that must not be there.
func leavesBehind(v *eviction, key string) {
	if v.o.Router.Snapshot().Allows(v.id.Bucket, key, v.id.Cluster) {
		return
	}
	v.behind.keys++
	v.behind.one = key
}

// keepsHidden returns why a copy that must not be there can't leave.
func (e *Evictor) keepsHidden(v *eviction) error {
	if v.behind.keys == 0 {
		return nil
	}
	e.mu.Lock()
	if e.hidden == nil {
		e.hidden = make(map[ids.Copy]hiddenHistory)
	}
	e.hidden[v.id] = v.behind
	e.mu.Unlock()
	return v.behind.reason(v.id)
}

func (h hiddenHistory) reason(id ids.Copy) error {
	return fmt.Errorf("%w: older versions of %d objects, of %q for one, are in %s, which the policy does not allow any more, and may be in no copy that remains; "+
		"POST /fado/buckets/%s/release with {\"purge\":\"history\"} removes them for good", ErrOnlyThere, h.keys, h.one, id.Cluster, id.Bucket)
}

// stillHidden returns why a copy could not leave the last time, if that is still so of the key that it
// names: nothing is listed again until it changes.
func (e *Evictor) stillHidden(ctx context.Context, v *eviction) error {
	e.mu.Lock()
	was, known := e.hidden[v.id]
	delete(e.hidden, v.id)
	e.mu.Unlock()
	if !known {
		return nil
	}
	h, err := object.HistoryAt(ctx, v.dst, v.id.Bucket, was.one, 2)
	if err != nil || len(h.Versions) < 2 || !h.Versions[0].Deleted || v.o.Router.Snapshot().Allows(v.id.Bucket, was.one, v.id.Cluster) {
		return err
	}
	v.behind = was
	return e.keepsHidden(v)
}

// ErrNoneLeaves says that no copy leaves that versions could be released of.
var ErrNoneLeaves = errors.New("no copy of the bucket is being removed there")

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
	w, err := newPass(ctx, e.o, id, catalog.CopyRemoving)
	if err != nil {
		return 0, err
	}
	v := &eviction{pass: w}
	if err := errors.Join(v.settled(), e.buckets.mayRemove(ctx, w)); err != nil {
		return 0, err
	}
	v.keep = v.keeper()
	if keeps, err := v.dst.KeepsVersions(ctx, id.Bucket); err != nil || !keeps {
		return 0, err
	}
	for key, err := range v.dst.Reader().VersionedKeys(ctx, id.Bucket, id.Prefix) {
		if err != nil {
			return objects, err
		}
		if v.keep(key) {
			continue
		}
		released, err := releaseKey(ctx, v, key)
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

// releaseKey removes all versions of a key that shows none.
func releaseKey(ctx context.Context, v *eviction, key string) (released bool, err error) {
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
