package buckets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Buckets makes and removes the physical buckets of copies and primaries.
type Buckets struct {
	o *Options

	Apart      *Apart
	Identities *Identities
}

// New returns the buckets of an instance. All methods are safe for concurrent use.
func New(o Options) *Buckets {
	if o.CopyLockRule == nil {
		o.CopyLockRule = storage.CopyLockRule
	}
	a := &Apart{o: &o, pairs: newPairs(&o)}
	return &Buckets{o: &o, Apart: a, Identities: &Identities{o: &o, apart: a}}
}

// Ensure makes the physical buckets of a copy and its primary where they are missing, and
// has the copy's versioning follow the primary's. It reports whether the copy's bucket had
// to be made. A primary's bucket that was there once and is not any more is
// [object.ErrNoSource].
func (b *Buckets) Ensure(ctx context.Context, id ids.Copy) (made bool, err error) {
	versioned, err := b.ensurePrimary(ctx, id.Bucket)
	if err != nil {
		return false, err
	}
	snap := b.o.Router.Snapshot()
	// Before the copy's bucket is touched: one that is suspended stays so.
	if err := b.ensureVersions(ctx, id, snap.Of(id.Bucket).Primary(), id.Cluster); err != nil {
		return false, err
	}
	made, err = b.ensureCopy(ctx, id, versioned || snap.Of(id.Bucket).Anywhere(id.Prefix))
	if err != nil {
		return made, err
	}
	if err := b.Apart.fromOthers(ctx, id.Bucket, id.Cluster); err != nil {
		return made, err
	}
	b.learn(ctx, id, versioned)
	return made, b.ensureVersions(ctx, id, id.Cluster)
}

// EnsurePrimary is Ensure for a rule that has no copy but the primary's.
func (b *Buckets) EnsurePrimary(ctx context.Context, id ids.Copy) error {
	if _, err := b.ensurePrimary(ctx, id.Bucket); err != nil {
		return err
	}
	return b.ensureVersions(ctx, id, id.Cluster)
}

// Make creates a physical bucket. It first stores that the bucket is FaDO's, and withdraws
// that if another client created it first, so that a kill in between leaves no bucket behind
// that FaDO would not remove; [Buckets.Drop] only ever removes empty ones.
func (b *Buckets) Make(ctx context.Context, s *site.Site, bucket string, versioned bool) error {
	allowed := guard.AnyRule(bucket, s.Name())
	if !allowed(b.o.Router.Snapshot()) {
		return guard.ErrForbidden
	}
	// One at a time: a bucket that FaDO made itself a moment ago is not foreign.
	unlock, err := b.o.Guard.Lock(ctx, ids.ObjectIn(bucket, "", s.Name()))
	if err != nil {
		return err
	}
	defer unlock()
	rows, err := b.o.Copies.Of(ctx, bucket)
	if err != nil {
		return err
	}
	locked, err := b.wantsLocks(ctx, s, bucket)
	if err != nil {
		return err
	}
	if err := b.noteMade(ctx, bucket, s, true); err != nil {
		return err
	}
	asked, made := false, false
	err = b.write(ctx, s, bucket, allowed, func(ctx context.Context, w storage.Writer) (err error) {
		asked = true
		if locked {
			made, err = w.MakeLocked(ctx, bucket)
			if !errors.Is(err, storage.ErrUnsupported) {
				return err
			}
		}
		made, err = w.EnsureBucket(ctx, bucket, versioned)
		if versioned && errors.Is(err, storage.ErrUnsupported) {
			made, err = w.EnsureBucket(ctx, bucket, false)
		}
		return err
	})
	if asked {
		s.Births.Changed()
	}
	if err != nil && asked {
		return err // the note stays: it may have been made
	}
	if !made {
		return errors.Join(err, b.noteMade(ctx, bucket, s, copyrows.MadeBucket(rows, s.Name())))
	}
	b.o.Log.Info("made a bucket", zap.String("bucket", s.Reader().Physical(bucket)), zap.String("cluster", s.Name()))
	return nil
}

// wantsLocks reports whether a bucket that is to be made has object lock: if it was created so,
// or its primary's has it and copies are locked as their originals there.
func (b *Buckets) wantsLocks(ctx context.Context, s *site.Site, bucket string) (bool, error) {
	snap := b.o.Router.Snapshot()
	if decl := snap.Bucket(bucket); decl == nil || decl.ObjectLock {
		return decl != nil, nil
	}
	primary := snap.Of(bucket).Primary()
	if primary == "" || primary == s.Name() {
		return false, nil
	}
	cctx, cancel := s.Call(ctx)
	preserves, err := s.Reader().KeepsTimes(cctx)
	cancel()
	if err != nil || !preserves {
		return false, err
	}
	at, err := b.o.Sites.Usable(primary)
	if err != nil {
		return false, err
	}
	cctx, cancel = at.Call(ctx)
	defer cancel()
	has, err := at.Reader().KeepsLocks(cctx, bucket)
	at.Observed(err)
	if errors.Is(err, storage.ErrNoBucket) {
		return false, nil
	}
	return has, err
}

// BringLockRule gives a bucket's next primary the rule of its object lock, which locks what users
// write there from the move on. A copy has no need of it: its objects have their originals' locks.
func (b *Buckets) BringLockRule(ctx context.Context, from *site.Site, bucket, target string) error {
	to, err := b.o.Sites.Usable(target)
	if err != nil {
		return err
	}
	changed := false
	op := guard.Op{Object: ids.ObjectIn(bucket, "", target), Total: -1, Allowed: guard.AnyRule(bucket, target), Handover: true}
	err = b.do(ctx, to, op, func(ctx context.Context, w storage.Writer) (err error) {
		changed, err = b.o.CopyLockRule(ctx, from.Reader(), w, bucket)
		return err
	})
	if err != nil {
		return fmt.Errorf("moving the primary to %s: the rule of its object lock: %w", target, err)
	}
	if changed {
		b.o.Log.Info("brought the rule of object lock along", zap.String("bucket", bucket), zap.String("to", target))
	}
	return nil
}

// Drop removes a physical bucket if it is empty.
func (b *Buckets) Drop(ctx context.Context, s *site.Site, bucket string) error {
	err := b.write(ctx, s, bucket, guard.Always, func(ctx context.Context, w storage.Writer) error {
		return w.RemoveBucket(ctx, bucket)
	})
	s.Births.Changed()
	if errors.Is(err, storage.ErrPrecondition) || errors.Is(err, storage.ErrNoBucket) {
		return nil
	}
	return err
}

// write runs one request that changes a bucket itself.
func (b *Buckets) write(ctx context.Context, s *site.Site, bucket string, allowed func(*routing.Snapshot) bool,
	f func(context.Context, storage.Writer) error,
) error {
	return b.do(ctx, s, guard.Op{Object: ids.ObjectIn(bucket, "", s.Name()), Total: -1, Allowed: allowed}, f)
}

// do runs one request that is a guarded operation.
func (b *Buckets) do(ctx context.Context, s *site.Site, op guard.Op, f func(context.Context, storage.Writer) error) error {
	return b.o.Guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		w, err := p.Writer(s)
		if err != nil {
			return err
		}
		ctx, cancel := s.Call(ctx)
		defer cancel()
		err = f(ctx, w)
		s.Observed(err)
		return err
	})
}

// versioned asks whether a bucket keeps versions.
func (b *Buckets) versioned(ctx context.Context, s *site.Site, bucket string) (bool, error) {
	ctx, cancel := s.Call(ctx)
	defer cancel()
	versioned, err := storage.Versioned(ctx, s.Reader(), bucket)
	s.Observed(err)
	return versioned, err
}

// ensurePrimary looks after the bucket at its primary and tells whether it keeps versions.
func (b *Buckets) ensurePrimary(ctx context.Context, bucket string) (versioned bool, err error) {
	rows, err := b.o.Copies.Of(ctx, bucket)
	if err != nil {
		return false, err
	}
	primary := copyrows.PrimaryOf(rows)
	s, err := b.o.Sites.Usable(primary)
	if err != nil {
		return false, err
	}
	answer := b.o.AskSource(bucket)
	versioned, err = b.versioned(ctx, s, bucket)
	switch {
	case errors.Is(err, storage.ErrNoBucket) && copyrows.EverVerified(rows):
		err = fmt.Errorf("%w: %s has no bucket %s", object.ErrNoSource, primary, s.Reader().Physical(bucket))
		answer(err)
		return false, err
	case errors.Is(err, storage.ErrNoBucket):
		err = b.Make(ctx, s, bucket, false)
	}
	if err != nil {
		return false, fmt.Errorf("looking for the bucket at its primary %s: %w", primary, err)
	}
	if err := b.Identities.Primary(ctx, s, bucket, rows, s.Births.Of); err != nil {
		return false, err
	}
	answer(nil)
	return versioned, b.noteSeen(ctx, bucket, rows)
}

// noteSeen stores that the primary's bucket is there.
func (b *Buckets) noteSeen(ctx context.Context, bucket string, rows []state.Copy) error {
	if copyrows.EverVerified(rows) {
		return nil
	}
	return b.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if rows[i].Primary && rows[i].VerifiedAt.IsZero() {
				rows[i].VerifiedAt = b.o.Now()
			}
		}
		return rows, nil
	})
}

// ensureCopy looks after the bucket of a copy.
func (b *Buckets) ensureCopy(ctx context.Context, id ids.Copy, versioned bool) (made bool, err error) {
	s, err := b.o.Sites.Usable(id.Cluster)
	if err != nil {
		return false, err
	}
	has, err := b.versioned(ctx, s, id.Bucket)
	switch {
	case errors.Is(err, storage.ErrNoBucket):
		made, err = true, b.Make(ctx, s, id.Bucket, versioned)
	case err == nil && versioned && !has:
		err = b.keepVersions(ctx, s, id.Bucket)
	}
	if errors.Is(err, storage.ErrUnsupported) {
		err = nil // no versions there: current objects are copied all the same
	}
	if err != nil {
		return made, fmt.Errorf("making the bucket at %s: %w", id.Cluster, err)
	}
	return made, b.Identities.Copy(ctx, s, id.Bucket)
}

// keepVersions switches versioning on.
func (b *Buckets) keepVersions(ctx context.Context, s *site.Site, bucket string) error {
	return b.write(ctx, s, bucket, guard.AnyRule(bucket, s.Name()), func(ctx context.Context, w storage.Writer) error {
		_, err := w.EnsureBucket(ctx, bucket, true)
		return err
	})
}

// ensureVersions switches versioning on in clusters, if the rule's objects may be written
// anywhere. Suspended versioning is an operator's decision: it stays and is reported.
func (b *Buckets) ensureVersions(ctx context.Context, id ids.Copy, clusters ...string) error {
	if !b.o.Router.Snapshot().Of(id.Bucket).Anywhere(id.Prefix) {
		return nil
	}
	for _, c := range slices.Compact(clusters) {
		s, err := b.o.Sites.Usable(c)
		if err != nil {
			return err
		}
		if err := b.ensureVersioning(ctx, s, id.Bucket); err != nil {
			return err
		}
	}
	return nil
}

func (b *Buckets) ensureVersioning(ctx context.Context, s *site.Site, bucket string) error {
	cctx, cancel := s.Call(ctx)
	defer cancel()
	name := s.Reader().Physical(bucket)
	versioning, err := s.Reader().Versioning(cctx, bucket)
	switch {
	case errors.Is(err, storage.ErrNoBucket):
		return nil // it is made in its turn
	case err != nil || versioning == storage.VersioningOn:
		return err
	case versioning == storage.VersioningSuspended:
		return fmt.Errorf("%w: it is suspended for bucket %s in %s; switch it on there", site.ErrUnversioned, name, s.Name())
	}
	err = b.keepVersions(ctx, s, bucket)
	if errors.Is(err, guard.ErrForbidden) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: bucket %s in %s: %w", site.ErrUnversioned, name, s.Name(), err)
	}
	b.o.Log.Info("switched versioning on", zap.String("bucket", name), zap.String("cluster", s.Name()))
	return nil
}

// noteMade stores whether FaDO made a bucket.
func (b *Buckets) noteMade(ctx context.Context, bucket string, s *site.Site, made bool) error {
	return b.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			c := &rows[i]
			if c.Cluster != s.Name() {
				continue
			}
			if made { // which one it will be is learnt when it is there
				if !c.Primary && c.At != 0 && c.At != s.Address() && c.State <= catalog.CopySynced {
					copyrows.Import(c)
				}
				c.At, c.Born = 0, time.Time{}
			}
			c.MadeBucket = made
		}
		return rows, nil
	})
}

// learn notes what a copy's storages and bucket are found to be.
func (b *Buckets) learn(ctx context.Context, id ids.Copy, versioned bool) {
	primary := b.o.Router.Snapshot().Of(id.Bucket).Primary()
	for _, cluster := range []string{primary, id.Cluster} {
		if s, err := b.o.Sites.Usable(cluster); err == nil {
			b.o.Sites.Facts.Learn(ctx, s, id.Bucket, versioned, cluster == primary)
		}
	}
}
