package object

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// unheardFor is how long rows of what is about to change are left alone by the workers.
const unheardFor = time.Minute

// afterPatience bounds storing the rows of an object that was changed, when the work that changed it
// ends meanwhile.
const afterPatience = 10 * time.Second

// Unheard runs f, by which FaDO itself changes an object where users write it: at its primary, or
// where anywhere is written.
//
// Invariant: no event tells of what FaDO writes, so wherever else the object is, as a copy or on
// demand, it has a row before f, because it is no hit there from then on, and again after f, because a
// worker may have compared it with what was there before. Without them such a place would show, as a
// hit, what was there before, until the next scan. Workers leave the first row alone for a while: if
// this instance ends meanwhile, they look then. But names clusters that the caller sees to itself.
func (w *Writes) Unheard(ctx context.Context, at ids.Object, size int64, but []string, f func() error) error {
	note := func(ctx context.Context, due time.Time) error {
		var rows []state.Pending
		places := w.o.Router.Snapshot().Of(at.Bucket).WantedIn(nil, at.Key)
		for _, cluster := range w.o.Router.Pulled.AppendClusters(places, at.Bucket, at.Key) {
			if cluster != at.Cluster && !slices.Contains(but, cluster) {
				rows = append(rows, state.Pending{
					Bucket: at.Bucket, Key: at.Key, Cluster: cluster, Size: max(size, 0), Since: w.o.Now(), NextAttempt: due,
				})
			}
		}
		if len(rows) == 0 {
			return nil
		}
		return w.o.Control.AddPending(ctx, rows...)
	}
	if err := note(ctx, w.o.Now().Add(unheardFor)); err != nil {
		return err
	}
	err := f() // one that failed may have changed the object all the same
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterPatience)
	defer cancel()
	return errors.Join(err, note(ctx, time.Time{}))
}
