package control

import (
	"context"
	"errors"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// batchedFrom is the share of all buckets (one in so many) from which on reading
// everything once is cheaper than asking for each bucket.
const batchedFrom = 50

// BucketStatuses tells the status of many buckets at the cost of few reads of the store;
// unknown buckets are left out.
func (c *Control) BucketStatuses(ctx context.Context, buckets ...string) (map[string]BucketStatus, error) {
	all := make(map[string]BucketStatus, len(buckets))
	snap := c.router.Snapshot()
	if len(buckets) < 8 || len(buckets)*batchedFrom < snap.Len(catalog.KindBucket) {
		for _, b := range buckets {
			st, err := c.BucketStatus(ctx, b)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			all[b] = st
		}
		return all, nil
	}
	rows, logs, err := c.readMany(ctx, buckets)
	if err != nil {
		return nil, err
	}
	for _, b := range buckets {
		if rules := snap.Rules(b); rules != nil {
			all[b] = c.statusBy(snap, b, rules, rows[b], logs[b])
		}
	}
	return all, nil
}

// readMany reads the copies and backlogs of some buckets in one pass each.
func (c *Control) readMany(ctx context.Context, buckets []string) (map[string][]state.Copy, map[string][]state.Backlog, error) {
	rows, logs := make(map[string][]state.Copy, len(buckets)), make(map[string][]state.Backlog)
	for _, b := range buckets {
		rows[b] = nil
	}
	err := c.Store().EachCopy(ctx, func(cp state.Copy) error {
		if have, wanted := rows[cp.Bucket]; wanted {
			rows[cp.Bucket] = append(have, cp)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	sums, err := c.Store().Backlogs(ctx, "")
	for _, l := range sums {
		if _, wanted := rows[l.Bucket]; wanted {
			logs[l.Bucket] = append(logs[l.Bucket], l)
		}
	}
	return rows, logs, err
}
