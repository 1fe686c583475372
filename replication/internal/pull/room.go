package pull

import (
	"context"
	"fmt"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/keylock"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// Lease is how long the row of an object on its way is left alone by other instances without
// a sign of life; it is prolonged while the copy runs.
const Lease = time.Minute

// room is what the clusters' capacities leave to objects copied on demand.
type room struct {
	o        *Options
	uses     uses
	marks    *marks
	remover  *remover
	clusters *keylock.Locks[string] // one claim per cluster at a time
}

// claim makes room for an object of a size, in place of one of the size had, and stores that
// it is on its way. The row is what keeps the room: it counts from here on.
func (r *room) claim(ctx context.Context, ref ids.Object, dst *site.Site, size, had int64) (state.Pulled, error) {
	unlock, err := r.clusters.Lock(ctx, ref.Cluster)
	if err != nil {
		return state.Pulled{}, err
	}
	defer unlock()
	if err := r.free(ctx, ref, dst, size-had); err != nil {
		return state.Pulled{}, err
	}
	now := r.o.Now()
	row := state.Pulled{
		Bucket: ref.Bucket, Key: ref.Key, Cluster: ref.Cluster, Size: size, UsedAt: now, Until: now.Add(Lease),
	}
	if err := r.o.Rows.Put(ctx, row); err != nil {
		return state.Pulled{}, err
	}
	return row, nil
}

// freeSteps bounds the steps of making room, in each of which something is removed.
const freeSteps = 1000

// free removes what was not used for longest until so many bytes fit.
func (r *room) free(ctx context.Context, ref ids.Object, dst *site.Site, need int64) error {
	capacity := dst.Capacity()
	if capacity == 0 || need <= 0 {
		return nil
	}
	left := capacity - r.o.UsedBytes()[ref.Cluster]
	if need > left {
		return fmt.Errorf("%w: %d bytes, %d of %d not taken by copies", ErrNoRoom, need, max(0, left), capacity)
	}
	r.uses.note(ctx)
	for range freeSteps {
		pulled, err := r.o.Store().Pulls().PulledBytes(ctx)
		if err != nil {
			return err
		}
		short := need - (left - pulled[ref.Cluster])
		if short <= 0 {
			return nil
		}
		victims, err := r.victims(ctx, ref, short)
		if err != nil {
			return err
		}
		if len(victims) == 0 {
			break
		}
		if err := r.remover.remove(ctx, victims...); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: %d bytes, and what was copied on demand before is in use", ErrNoRoom, need)
}

// victimsAtATime is how many objects are considered for removal in one step of
// making room.
const victimsAtATime = 64

// victims chooses the least recently used objects of the cluster whose sizes make up for
// what is short.
func (r *room) victims(ctx context.Context, incoming ids.Object, short int64) (refs []ids.Object, err error) {
	rows, err := r.o.Store().Pulls().ListPulled(ctx, state.PulledFilter{Cluster: incoming.Cluster}, victimsAtATime)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		ref := refOf(row)
		if row.Key == "" || ref == incoming || row.ETag == "" || r.marks.busy(ref) || r.o.taken(ref) {
			continue
		}
		if refs = append(refs, ref); short <= row.Size {
			break
		}
		short -= row.Size
	}
	return refs, nil
}
