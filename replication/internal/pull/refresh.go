package pull

import (
	"context"
	"errors"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/storage"
)

// refresh brings an object that was copied on demand in step with the primary. The caller
// holds the key's lock.
func (c *copier) refresh(ctx context.Context, ref ids.Object) (object.Outcome, error) {
	if _, ok := c.o.known(ref); !ok {
		return 0, object.ErrNoCopy
	}
	mine := c.remover.marks.remove([]ids.Object{ref})
	if len(mine) == 0 {
		return 0, guard.ErrMoving // it is being removed
	}
	defer c.remover.marks.removed(mine)
	release, err := c.locks.awayFromOthers(ctx, ref)
	if err != nil {
		return 0, err
	}
	defer release()
	known, ok := c.o.known(ref)
	if !ok {
		return 0, object.ErrNoCopy
	}
	p := &copying{copier: c, ref: ref}
	if p.at, err = c.o.sides(ref); err != nil {
		return 0, err
	}
	src, dst, err := object.Look(ctx, p.at, ref.Bucket, ref.Key)
	switch {
	case err != nil && !noBucket(err):
		return 0, err
	case dst == nil, !Is(known, *dst): // it vanished, or a foreign object replaced it
		if err == nil && dst == nil { // else the bucket is gone
			if err := p.at.Dst.Absent(ctx, ref.Bucket, ref.Key); err != nil {
				return 0, err
			}
		}
		return object.Moot, c.o.Rows.Delete(ctx, keyOf(ref))
	case src != nil && known.ETag != "" && storage.Compare(*src, *dst) == storage.Equal:
		return object.InStep, nil
	}
	if err := object.Identified(ctx, c.o.Store(), ref.Bucket, p.at.Src); err != nil {
		return 0, err // what is there may be the last
	}
	if src == nil {
		return object.Removed, c.remover.withdraw(ctx, ref, p.at.Dst)
	}
	err = p.attempt(ctx)
	if errors.Is(err, ErrNoRoom) || errors.Is(err, guard.ErrForbidden) {
		return object.Removed, c.remover.withdraw(ctx, ref, p.at.Dst)
	}
	if err != nil {
		return 0, err
	}
	return object.Copied, nil
}
