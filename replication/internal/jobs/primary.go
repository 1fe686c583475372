package jobs

import (
	"context"
	"fmt"

	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/storage"
)

// staysPut returns [guard.ErrMoving] if a bucket's primary is another one, or has just come there.
//
// Invariant: what people have FaDO bring to a primary, or delete there, is done where users write, and is not taken
// for what its move left: as long as a former primary's last changes are carried over, an object at the new one
// that has FaDO's mark, and that the former one lacks, counts as deleted there, and one at the former
// one with the mark as a copy. So it is asked before, and again behind what was brought, before anything counts as decided.
func (o *Options) staysPut(ctx context.Context, bucket, primary string) error {
	rows, err := o.Copies.Of(ctx, bucket)
	if err == nil && (copyrows.PrimaryOf(rows) != primary || copyrows.CarryingOver(rows)) {
		err = fmt.Errorf("%w; decide again in a moment: %w", guard.ErrMoving, storage.ErrUnavailable)
	}
	return err
}
