package object

import (
	"context"
	"fmt"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/identity"
	"github.com/fado-project/fado/replication/internal/site"
)

// identified returns nil if both buckets are those that the rows speak of, as far as the
// storages tell: what the primary lacks, or has another version of, says nothing if it is
// another bucket, and what is known of a copy nothing about another bucket in its place. A
// walk finds out what follows.
func (s *situation) identified(ctx context.Context) error {
	rows, err := s.e.o.Control.Store().CopiesOf(ctx, s.Bucket)
	if err != nil {
		return err
	}
	for _, at := range []*site.Site{s.at.Src, s.at.Dst} {
		for _, row := range rows {
			if row.Cluster != at.Name() || row.Born.IsZero() {
				continue
			}
			born, err := at.Births.Of(ctx, s.Bucket)
			at.Observed(err)
			if err != nil {
				return err
			}
			if now := (identity.Identity{At: at.Address(), Born: born}); identity.Of(row).Compare(now) == identity.Other {
				return fmt.Errorf("%w: the bucket in %s was made again", guard.ErrElsewhere, at.Name())
			}
			break
		}
	}
	return nil
}
