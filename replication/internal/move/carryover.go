package move

import (
	"context"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/state"
)

// carryPasses bounds how often a former primary is looked through.
const carryPasses = 10

// Carrier brings along what users wrote at a former primary around a move.
type Carrier struct {
	o        *Options
	partings *partings
}

// CarryOver brings along what users wrote at a former primary around the move: objects
// without FaDO's mark from after the last comparison, which the new primary lacks or has
// an older version of. It goes on until a pass finds nothing, so that clients that are
// late to follow the move are covered; who writes there later is reported as a conflict.
func (r *Carrier) CarryOver(ctx context.Context, bucket, from string) error {
	for pass := range carryPasses {
		carried, clock, err := r.carryOnce(ctx, bucket, from, pass == 0)
		if err != nil {
			return err
		}
		if carried == 0 && pass > 0 || pass == carryPasses-1 {
			if err := r.carriedOver(ctx, bucket, from, clock); err != nil {
				return err
			}
			break
		}
		if err := r.comparedUntil(ctx, bucket, from, clock); err != nil {
			return err
		}
		if err := r.sleep(ctx, bucket, from); err != nil {
			return err
		}
	}
	r.o.Control.WakeWorkers()
	r.o.Hooks.RequestScan(bucket)
	return nil
}

func (r *Carrier) sleep(ctx context.Context, bucket, from string) error {
	if r.o.Hooks.CarrySleep != nil {
		return r.o.Hooks.CarrySleep(ctx, bucket, from, r.o.Timing.CarryPause)
	}
	delay.Sleep(ctx, r.o.Timing.CarryPause)
	return ctx.Err()
}

// carryOnce makes one pass. It returns how many objects that brought along, and until when,
// by the former primary's clock, everything was compared.
func (r *Carrier) carryOnce(ctx context.Context, bucket, from string, first bool) (carried int, until time.Time, err error) {
	rows, err := r.o.Copies.Of(ctx, bucket)
	if err != nil {
		return 0, until, err
	}
	c, err := newCarry(r.o, bucket, from, rows, first)
	if err != nil {
		return 0, until, err
	}
	c.parting = r.partings.of(bucket)
	// Nothing is carried over from another bucket than the one that users wrote in until the move.
	if err := r.o.Buckets.Identities.Copy(ctx, c.old, bucket); err != nil {
		return 0, until, err
	}
	if until, err = c.old.Clock(ctx); err != nil {
		return 0, until, err
	}
	err = c.run(ctx)
	return c.carried, until, err
}

// comparedUntil stores that a former primary's objects were compared up to a time of its
// clock: the next pass must not bring back what users delete at the new primary meanwhile.
func (r *Carrier) comparedUntil(ctx context.Context, bucket, from string, clock time.Time) error {
	return r.amendFormer(ctx, bucket, from, func(c *state.Copy) { c.OwnedUntil = clock })
}

// carriedOver stores that a former primary, compared up to a time of its clock, is an
// ordinary copy now.
func (r *Carrier) carriedOver(ctx context.Context, bucket, from string, clock time.Time) error {
	return r.amendFormer(ctx, bucket, from, func(c *state.Copy) { c.FormerPrimary, c.OwnedUntil = false, clock })
}

func (r *Carrier) amendFormer(ctx context.Context, bucket, from string, f func(*state.Copy)) error {
	return r.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		for i := range rows {
			if rows[i].Cluster == from && rows[i].FormerPrimary {
				f(&rows[i])
			}
		}
		return rows, nil
	})
}
