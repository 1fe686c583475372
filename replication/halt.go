package replication

import (
	"context"
	"slices"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// Where instances share a store, the one that moves a primary has the others keep away from
// its next place first: the copies there are marked, and every instance that is alive has
// to have seen the marks, which its gate heeds, before the roles are swapped. The swap takes
// them away. Without that, a write or delete of another instance could still be on its way
// when users write there.
//
// Marks are durable, so that nobody begins to write there who starts, or comes back, in the
// middle of it. One that is left behind by an instance that ended belongs to nobody: who
// plans the bucket next takes it away and begins anew.

// haltOthers returns when no other instance does anything to a bucket's objects in a
// cluster any more, nor begins to. The caller holds this instance's own operations. After
// an error nothing is halted, or the planner ends it.
func (r *run) haltOthers(ctx context.Context, bucket, target string) error {
	if !r.ctl.Shared() {
		return nil
	}
	err := r.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		if err := r.ctl.MayWrite(); err != nil {
			return rows, err
		}
		setMoving(rows, target)
		return rows, nil
	})
	if err != nil {
		return err
	}
	return r.ctl.Confirm(ctx)
}

// setMoving marks the copies in one cluster ("": in none), and no others.
func setMoving(rows []state.Copy, target string) {
	for i := range rows {
		rows[i].Moving = target != "" && rows[i].Cluster == target && !rows[i].Primary
	}
}

// unhalt takes away what marks a bucket has.
func (r *run) unhalt(ctx context.Context, bucket string) error {
	return r.ledger.update(ctx, bucket, func(rows []state.Copy) ([]state.Copy, error) {
		if err := r.ctl.MayWrite(); err != nil {
			return rows, err
		}
		setMoving(rows, "")
		return rows, nil
	})
}

// unhaltTimeout bounds the attempt to take marks away after a move that failed.
const unhaltTimeout = 5 * time.Second

// moveFailed ends what a move that failed has halted, if it can; or the planner does.
func (r *run) moveFailed(ctx context.Context, bucket string) {
	if !anyMoving(r.ctl.Router().Snapshot().Copies(bucket)) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unhaltTimeout)
	defer cancel()
	r.store(r.unhalt(ctx, bucket))
}

func anyMoving(copies []catalog.Copy) bool {
	return slices.ContainsFunc(copies, func(c catalog.Copy) bool { return c.Moving })
}

// endOrphanedMove takes away the marks of a move that nobody makes any more.
func (p *planner) endOrphanedMove(bucket string, copies []catalog.Copy) {
	if !anyMoving(copies) || p.jobs.moving(bucket) {
		return
	}
	err := p.unhalt(p.ctx, bucket)
	if err != nil {
		p.later(bucket, time.Second)
	}
	p.store(err)
}

// moving says whether a job that moves a bucket's primary waits or runs.
func (j *jobs) moving(bucket string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := range j.known {
		if id.kind == jobMove && id.bucket == bucket {
			return true
		}
	}
	return false
}
