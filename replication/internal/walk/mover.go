package walk

import (
	"context"
	"fmt"
	"time"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/keylock"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/state"
)

// Mover changes where buckets are written.
type Mover struct {
	o       *Options
	locks   *keylock.Locks[ids.Copy]
	buckets *Buckets
	scanner *Scanner
	// histories of the target have to be whole before it becomes the primary.
	histories *Historian
	// handed are the last moves of primaries by this instance, by bucket.
	handed *memory.Memory[string, parting]
}

// parting is when users' writes through FaDO went from one primary to the next: all of them wait
// in between. In doubt, as on another instance, there is none.
type parting struct {
	from, to string
	left     time.Time // by the old one's clock, in whole seconds: all were made there before
	came     time.Time // by the new one's clock: none was made there before
}

// partings bounds how many moves are remembered.
const partings = 10_000

// scanAll scans every copy of a bucket in a cluster, each as a whole.
func (m *Mover) scanAll(ctx context.Context, rows []state.Copy, cluster string) error {
	for _, row := range rows {
		if row.Cluster != cluster {
			continue
		}
		if err := m.scanWhole(ctx, ids.CopyIn(row.Bucket, row.Prefix, cluster)); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mover) scanWhole(ctx context.Context, id ids.Copy) error {
	unlock, err := m.locks.Lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if err := m.scanner.restart(ctx, id); err != nil {
		return err
	}
	return m.scanner.Scan(ctx, id)
}

// bringHistories brings the histories of a bucket along to a cluster, all of them.
func (m *Mover) bringHistories(ctx context.Context, rows []state.Copy, cluster string) error {
	for _, row := range rows {
		if row.Cluster != cluster {
			continue
		}
		id := ids.CopyIn(row.Bucket, row.Prefix, cluster)
		unlock, err := m.locks.Lock(ctx, id)
		if err != nil {
			return err
		}
		err = m.histories.BringAll(ctx, id)
		unlock()
		if err != nil {
			return fmt.Errorf("moving the primary to %s: %w", cluster, err)
		}
	}
	return nil
}

// backlog is what is pending of a bucket in a cluster.
func (m *Mover) backlog(ctx context.Context, bucket, cluster string) (state.Backlog, error) {
	logs, err := m.o.Control.Store().Backlogs(ctx, bucket)
	for _, l := range logs {
		if l.Cluster == cluster {
			return l, err
		}
	}
	return state.Backlog{}, err
}
