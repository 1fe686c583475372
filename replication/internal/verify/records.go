package verify

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// save stores where a verification stands, and the mismatches that changed since the last
// time.
func (v *Verifier) save(ctx context.Context, c *current) error {
	return c.inTurn(ctx, func() error {
		c.mu.Lock()
		if c.final {
			c.mu.Unlock()
			return nil // nothing is to be stored over the outcome
		}
		row := c.row
		row.Done = slices.Clone(row.Done)
		changed := c.changed
		c.changed = make(map[ids.Object]Mismatch)
		c.mu.Unlock()
		err := v.put(ctx, row, changed)
		if err != nil { // they are stored with the next attempt
			c.mu.Lock()
			defer c.mu.Unlock()
			maps.Copy(changed, c.changed) // what is newer stays
			c.changed = changed
		}
		return err
	})
}

// putBatch is how many mismatches are stored at a time.
const putBatch = 512

func (v *Verifier) put(ctx context.Context, row state.Verification, changed map[ids.Object]Mismatch) error {
	_, err := v.o.Records.UpdateVerification(ctx, row.Bucket, func(now *state.Verification) error {
		*now = row
		return nil
	})
	if err != nil {
		return err
	}
	var rows []state.Mismatch
	for _, m := range changed {
		rows = append(rows, state.Mismatch(m))
	}
	for batch := range slices.Chunk(rows, putBatch) {
		if err := v.o.Records.PutMismatches(ctx, row.Bucket, batch...); err != nil {
			return err
		}
	}
	return nil
}

// listed reads the mismatches of a bucket that are shown.
func (v *Verifier) listed(ctx context.Context, bucket string) ([]Mismatch, error) {
	rows, err := v.o.Records.ListMismatches(ctx, bucket, state.MismatchFilter{}, state.Mismatch{}, maxMismatches)
	keys := make([]Mismatch, len(rows))
	for i, m := range rows {
		keys[i] = Mismatch(m)
	}
	return keys, err
}

// load takes up what was under way on this node when it ended, and says again what could not
// be repaired.
func (v *Verifier) load(ctx context.Context) error {
	damaged, err := v.o.Records.ListVerifications(ctx, state.VerificationFilter{Node: v.o.Node, Damaged: true}, "", 0)
	if err != nil {
		return err
	}
	for _, row := range damaged {
		v.setIssue(row.Bucket, row.Damage)
	}
	running, err := v.o.Records.ListVerifications(ctx, state.VerificationFilter{Node: v.o.Node, UnderWay: true}, "", 0)
	if err != nil {
		return err
	}
	var failed error
	for _, row := range running {
		if v.o.Router.Snapshot().Bucket(row.Bucket) != nil {
			failed = errors.Join(failed, v.resume(ctx, row))
		}
	}
	return failed
}

func (v *Verifier) resume(ctx context.Context, row state.Verification) error {
	c := newCurrent(row)
	c.mismatched = v.o.Mismatched
	var err error
	if c.keys, err = v.listed(ctx, row.Bucket); err != nil {
		return err
	}
	open, err := v.o.Records.ListMismatches(ctx, row.Bucket, state.MismatchFilter{State: repairing}, state.Mismatch{}, maxRepairs)
	if err != nil {
		return err
	}
	for _, m := range open {
		c.repairs[ids.ObjectIn(row.Bucket, m.Key, m.Cluster)] = Mismatch(m)
	}
	for _, m := range c.keys {
		if m.State == unrepairable {
			c.broken[ids.ObjectIn(row.Bucket, m.Key, m.Cluster)] = true
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known[row.Bucket] == nil {
		v.known[row.Bucket] = c
		v.queue = append(v.queue, row.Bucket)
	}
	return nil
}
