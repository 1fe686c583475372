package walk

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
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// Whether the buckets that a walk finds are those that the rows speak of; see package identity.

// identityOf says which bucket lies at a storage now.
func identityOf(ctx context.Context, s *site.Site, bucket string, born bornBy) (identity.Identity, error) {
	t, err := born(ctx, bucket)
	s.Observed(err)
	if err != nil {
		return identity.Identity{}, fmt.Errorf("asking %s when its buckets were made: %w", s.Name(), err)
	}
	return identity.Identity{At: s.Address(), Born: t}, nil
}

// IdentityOf says which bucket lies at a storage, before something is removed there.
func IdentityOf(ctx context.Context, s *site.Site, bucket string) (identity.Identity, error) {
	return identityOf(ctx, s, bucket, s.BornLately)
}

// bornBy asks a site when a bucket was made.
type bornBy = func(context.Context, string) (time.Time, error)

// verdictOn compares rows of a cluster with what is there now, by a question to the storage;
// that it is another bucket is only said after the storage was asked at this moment.
func verdictOn(ctx context.Context, s *site.Site, bucket string, rows []state.Copy, ask bornBy) (now identity.Identity, v identity.Verdict, err error) {
	for _, born := range []bornBy{ask, s.BornNow} {
		if now, err = identityOf(ctx, s, bucket, born); err != nil {
			return now, v, err
		}
		v = identity.Same
		for _, row := range rows {
			if row.Cluster == s.Name() {
				v = max(v, identity.Of(row).Compare(now))
			}
		}
		if v != identity.Other {
			break
		}
	}
	return now, v, nil
}

// identifyPrimary finds out whether the primary's bucket is the one that was written so far,
// and stops the bucket if not: [guard.ErrElsewhere]. One that is that again goes on.
func (b *Buckets) identifyPrimary(ctx context.Context, s *site.Site, bucket string, rows []state.Copy, ask bornBy) error {
	alone := !slices.ContainsFunc(rows, func(c state.Copy) bool { return c.Cluster != s.Name() })
	rows = copyrows.PrimaryRows(rows)
	now, v, err := verdictOn(ctx, s, bucket, rows, ask)
	switch {
	case err != nil:
		return err
	case v == identity.Other && alone:
		return b.adopt(ctx, s, bucket, now)
	case v == identity.Other:
		return b.Stop(ctx, bucket, whatChanged(rows, s, now))
	}
	return b.learnIdentity(ctx, s, bucket, rows, now)
}

// adopt takes what lies at a primary that has no copies for the bucket from now on: nothing
// can come to harm by it.
func (b *Buckets) adopt(ctx context.Context, s *site.Site, bucket string, now identity.Identity) error {
	b.o.Log.Warn("another bucket lies at a primary that has no copies; it is taken as it is", zap.String("bucket", bucket), zap.String("cluster", s.Name()))
	return b.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			c := &rows[i]
			if c.Cluster != s.Name() || !c.Primary {
				return rows, object.ErrChanged
			}
			now.Put(c)
			c.Stopped, c.Error = false, ""
		}
		return rows, nil
	})
}

// whatChanged says why a primary's bucket is not the one it was.
func whatChanged(rows []state.Copy, s *site.Site, now identity.Identity) string {
	for _, row := range rows {
		known := identity.Of(row)
		switch {
		case row.Cluster != s.Name() || known.Compare(now) != identity.Other:
			continue
		case row.Stopped && row.Error != "":
			return row.Error
		case identity.Differ(known, now):
			return fmt.Sprintf("the bucket in %s was made at %s, the one that was written so far at %s", s.Name(),
				now.Born.Format(time.RFC3339Nano), known.Born.Format(time.RFC3339Nano))
		default:
			return fmt.Sprintf("%s has another endpoint or bucket prefix, and nothing proves that the bucket there is the one that was written so far", s.Name())
		}
	}
	return "the storage in " + s.Name() + " is another one"
}

// Stop has nothing be done on account of a bucket's primary until people say which side is
// right. It returns [guard.ErrElsewhere] with the reason.
func (b *Buckets) Stop(ctx context.Context, bucket, why string) error {
	return b.stop(ctx, bucket, why, false)
}

// StopForGood is Stop where not even the former storage under the name would make the bucket go
// on by itself.
func (b *Buckets) StopForGood(ctx context.Context, bucket, why string) error {
	return b.stop(ctx, bucket, why, true)
}

func (b *Buckets) stop(ctx context.Context, bucket, why string, forGood bool) error {
	stopped := false
	err := b.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		stopped = false
		for i := range rows {
			if c := &rows[i]; c.Primary {
				stopped = stopped || !c.Stopped
				c.Stopped, c.Error = true, why
				if forGood {
					identity.Nowhere.Put(c)
				}
			}
		}
		return rows, nil
	})
	if err != nil {
		return err
	}
	if stopped {
		b.o.Log.Error("a bucket is stopped: its primary may not be what it was; nothing is copied from it or removed on its account until people say which side is right",
			zap.String("bucket", bucket), zap.String("reason", why))
	}
	err = fmt.Errorf("%w: %s; say which side is right with POST /fado/buckets/%s/trust?cluster=<name>", guard.ErrElsewhere, why, bucket)
	b.o.Hooks.AskSource(bucket)(err)
	return err
}

// learnIdentity notes which bucket a cluster's facts belong to, where rows don't say so yet.
func (b *Buckets) learnIdentity(ctx context.Context, s *site.Site, bucket string, rows []state.Copy, now identity.Identity) error {
	learn := func(c *state.Copy) bool {
		known := identity.Of(*c)
		if c.Cluster != s.Name() || known.Compare(now) == identity.Other {
			return false
		}
		next := known.Learnt(now)
		if next.At == known.At && next.Born.Equal(known.Born) && !c.Stopped {
			return false
		}
		next.Put(c)
		if c.Stopped {
			c.Stopped, c.Error = false, ""
		}
		return true
	}
	for i := range rows {
		row := rows[i]
		if !learn(&row) {
			continue
		}
		return b.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
			for i := range rows {
				learn(&rows[i])
			}
			return rows, nil
		})
	}
	return nil
}

// identifyCopy finds out whether a copy's bucket is the one that its facts were learnt at. If
// it is another one the copy is an import, and [object.ErrChanged] is returned: what is equal
// there will be adopted, what differs is a conflict.
func (b *Buckets) identifyCopy(ctx context.Context, s *site.Site, bucket string) error {
	rows, err := b.o.Copies.Of(ctx, bucket)
	if err != nil {
		return err
	}
	now, v, err := verdictOn(ctx, s, bucket, rows, s.Born)
	if err != nil {
		return err
	}
	if v != identity.Other {
		return b.learnIdentity(ctx, s, bucket, rows, now)
	}
	b.o.Log.Warn("another bucket lies where a copy was; it is compared as one that is imported", zap.String("bucket", bucket), zap.String("cluster", s.Name()))
	err = b.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if c := &rows[i]; c.Cluster == s.Name() && !c.Primary && (c.State <= catalog.CopySynced || c.State == catalog.CopyFailed) {
				copyrows.Import(c)
				now.Put(c)
			}
		}
		return rows, nil
	})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Cluster == s.Name() {
			b.o.Deletes.Forget(ids.CopyIn(bucket, row.Prefix, row.Cluster))
		}
	}
	return object.ErrChanged
}

// errNotTheCopy says that another bucket lies where a copy was.
var errNotTheCopy = errors.New("another bucket lies where the copy was")

// mayRemove returns nil if objects of a pass's copy may be removed because others have them:
// both buckets are those the facts are about, and the copy's is none of the others.
// errNotTheCopy: the copy is not there any more, and what lies there is not FaDO's.
func (b *Buckets) mayRemove(ctx context.Context, w *pass) error {
	if err := b.identifyPrimary(ctx, w.src, w.id.Bucket, w.rows, w.src.BornLately); err != nil {
		return err
	}
	now, v, err := verdictOn(ctx, w.dst, w.id.Bucket, w.rows, w.dst.BornLately)
	if err != nil {
		return err
	}
	if v == identity.Other {
		return errNotTheCopy
	}
	if err := b.learnIdentity(ctx, w.dst, w.id.Bucket, w.rows, now); err != nil {
		return err
	}
	if err := b.MustDiffer(ctx, w.id.Bucket, w.dst, w.src); err != nil {
		return err
	}
	return b.others(w.id.Bucket, w.id.Cluster, func(other *site.Site) error { return b.MustDiffer(ctx, w.id.Bucket, w.dst, other) })
}
