package buckets

import (
	"context"
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

// Identities finds out whether buckets are the ones that they were, and stops those that may not
// be.
type Identities struct {
	o     *Options
	apart *Apart
}

// Primary finds out whether the primary's bucket is the one that was written so far,
// and stops the bucket if not: [guard.ErrElsewhere]. One that is that again goes on.
func (t *Identities) Primary(ctx context.Context, s *site.Site, bucket string, rows []state.Copy, ask bornBy) error {
	alone := !slices.ContainsFunc(rows, func(c state.Copy) bool { return c.Cluster != s.Name() }) && !t.o.Router.Pulled.HasBucket(bucket)
	rows = copyrows.PrimaryRows(rows)
	now, v, err := verdictOn(ctx, s, bucket, rows, ask)
	switch {
	case err != nil:
		return err
	case v == identity.Other && alone:
		return t.adopt(ctx, s, bucket, now)
	case v == identity.Other:
		return t.Stop(ctx, bucket, whatChanged(rows, s, now))
	}
	return t.learn(ctx, s, bucket, rows, now)
}

// adopt takes what lies at a primary that has no copies for the bucket from now on: nothing
// can come to harm by it. Objects copied on demand count as copies: they may be the last there is.
func (t *Identities) adopt(ctx context.Context, s *site.Site, bucket string, now identity.Identity) error {
	t.o.Log.Warn("another bucket lies at a primary that has no copies; it is taken as it is", zap.String("bucket", bucket), zap.String("cluster", s.Name()))
	return t.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
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
func (t *Identities) Stop(ctx context.Context, bucket, why string) error {
	return t.stop(ctx, bucket, why, false)
}

// StopForGood is Stop where not even the former storage under the name would make the bucket go
// on by itself.
func (t *Identities) StopForGood(ctx context.Context, bucket, why string) error {
	return t.stop(ctx, bucket, why, true)
}

func (t *Identities) stop(ctx context.Context, bucket, why string, forGood bool) error {
	stopped := false
	err := t.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
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
		t.o.Log.Error("a bucket is stopped: its primary may not be what it was; nothing is copied from it or removed on its account until people say which side is right",
			zap.String("bucket", bucket), zap.String("reason", why))
	}
	err = fmt.Errorf("%w: %s; say which side is right with POST /fado/buckets/%s/trust?cluster=<name>", guard.ErrElsewhere, why, bucket)
	t.o.AskSource(bucket)(err)
	return err
}

// learn notes which bucket a cluster's facts belong to, where rows don't say so yet.
func (t *Identities) learn(ctx context.Context, s *site.Site, bucket string, rows []state.Copy, now identity.Identity) error {
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
		return t.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
			for i := range rows {
				learn(&rows[i])
			}
			return rows, nil
		})
	}
	return nil
}

// Copy finds out whether a copy's bucket is the one that its facts were learnt at. If
// it is another one the copy is an import, and [object.ErrChanged] is returned: what is equal
// there will be adopted, what differs is a conflict.
func (t *Identities) Copy(ctx context.Context, s *site.Site, bucket string) error {
	rows, err := t.o.Copies.Of(ctx, bucket)
	if err != nil {
		return err
	}
	now, v, err := verdictOn(ctx, s, bucket, rows, s.Births.Of)
	if err != nil {
		return err
	}
	if v != identity.Other {
		return t.learn(ctx, s, bucket, rows, now)
	}
	t.o.Log.Warn("another bucket lies where a copy was; it is compared as one that is imported", zap.String("bucket", bucket), zap.String("cluster", s.Name()))
	err = t.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
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
			t.o.Deletes.Forget(ids.CopyIn(bucket, row.Prefix, row.Cluster))
		}
	}
	return object.ErrChanged
}

// A Removal is about objects of a copy that others have.
type Removal struct {
	Copy     ids.Copy
	Rows     []state.Copy // of the bucket
	Src, Dst *site.Site   // the primary's storage, and the copy's
}

// MayRemove returns nil if objects of a copy may be removed because others have them: both
// buckets are those the facts are about, and the copy's is none of the others.
// [ErrNotTheCopy]: the copy is not there any more, and what lies there is not FaDO's.
func (t *Identities) MayRemove(ctx context.Context, r Removal) error {
	bucket := r.Copy.Bucket
	if err := t.Primary(ctx, r.Src, bucket, r.Rows, r.Src.Births.Lately); err != nil {
		return err
	}
	now, v, err := verdictOn(ctx, r.Dst, bucket, r.Rows, r.Dst.Births.Lately)
	if err != nil {
		return err
	}
	if v == identity.Other {
		return ErrNotTheCopy
	}
	if err := t.learn(ctx, r.Dst, bucket, r.Rows, now); err != nil {
		return err
	}
	if err := t.apart.MustDiffer(ctx, bucket, r.Dst, r.Src); err != nil {
		return err
	}
	return t.apart.others(bucket, r.Copy.Cluster, func(other *site.Site) error { return t.apart.MustDiffer(ctx, bucket, r.Dst, other) })
}
