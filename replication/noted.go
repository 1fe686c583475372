package replication

import (
	"context"

	"github.com/fado-project/fado/storage"
)

// Noted is the hook of a gateway through which users write: it is called with a key that
// is about to be written or removed in a cluster, after the storage took the write and
// before the user is told so. When it returns without an error, the rows are durable and
// every instance routes by them: no other cluster is a hit for the key until it has what
// was written. An error means that this is not so, and the write must not be
// acknowledged; calling again is harmless, and so is a call for a write that failed: the
// workers ask the storages what is true. Size is that of the object, 0 for a removal.
//
// Buckets that FaDO does not know are ignored.
func (e *Engine) Noted(ctx context.Context, bucket, key, cluster string, size int64) error {
	rows := e.rowsFor(ctx, []feedEvent{{cluster, storage.Event{Bucket: bucket, Key: key, Size: size, Removed: true}}})
	return e.ctl.AddPendingEverywhere(ctx, rows...)
}

// Noter is what a gateway needs of *Engine.
type Noter interface {
	Noted(ctx context.Context, bucket, key, cluster string, size int64) error
}

// Interface guard
var _ Noter = (*Engine)(nil)
