package object

import (
	"context"
	"fmt"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// Whether a bucket is, where an object is looked at, still the one that the rows of its copies speak of.
//
// Invariant: nothing is replaced, removed or brought back to a primary by what two storages show unless both
// buckets are those that were compared: what a primary lacks, or has another version of, says nothing if it is
// another bucket, and what is known of a copy nothing about another bucket in its place. That goes for
// what FaDO decides as for what people decide about conflicts, held deletes, and
// for objects copied on demand. A walk finds out what follows.

// Identified returns nil if a bucket at some storages is the one that the rows speak of, as far as the storages
// tell, by an answer of this moment; else [guard.ErrElsewhere]. It is to be asked after what is there was looked at.
func Identified(ctx context.Context, store state.Store, bucket string, at ...*site.Site) error {
	return identified(ctx, store, bucket, (*site.Births).Lately, at)
}

// identified is Identified by an answer that may be half a minute old.
func (s *situation) identified(ctx context.Context) error {
	return identified(ctx, s.e.o.Control.Store(), s.Bucket, (*site.Births).Of, []*site.Site{s.at.Src, s.at.Dst})
}

func identified(ctx context.Context, store state.Store, bucket string,
	ask func(*site.Births, context.Context, string) (time.Time, error), sites []*site.Site,
) error {
	rows, err := store.Catalogue().CopiesOf(ctx, bucket)
	if err != nil {
		return err
	}
	for _, at := range sites {
		for _, row := range rows {
			if row.Cluster != at.Name() {
				continue
			}
			if err := isStill(ctx, at, row, ask); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// isStill compares the row of one copy with what is there.
func isStill(ctx context.Context, at *site.Site, row state.Copy, ask func(*site.Births, context.Context, string) (time.Time, error)) error {
	if row.Stopped {
		return fmt.Errorf("%w: %s", guard.ErrElsewhere, row.Error)
	}
	now := identity.Identity{At: at.Address()}
	if !row.Born.IsZero() {
		var err error
		now.Born, err = ask(at.Births, ctx, row.Bucket)
		at.Observed(err)
		if err != nil {
			return err
		}
	}
	if identity.Of(row).Compare(now) != identity.Other {
		return nil
	}
	why := "has another endpoint or bucket prefix"
	if identity.Differ(identity.Of(row), now) {
		why = "was made again"
	}
	return fmt.Errorf("%w: the bucket in %s %s", guard.ErrElsewhere, at.Name(), why)
}
