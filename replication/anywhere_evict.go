package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// errOnlyThere keeps a copy from leaving.
var errOnlyThere = errors.New("versions are nowhere else")

// evictPasses bounds how often one key's versions are looked at anew, because somebody
// goes on writing there.
const evictPasses = 5

// runAnywhere removes the objects of a copy where users wrote: every version that holds
// content has to be in one of the copies that remain before it goes, and the last write
// has to have been brought to them.
func (v *eviction) runAnywhere(ctx context.Context, keeper versionKeeper) error {
	for key, err := range keeper.VersionedKeys(ctx, v.id.bucket, v.id.prefix) {
		if errors.Is(err, storage.ErrNoBucket) {
			return v.missing(ctx, err)
		}
		if err != nil {
			return err
		}
		if v.keep(key) {
			continue
		}
		if err := v.pause.wait(ctx); err != nil {
			return err
		}
		if err := v.persist(ctx, func() error { return v.versionsOf(ctx, key) }); err != nil {
			return err
		}
		v.removed.Add(1)
	}
	return nil
}

// versionsOf brings one key's versions to safety and removes them, until there are none.
func (v *eviction) versionsOf(ctx context.Context, key string) error {
	ref := objectRef{v.id.bucket, key, v.id.cluster}
	here, err := v.dst.versions()
	if err != nil {
		return err
	}
	for range evictPasses {
		var left []storage.Version
		err := v.removing(ctx, ref, func(ctx context.Context) error {
			// What was written last comes first: the primary has it, and the others have rows.
			hub := task{objectRef: objectRef{ref.bucket, key, v.src.name}, size: -1, since: v.now()}
			if _, err := v.settle(ctx, hub); err != nil {
				return err
			}
			if left, err = here.Versions(ctx, ref.bucket, key); err != nil {
				return err
			}
			if err := v.secure(ctx, ref, left); err != nil {
				return err
			}
			return v.dropVersions(ctx, here, ref, left)
		})
		if err != nil || len(left) == 0 {
			return err
		}
	}
	return fmt.Errorf("%q is still written in %s: %w", key, v.id.cluster, errNotYet)
}

// dropVersions removes exactly the versions that were looked at.
func (v *eviction) dropVersions(ctx context.Context, here versionStore, ref objectRef, vs []storage.Version) error {
	for _, one := range vs {
		cctx, cancel := context.WithTimeout(ctx, v.tune.CallTimeout)
		err := here.DeleteVersion(cctx, ref.bucket, ref.key, one.VersionID)
		cancel()
		v.observed(v.dst, err)
		if err != nil {
			return fmt.Errorf("removing from %s: %w", ref.cluster, err)
		}
	}
	return nil
}

// secure sees that every version with content is in a cluster that remains.
func (v *eviction) secure(ctx context.Context, ref objectRef, vs []storage.Version) error {
	missing := slices.DeleteFunc(slices.Clone(vs), func(o storage.Version) bool { return o.Deleted })
	var keepers []*site
	var why error
	for _, c := range v.ctl.Router().Snapshot().WantedIn(nil, ref.bucket, ref.key) {
		if len(missing) == 0 {
			return nil
		}
		s, err := v.sites.usable(c)
		if err != nil {
			why = err
			continue
		}
		there, err := v.allVersions(ctx, s, ref)
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

func (v *eviction) allVersions(ctx context.Context, s *site, ref objectRef) ([]storage.Version, error) {
	vs, err := s.versions()
	if err != nil {
		return nil, err
	}
	cctx, cancel := context.WithTimeout(ctx, v.tune.CallTimeout)
	defer cancel()
	all, err := vs.Versions(cctx, ref.bucket, ref.key)
	v.observed(s, err)
	return all, err
}

// keepVersion brings a version that lost, and that nobody else has, to the first of the
// remaining clusters that takes versions with a time of their own: below what is there.
func (v *eviction) keepVersion(ctx context.Context, ref objectRef, o storage.Version, keepers []*site, why error) error {
	for _, s := range keepers {
		vs, err := s.versions()
		if err != nil {
			continue
		}
		if keeps, err := vs.KeepsTimes(ctx); err != nil || !keeps || v.Engine.versioned(ctx, s, ref.bucket, false) != nil {
			continue
		}
		op := &operation{bucket: ref.bucket, key: ref.key, from: v.dst.name, to: s.name, total: o.Size}
		opCtx, leave, err := v.gate.enter(ctx, op)
		if err != nil {
			return err
		}
		_, err = v.transferAs(opCtx, op, v.dst, s, ref.bucket, o.Object, storage.CopyOptions{Version: &o, Below: true})
		leave()
		return err
	}
	if why != nil {
		return fmt.Errorf("version %s of %q may be only in %s: %w", o.VersionID, ref.key, ref.cluster, why)
	}
	return fmt.Errorf("%w: version %s of %q is only in %s, and no storage that remains takes versions older than what it has", errOnlyThere,
		o.VersionID, ref.key, ref.cluster)
}

// giveBackAnywhere undoes a delete that the breaker holds: the object gets a version that
// is newer than the delete marker, in the cluster that shows the marker, and wins.
func (e *Engine) giveBackAnywhere(ctx context.Context, row state.Pending) error {
	m, err := e.meet(ctx, task{objectRef: objectRef{row.Bucket, row.Key, row.Cluster}, size: row.Size})
	if err != nil || m == nil || !m.winner.now.Deleted || m.mine.now.ETag == "" {
		return err // it is there again, or gone here too
	}
	to := m.winner
	unlock, err := e.keys.lock(ctx, objectRef{row.Bucket, row.Key, to.name})
	if err != nil {
		return err
	}
	defer unlock()
	op := &operation{bucket: row.Bucket, key: row.Key, from: row.Cluster, to: to.name, total: row.Size}
	opCtx, leave, err := e.gate.enter(ctx, op)
	if err != nil {
		return err
	}
	defer leave()
	again := m.mine.now.Rewritten(storage.CoverTime(to.now))
	_, err = e.transferAs(opCtx, op, m.mine.site, to.site, row.Bucket, m.mine.now.Object,
		storage.CopyOptions{If: storage.Condition{Absent: true}, Version: &again})
	if errors.Is(err, storage.ErrPrecondition) {
		return nil // it is there again
	}
	return err
}
