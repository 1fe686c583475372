package move

import (
	"context"
	"fmt"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// whole goes over all copies of a bucket in a cluster, each of them from its first key.
type whole struct{ o *Options }

// scan compares them with the primary.
func (w whole) scan(ctx context.Context, rows []state.Copy, cluster string) error {
	return w.each(ctx, rows, cluster, func(id ids.Copy) error {
		if err := w.o.Scanner.Restart(ctx, id); err != nil {
			return err
		}
		return w.o.Scanner.Scan(ctx, id)
	})
}

// bringHistories brings their histories along.
func (w whole) bringHistories(ctx context.Context, rows []state.Copy, cluster string) error {
	return w.each(ctx, rows, cluster, func(id ids.Copy) error {
		if err := w.o.Historian.BringAll(ctx, id); err != nil {
			return fmt.Errorf("moving the primary to %s: %w", cluster, err)
		}
		return nil
	})
}

// each calls f with every copy in the cluster, with the copy to itself.
func (w whole) each(ctx context.Context, rows []state.Copy, cluster string, f func(ids.Copy) error) error {
	one := func(id ids.Copy) error {
		unlock, err := w.o.Locks.Lock(ctx, id)
		if err != nil {
			return err
		}
		defer unlock()
		return f(id)
	}
	for _, row := range rows {
		if row.Cluster != cluster {
			continue
		}
		if err := one(ids.CopyIn(row.Bucket, row.Prefix, cluster)); err != nil {
			return err
		}
	}
	return nil
}
