package control

import (
	"context"
	"slices"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// What replication does to the catalogue: each is durable, then visible.

// UpdateCopies runs f on the rows of a bucket's copies in one transaction; f returns
// the rows as they should be (added, changed, left out to delete). Rows of an unknown
// bucket are not made: ErrNotFound.
func (c *Control) UpdateCopies(ctx context.Context, bucket string, f func(now []state.Copy) ([]state.Copy, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.router.Snapshot().Bucket(bucket) == nil {
		return ErrNotFound
	}
	var before, next []state.Copy
	seq, err := c.Store().Update(ctx, func(tx state.Tx) (err error) {
		if err := c.stillThere(tx, bucket); err != nil {
			return err
		}
		if before, err = tx.Copies(bucket); err != nil {
			return err
		}
		if next, err = f(slices.Clone(before)); err != nil {
			return err
		}
		return writeCopies(tx, bucket, before, next)
	})
	if c.trouble.note(err) != nil {
		return err
	}
	c.publish(func(e *routing.Editor) { e.SetCopies(bucket, routed(next)) })
	c.followed.made(seq)
	c.mirrorCopies(bucket, next)
	return c.announce(ctx, bucket, before, next)
}

// stillThere finds out whether a bucket is there where another instance may have removed
// it a moment ago.
func (c *Control) stillThere(tx state.Tx, bucket string) error {
	if c.followed.store() == nil || c.inForce.has(state.Ref{Kind: catalog.KindBucket, Name: bucket}) {
		return nil
	}
	_, err := tx.Get(catalog.KindBucket, bucket)
	return err
}

// writeCopies stores the difference between the rows that are there and those that
// should be.
func writeCopies(tx state.Tx, bucket string, before, next []state.Copy) error {
	for i := range next {
		next[i].Bucket = bucket
		if j := findCopy(before, next[i]); j >= 0 && before[j] == next[i] {
			continue
		}
		if err := tx.PutCopy(next[i]); err != nil {
			return err
		}
	}
	for _, b := range before {
		if findCopy(next, b) < 0 {
			if err := tx.DeleteCopy(bucket, b.Prefix, b.Cluster); err != nil {
				return err
			}
		}
	}
	return nil
}

// findCopy returns where the row of the same rule and cluster is, -1 if nowhere.
func findCopy(rows []state.Copy, c state.Copy) int {
	return slices.IndexFunc(rows, func(r state.Copy) bool { return r.Prefix == c.Prefix && r.Cluster == c.Cluster })
}

// announce tells watchers which copies changed state, and drops the exceptions of
// copies that are gone.
func (c *Control) announce(ctx context.Context, bucket string, before, next []state.Copy) error {
	for _, n := range next {
		if j := findCopy(before, n); j < 0 || before[j].State != n.State || before[j].Primary != n.Primary || before[j].Error != n.Error {
			c.bus.Emit(Event{Type: EventCopy, Bucket: bucket, Prefix: n.Prefix, Cluster: n.Cluster, State: n.State.String(), Reason: n.Error})
		}
	}
	for _, b := range before {
		if findCopy(next, b) >= 0 {
			continue
		}
		c.bus.Emit(Event{Type: EventCopy, Bucket: bucket, Prefix: b.Prefix, Cluster: b.Cluster, State: "gone"})
		if err := c.reloadPending(ctx, bucket, b.Cluster); err != nil {
			return err
		}
	}
	return nil
}

// reloadPending makes a bucket's exceptions in a cluster ("": in all) those of the
// stored rows.
func (c *Control) reloadPending(ctx context.Context, bucket, cluster string) error {
	r := c.exceptions.beginReload(bucket, cluster)
	err := func() error {
		after := state.PendingKey{}
		for {
			page, err := c.Store().ListPending(ctx, state.PendingFilter{Bucket: bucket, Cluster: cluster}, after, reloadPage)
			if err != nil {
				return err
			}
			for _, p := range page {
				r.row(p)
			}
			if len(page) < reloadPage {
				return nil
			}
			last := page[len(page)-1]
			after = state.PendingKey{Bucket: last.Bucket, Key: last.Key, Cluster: last.Cluster}
		}
	}()
	c.exceptions.endReload(r, err)
	return err
}

const reloadPage = 10_000

// SaveProgress stores rows of copies that still exist, and routes by them. It is for
// progress (cursors, counts, times): a row whose state or role is not the one in
// force is left out, because whoever wrote it did not know of the change. It is not for
// a store that others write too: see Shared.
func (c *Control) SaveProgress(ctx context.Context, copies ...state.Copy) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	snap := c.router.Snapshot()
	next := make(map[string][]catalog.Copy)
	keep := make([]state.Copy, 0, len(copies))
	for _, cp := range copies {
		rows, ok := next[cp.Bucket]
		if !ok {
			rows = snap.Copies(cp.Bucket)
			next[cp.Bucket] = rows
		}
		i := slices.IndexFunc(rows, func(r catalog.Copy) bool { return r.Prefix == cp.Prefix && r.Cluster == cp.Cluster })
		if i < 0 || rows[i].State != cp.State || rows[i].Primary != cp.Primary {
			continue
		}
		rows[i] = cp.Routed()
		keep = append(keep, cp)
	}
	if len(keep) == 0 {
		return nil
	}
	if _, err := c.Store().SaveCopies(ctx, keep...); err != nil {
		return err
	}
	c.publish(func(e *routing.Editor) {
		for b, rows := range next {
			e.SetCopies(b, rows)
		}
	})
	return nil
}
