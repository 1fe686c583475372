package evict

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/storage"
)

// evictPasses bounds how often one key's versions are read again because clients still
// write there.
const evictPasses = 5

// removeVersions removes the objects of a copy where users wrote: every version that holds
// content has to be in one of the copies that remain before it goes, and the last write
// has to have been brought to them.
func (v *eviction) removeVersions(ctx context.Context) error {
	for key, err := range v.dst.Reader().VersionedKeys(ctx, v.id.Bucket, v.id.Prefix) {
		if errors.Is(err, storage.ErrNoBucket) {
			return v.missing(ctx, err)
		}
		if err != nil {
			return err
		}
		if v.keep(key) {
			continue
		}
		if err := v.o.Pause.Wait(ctx); err != nil {
			return err
		}
		if err := v.o.Objects.Persist(ctx, func() error { return v.versionsOf(ctx, key) }); err != nil {
			return err
		}
		v.removed.Add(1)
	}
	return nil
}

// versionsOf brings one key's versions to safety and removes them, until there are none.
func (v *eviction) versionsOf(ctx context.Context, key string) error {
	ref := ids.ObjectIn(v.id.Bucket, key, v.id.Cluster)
	for range evictPasses {
		var left []storage.Version
		err := v.removing(ctx, ref, func(ctx context.Context, p *guard.Pass) (err error) {
			// What was written last comes first: the primary has it, and the others have rows.
			hub := object.Task{Object: ids.ObjectIn(ref.Bucket, key, v.src.Name()), Size: -1, Since: v.o.Now()}
			if _, err := v.o.Objects.Settle(ctx, hub); err != nil {
				return err
			}
			if left, err = v.dst.Reader().Versions(ctx, ref.Bucket, key); err != nil {
				return err
			}
			if err := v.secure(ctx, ref, left); err != nil {
				return err
			}
			return object.DropVersions(ctx, p, v.dst, left)
		})
		if err != nil || len(left) == 0 {
			return err
		}
	}
	return fmt.Errorf("%q is still written in %s: %w", key, v.id.Cluster, object.ErrNotYet)
}

// secure returns once every version with content is in a cluster that remains.
func (v *eviction) secure(ctx context.Context, ref ids.Object, vs []storage.Version) error {
	missing := slices.DeleteFunc(slices.Clone(vs), func(o storage.Version) bool { return o.Deleted })
	var keepers []*site.Site
	var why error
	for _, c := range v.o.Router.Snapshot().Of(ref.Bucket).WantedIn(nil, ref.Key) {
		if len(missing) == 0 {
			return nil
		}
		s, err := v.o.Sites.Usable(c)
		if err != nil {
			why = err
			continue
		}
		there, err := object.VersionsAt(ctx, s, ref.Bucket, ref.Key)
		if err != nil {
			why = err
			continue
		}
		missing = slices.DeleteFunc(missing, func(o storage.Version) bool {
			return slices.ContainsFunc(there, func(t storage.Version) bool { return storage.CompareVersions(o, t) == 0 })
		})
		keepers = append(keepers, s)
	}
	for _, o := range missing {
		if err := v.keepVersion(ctx, ref, o, keepers, why); err != nil {
			return err
		}
	}
	return nil
}

// keepVersion copies a version that lost and exists nowhere else to the first of the
// remaining clusters that takes versions with a time of their own, as a noncurrent version.
func (v *eviction) keepVersion(ctx context.Context, ref ids.Object, o storage.Version, keepers []*site.Site, why error) error {
	for _, s := range keepers {
		if keeps, err := s.Reader().KeepsTimes(ctx); err != nil || !keeps || s.KnownVersioned(ctx, ref.Bucket) != nil {
			continue
		}
		op := guard.Op{Object: ids.ObjectIn(ref.Bucket, ref.Key, s.Name()), From: v.dst.Name(), Total: o.Size}
		return v.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
			_, err := v.o.Objects.Writes.Transfer(ctx, p, object.Sides{Src: v.dst, Dst: s}, o.Object, storage.CopyOptions{Version: &o, Below: true})
			return err
		})
	}
	if why != nil {
		return fmt.Errorf("version %s of %q may be only in %s: %w", o.VersionID, ref.Key, ref.Cluster, why)
	}
	return fmt.Errorf("%w: version %s of %q is only in %s, and no storage that remains takes versions older than what it has", ErrOnlyThere,
		o.VersionID, ref.Key, ref.Cluster)
}
