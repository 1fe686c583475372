package replication

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copyrows"
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

// PurgeMode says what data a purge removes.
type PurgeMode = state.PurgeMode

// The purge modes.
const (
	PurgeCopies = state.PurgeCopies // all copies but the primary's
	PurgeAll    = state.PurgeAll    // all data
)

// Purge forgets a bucket and removes data as the mode says, in that order: it leaves
// the catalogue and routing first. It returns once one transaction has
// forgotten the bucket and recorded what to remove. The removal continues
// in the background, on the instance that holds its lock, and ends if the bucket is declared
// again.
func (e *Engine) Purge(ctx context.Context, bucket string, mode PurgeMode, pre control.Precondition) error {
	if mode != PurgeCopies && mode != PurgeAll {
		return fmt.Errorf("purge: %q: expected %q or %q", mode, PurgeCopies, PurgeAll)
	}
	if e.core.snap().Bucket(bucket) == nil {
		return fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	pulled, err := e.core.ctl.Store().ListPulled(ctx, state.PulledFilter{Bucket: bucket}, 0)
	if err != nil {
		return err
	}
	err = e.core.ctl.Resources.DeleteWith(ctx, catalog.KindBucket, bucket, pre, func(tx state.Tx) error {
		rows, err := tx.Copies(bucket)
		if err != nil {
			return err
		}
		_, err = tx.AddPurge(newPurge(bucket, mode, rows, pulled, e.core.now(), e.addressOf))
		return err
	})
	if err != nil {
		return err
	}
	if r := e.run.Load(); r != nil {
		signal(r.purger.wake)
	}
	return nil
}

// addressOf returns the address of a cluster's storage as it is declared, 0 if it has none.
func (e *Engine) addressOf(cluster string) int64 {
	cl := e.core.snap().Cluster(cluster)
	if cl == nil || cl.Storage == nil {
		return 0
	}
	return cl.Storage.Address()
}

// newPurge gathers what a purge will need to know. Where the rows don't say which storage it is
// about, it is the one that is declared when it is decided.
func newPurge(bucket string, mode PurgeMode, rows []state.Copy, pulled []state.Pulled, now time.Time, addressOf func(string) int64) state.Purge {
	p := state.Purge{Bucket: bucket, Mode: mode, Primary: copyrows.PrimaryOf(rows), Since: now}
	for _, c := range rows {
		i := slices.IndexFunc(p.Targets, func(t state.PurgeTarget) bool { return t.Cluster == c.Cluster })
		if i < 0 {
			p.Targets = append(p.Targets, state.PurgeTarget{Cluster: c.Cluster, Verified: true, OwnedUntil: c.OwnedUntil})
			i = len(p.Targets) - 1
		}
		t := &p.Targets[i]
		t.Primary = t.Primary || c.Primary
		t.MadeBucket = t.MadeBucket || c.MadeBucket
		t.Verified = t.Verified && !c.VerifiedAt.IsZero()
		t.OwnedUntil = copyrows.Earlier(t.OwnedUntil, c.OwnedUntil)
		if t.At == 0 {
			t.At, t.Born = c.At, c.Born
		}
	}
	p.Targets = append(p.Targets, pulledTargets(p.Targets, pulled)...)
	for i := range p.Targets {
		if t := &p.Targets[i]; t.At == 0 {
			t.At = addressOf(t.Cluster)
		}
	}
	return p
}

// pulledTargets are the clusters that only have objects copied on demand: the whole bucket
// is purged where FaDO made it for them, else just these objects.
func pulledTargets(copies []state.PurgeTarget, pulled []state.Pulled) (targets []state.PurgeTarget) {
	made := make(map[string]bool)
	for _, row := range pulled {
		if slices.ContainsFunc(copies, func(t state.PurgeTarget) bool { return t.Cluster == row.Cluster }) {
			continue // purged with the copy there
		}
		made[row.Cluster] = made[row.Cluster] || row.Key == ""
	}
	for _, c := range slices.Sorted(maps.Keys(made)) {
		targets = append(targets, state.PurgeTarget{Cluster: c, Verified: true, MadeBucket: made[c], PulledOnly: !made[c]})
	}
	return targets
}

// purger works purges off in the background.
type purger struct {
	core
	buckets *buckets.Buckets
	wake    chan struct{}
	stuck   stuckPurges
}

// Times before purges are checked again.
const (
	purgeRest  = time.Minute
	purgeRetry = 5 * time.Second
)

// loop carries purges out until ctx ends. It retries those that fail.
func (p *purger) loop(ctx context.Context) {
	for {
		again := purgeRest
		purges, err := p.ctl.Store().Purges(ctx)
		p.stored(ctx, "could not read the purges under way; trying again in a minute", err)
		if err == nil {
			p.stuck.forgetOthers(purges)
		}
		for _, in := range purges {
			if ctx.Err() != nil {
				return
			}
			wait := p.stuck.due(in)
			if wait == 0 {
				wait = p.attempt(ctx, in)
			}
			again = min(again, wait)
		}
		t := time.NewTimer(again)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-p.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

func newPurger(c core, b *buckets.Buckets) *purger {
	return &purger{core: c, buckets: b, wake: make(chan struct{}, 1), stuck: stuckPurges{now: c.now}}
}

// attempt carries a purge out, as far as it can be, and returns how long to wait for another try.
func (p *purger) attempt(ctx context.Context, in state.Purge) time.Duration {
	cluster, err := p.purge(ctx, in)
	if ctx.Err() != nil {
		return purgeRest
	}
	wait := p.stuck.ended(in, cluster, err)
	if err != nil {
		p.log.Warn("could not purge a bucket; will retry", zap.String("bucket", in.Bucket), zap.String("cluster", cluster),
			zap.Duration("after", wait), zap.Error(err))
	}
	return wait
}

// purge carries one out, and forgets it when nothing is left to do. It names the cluster that an
// error is about.
func (p *purger) purge(ctx context.Context, in state.Purge) (cluster string, err error) {
	for _, t := range in.Targets {
		if t.Primary {
			continue
		}
		if err := p.target(ctx, in, t); err != nil && !errors.Is(err, guard.ErrForbidden) {
			return t.Cluster, err
		}
		if err := p.ctl.Store().FinishPurgeTarget(ctx, in.Bucket, in.ID, t.Cluster); err != nil {
			return t.Cluster, err
		}
	}
	for _, t := range in.Targets { // the primary last: what it has decides about the copies
		if t.Primary && in.Mode == PurgeAll {
			if err := p.target(ctx, in, t); err != nil && !errors.Is(err, guard.ErrForbidden) {
				return t.Cluster, err
			}
		}
	}
	if p.snap().Bucket(in.Bucket) != nil {
		p.log.Warn("a purge ends: the bucket was declared again", zap.String("bucket", in.Bucket))
	}
	_, err = p.ctl.Store().FinishPurge(ctx, in.Bucket, in.ID)
	return "", err
}

// targetPurge is the purge of one cluster.
type targetPurge struct {
	*purger
	state.PurgeTarget
	in        state.Purge
	at        object.Sides // Src is nil unless the primary's objects decide
	versioned bool
}

// target purges one cluster.
func (p *purger) target(ctx context.Context, in state.Purge, t state.PurgeTarget) error {
	if p.sites.Get(t.Cluster) == nil {
		p.log.Warn("a purge leaves data behind: the cluster has no storage any more",
			zap.String("bucket", in.Bucket), zap.String("cluster", t.Cluster))
		return nil
	}
	tp := &targetPurge{purger: p, PurgeTarget: t, in: in}
	var err error
	if tp.at.Dst, err = p.sites.Usable(t.Cluster); err != nil {
		return err
	}
	if in.Mode == PurgeCopies {
		if tp.at.Src, err = p.sites.Usable(in.Primary); err != nil {
			return err
		}
	}
	switch why, err := tp.untouchable(ctx); {
	case err != nil:
		return err
	case why != nil:
		p.log.Warn("a purge leaves data behind", zap.String("bucket", in.Bucket), zap.String("cluster", t.Cluster), zap.Error(why))
		return nil
	}
	if tp.versioned, err = tp.at.Dst.KeepsVersions(ctx, in.Bucket); err != nil {
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
	err = t.buckets.Apart.MustDiffer(ctx, t.in.Bucket, t.at.Dst, t.at.Src)
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
		if err := t.objects.Persist(ctx, func() error { return t.object(ctx, key) }); err != nil {
			return err
		}
	}
	if t.MadeBucket {
		return t.buckets.Drop(ctx, t.at.Dst, t.in.Bucket)
	}
	return nil
}

// purgePage is how many keys of a purge are read at a time.
const purgePage = 1000

// pulledKeys purges the objects copied on demand, those that are still what FaDO put there.
func (t *targetPurge) pulledKeys(ctx context.Context) error {
	after := state.PurgeKey{Cluster: t.Cluster}
	for {
		keys, err := t.ctl.Store().PurgeKeys(ctx, t.in.Bucket, after, purgePage)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if k.Cluster != t.Cluster {
				return nil
			}
			if err := t.objects.Persist(ctx, func() error { return t.pulledObject(ctx, k) }); err != nil {
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
		_, err = t.objects.RemoveForGood(ctx, p, object.Removal{At: t.at, Seen: *o, Versioned: t.versioned, Recorded: k.ETag != ""})
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
	if err := t.pause.Wait(ctx); err != nil {
		return err
	}
	ref := ids.ObjectIn(t.in.Bucket, key, t.Cluster)
	unlock, err := t.guard.Lock(ctx, ref)
	if err != nil {
		return err
	}
	defer unlock()
	op := guard.Op{Object: ref, Total: -1, Allowed: func(s *routing.Snapshot) bool { return s.Bucket(ref.Bucket) == nil }}
	return t.guard.Do(ctx, op, f)
}

// object purges one object, unless the bucket has been declared again.
func (t *targetPurge) object(ctx context.Context, key string) error {
	return t.do(ctx, key, func(ctx context.Context, p *guard.Pass) error {
		if t.in.Mode == PurgeAll {
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
		t.log.Warn("a purge of copies leaves an object: the primary does not have the same",
			zap.String("bucket", bucket), zap.String("key", key), zap.String("cluster", t.Cluster))
		return nil
	}
	_, err = t.objects.RemoveForGood(ctx, p, object.Removal{At: t.at, Seen: *ours, Versioned: t.versioned})
	return err
}

// claim is what FaDO's claim on a copy's object rests on, by what was known when the purge
// was decided.
func (t *targetPurge) claim(ctx context.Context, key string) (object.Claim, error) {
	c := object.Claim{
		By: t.objects, Bucket: t.in.Bucket, MadeBucket: t.MadeBucket, At: t.at,
		Copy:       catalog.Copy{Cluster: t.Cluster, Verified: t.Verified},
		OwnedUntil: object.OwnedUntil(state.Copy{OwnedUntil: t.OwnedUntil}),
	}
	_, err := t.ctl.Store().GetPurgeKey(ctx, t.in.Bucket, t.Cluster, key)
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
	_, err := t.objects.RemoveHidden(ctx, p, t.at)
	if errors.Is(err, storage.ErrUnsupported) {
		return nil
	}
	return err
}
