package move

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/state"
)

// Where instances share a store, the one that moves a primary first stops the others from
// writing in the target: it marks the copies there, and every live instance must have seen
// the marks, which its guard enforces, before the roles are swapped. The swap removes them.
// Without that, a write or delete of another instance could race the first user writes
// there.
//
// Marks are durable, so that an instance that starts or returns during the move writes
// nothing there. If an instance ends and leaves marks behind, the instance that plans the
// bucket next removes them with [Halts.End] and starts the move again.

// SetMoving marks the copies in one cluster ("": in none), and no others.
func SetMoving(rows []state.Copy, target string) {
	for i := range rows {
		rows[i].Moving = target != "" && rows[i].Cluster == target && !rows[i].Primary
	}
}

// Halts keeps other instances from writing in the target of a move.
type Halts struct{ o *Options }

// mark stores the marks of a bucket's copies.
func (h *Halts) mark(ctx context.Context, bucket, target string) error {
	return h.o.Copies.Update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		if err := h.o.Control.MayWrite(); err != nil {
			return rows, err
		}
		SetMoving(rows, target)
		return rows, nil
	})
}

// others returns when no other instance does anything to a bucket's objects in a
// cluster any more, nor begins to. The caller holds this instance's own operations. After
// an error nothing is halted, or the planner ends it.
func (h *Halts) others(ctx context.Context, bucket, target string) error {
	if !h.o.Control.Shared() {
		return nil
	}
	if err := h.mark(ctx, bucket, target); err != nil {
		return err
	}
	return h.o.Control.Confirm(ctx)
}

// End takes away what marks a bucket has.
func (h *Halts) End(ctx context.Context, bucket string) error { return h.mark(ctx, bucket, "") }

// unhaltTimeout bounds the attempt to take marks away after a move that failed.
const unhaltTimeout = 5 * time.Second

// failed ends what a move that failed has halted, if it can; or the planner does.
func (h *Halts) failed(ctx context.Context, bucket string) {
	if !h.o.Router.Snapshot().Of(bucket).AnyMoving() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unhaltTimeout)
	defer cancel()
	if err := h.End(ctx, bucket); err != nil {
		h.o.Log.Warn("could not let other instances go on after a move that failed; the planner tries again",
			zap.String("bucket", bucket), zap.Error(err))
	}
	h.o.Guard.RolesChanged(bucket) //nolint:contextcheck // what it ends has contexts of its own
}
