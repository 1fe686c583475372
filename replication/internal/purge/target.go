package purge

import (
	"context"
	"errors"
	"iter"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/pull"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// targetPurge is the purge of one cluster.
type targetPurge struct {
	o *Options
	state.PurgeTarget
	in        state.Purge
	at        object.Sides // Src is nil unless the primary's objects decide
	versioned bool
}

// target purges one cluster.
func target(ctx context.Context, o *Options, in state.Purge, t state.PurgeTarget) error {
	if o.Sites.Get(t.Cluster) == nil {
		o.Log.Warn("a purge leaves data behind: the cluster has no storage any more",
			zap.String("bucket", in.Bucket), zap.String("cluster", t.Cluster))
		return nil
	}
	tp := &targetPurge{o: o, PurgeTarget: t, in: in}
	var err error
	if tp.at.Dst, err = o.Sites.Usable(t.Cluster); err != nil {
		return err
	}
	if in.Mode == state.PurgeCopies {
		if tp.at.Src, err = o.Sites.Usable(in.Primary); err != nil {
			return err
		}
	}
	switch why, err := tp.untouchable(ctx); {
	case err != nil:
		return err
	case why != nil:
		o.Log.Warn("a purge leaves data behind", zap.String("bucket", in.Bucket), zap.String("cluster", t.Cluster), zap.Error(why))
		return nil
	}
	if tp.versioned, err = tp.at.Dst.HasHistory(ctx, in.Bucket); err != nil {
		return err
	}
	if t.PulledOnly {
		return tp.pulledKeys(ctx)
	}
	return tp.allKeys(ctx)
}

// untouchable says why nothing may be removed in the target's cluster: the bucket there is not
// the one that the purge was decided about, or it is the primary's by another name.
func (t *targetPurge) untouchable(ctx context.Context) (why, err error) {
	now, err := buckets.IdentityOf(ctx, t.at.Dst, t.in.Bucket)
	if err != nil {
		return nil, err
	}
	if identity.OfTarget(t.PurgeTarget).Compare(now) == identity.Other {
		return errAnotherBucket, nil
	}
	if t.at.Src == nil {
		return nil, nil
	}
	for _, p := range t.in.Targets {
		if !p.Primary {
			continue
		}
		if now, err = buckets.IdentityOf(ctx, t.at.Src, t.in.Bucket); err != nil {
			return nil, err
		}
		if identity.OfTarget(p).Compare(now) == identity.Other {
			return errAnotherPrimary, nil
		}
	}
	err = t.o.Buckets.Apart.MustDiffer(ctx, t.in.Bucket, t.at.Dst, t.at.Src)
	if errors.Is(err, buckets.ErrOneStorage) || errors.Is(err, object.ErrBlocked) {
		return err, nil
	}
	return nil, err
}

var (
	errAnotherBucket  = errors.New("the bucket there is not the one that the purge was decided about")
	errAnotherPrimary = errors.New("the primary's bucket is not the one that the copy was made of")
)

// allKeys purges every key of the bucket.
func (t *targetPurge) allKeys(ctx context.Context) error {
	for key, err := range keysOf(ctx, t.at.Dst, t.in.Bucket, t.versioned) {
		if errors.Is(err, storage.ErrNoBucket) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.o.Objects.Persist(ctx, func() error { return t.object(ctx, key) }); err != nil {
			return err
		}
	}
	if t.MadeBucket {
		return t.o.Buckets.Drop(ctx, t.at.Dst, t.in.Bucket)
	}
	return nil
}

// purgePage is how many keys of a purge are read at a time.
const purgePage = 1000

// pulledKeys purges the objects copied on demand, those that are still what FaDO put there.
func (t *targetPurge) pulledKeys(ctx context.Context) error {
	after := state.PurgeKey{Cluster: t.Cluster}
	for {
		keys, err := t.o.Control.Store().Purges().PurgeKeys(ctx, t.in.Bucket, after, purgePage)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.Cluster != t.Cluster {
				return nil
			}
			if err := t.o.Objects.Persist(ctx, func() error { return t.pulledObject(ctx, k) }); err != nil {
				return err
			}
			after = k
		}
		if len(keys) < purgePage {
			return nil
		}
	}
}

func (t *targetPurge) pulledObject(ctx context.Context, k state.PurgeKey) error {
	return t.do(ctx, k.Key, func(ctx context.Context, p *guard.Pass) error {
		o, err := t.at.Dst.Stat(ctx, t.in.Bucket, k.Key)
		switch {
		case errors.Is(err, storage.ErrNoBucket):
			return nil
		case err != nil:
			return err
		case o == nil:
			return t.at.Dst.Absent(ctx, t.in.Bucket, k.Key)
		case !pull.Is(catalog.Pulled{ETag: k.ETag}, *o):
			return nil
		}
		_, err = t.o.Objects.Removals.ForGood(ctx, p, object.Removal{At: t.at, Seen: *o, Versioned: t.versioned, Recorded: k.ETag != ""})
		return err
	})
}

// keysOf yields the keys of a bucket, those that only have old versions included.
func keysOf(ctx context.Context, s *site.Site, bucket string, versioned bool) iter.Seq2[string, error] {
	if versioned {
		return s.Reader().VersionedKeys(ctx, bucket, "")
	}
	return func(yield func(string, error) bool) {
		for o, err := range s.Reader().List(ctx, bucket, "", "") {
			if !yield(o.Key, err) || err != nil {
				return
			}
		}
	}
}

// do runs f with an object to itself, as an operation that ends when the bucket is declared
// again.
func (t *targetPurge) do(ctx context.Context, key string, f func(ctx context.Context, p *guard.Pass) error) error {
	if err := t.o.Pause.Wait(ctx); err != nil {
		return err
	}
	ref := ids.ObjectIn(t.in.Bucket, key, t.Cluster)
	unlock, err := t.o.Guard.Lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := guard.Op{Object: ref, Total: -1, Allowed: func(s *routing.Snapshot) bool { return s.Bucket(ref.Bucket) == nil }}
	return t.o.Guard.Do(ctx, op, f)
}

// object purges one object, unless the bucket has been declared again.
func (t *targetPurge) object(ctx context.Context, key string) error {
	return t.do(ctx, key, func(ctx context.Context, p *guard.Pass) error {
		if t.in.Mode == state.PurgeAll {
			return t.allVersions(ctx, p)
		}
		return t.copyOf(ctx, p)
	})
}

func (t *targetPurge) allVersions(ctx context.Context, p *guard.Pass) error {
	w, err := p.Writer(t.at.Dst)
	if err != nil {
		return err
	}
	ctx, cancel := t.at.Dst.Call(ctx)
	defer cancel()
	return w.DeleteAllVersions(ctx, p.Op().Bucket, p.Op().Key)
}

// copyOf removes a copy's object if the primary has the same, or it is FaDO's.
func (t *targetPurge) copyOf(ctx context.Context, p *guard.Pass) error {
	bucket, key := p.Op().Bucket, p.Op().Key
	theirs, ours, err := object.Look(ctx, t.at, bucket, key)
	if err != nil {
		return err
	}
	if ours == nil {
		if theirs != nil { // else the look confirmed it
			if err := t.at.Dst.Absent(ctx, bucket, key); err != nil {
				return err
			}
		}
		return t.oldVersions(ctx, p)
	}
	claim, err := t.claim(ctx, key)
	if err != nil {
		return err
	}
	owns, err := claim.Owns(ctx, key, *ours)
	if err != nil {
		return err
	}
	same := theirs != nil && storage.Compare(*theirs, *ours) == storage.Equal
	if !same && (theirs == nil || !owns || object.IsOlder(*theirs, *ours)) { // a primary that went back in time has not got this one
		t.o.Log.Warn("a purge of copies leaves an object: the primary does not have the same",
			zap.String("bucket", bucket), zap.String("key", key), zap.String("cluster", t.Cluster))
		return nil
	}
	_, err = t.o.Objects.Removals.ForGood(ctx, p, object.Removal{At: t.at, Seen: *ours, Versioned: t.versioned})
	return err
}

// claim is what FaDO's claim on a copy's object rests on, by what was known when the purge
// was decided.
func (t *targetPurge) claim(ctx context.Context, key string) (object.Claim, error) {
	c := object.Claim{
		By: t.o.Objects.Provenance, Bucket: t.in.Bucket, MadeBucket: t.MadeBucket, At: t.at,
		Copy:       catalog.Copy{Cluster: t.Cluster, Verified: t.Verified},
		OwnedUntil: object.OwnedUntil(state.Copy{OwnedUntil: t.OwnedUntil}),
	}
	_, err := t.o.Control.Store().Purges().GetPurgeKey(ctx, t.in.Bucket, t.Cluster, key)
	switch {
	case err == nil:
		c.Foreign = state.ForeignAny
	case !errors.Is(err, state.ErrNotFound):
		return c, err
	}
	return c, nil
}

// oldVersions removes the versions below a delete marker that are FaDO's.
func (t *targetPurge) oldVersions(ctx context.Context, p *guard.Pass) error {
	if !t.versioned {
		return nil
	}
	_, err := t.o.Objects.Removals.Hidden(ctx, p, t.at)
	if errors.Is(err, storage.ErrUnsupported) {
		return nil
	}
	return err
}
