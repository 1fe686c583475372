package queue

import (
	"context"
	"sync"

	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

// goneRows are the objects whose rows name versions that went at the primary. Early starts leave
// them to claims: an early start does not know what else the row says, and would remove it.
type goneRows struct {
	mu sync.Mutex
	of map[ids.Object]struct{}
}

// note notes a row that is to be stored.
func (g *goneRows) note(row state.Pending) {
	if row.Gone == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil {
		g.of = make(map[ids.Object]struct{})
	}
	g.of[ids.ObjectIn(row.Bucket, row.Key, row.Cluster)] = struct{}{}
}

func (g *goneRows) has(ref ids.Object) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.of[ref]
	return ok
}

// settled forgets an object whose claimed row was settled, unless there is a row of it still: one that
// was raised meanwhile. Rows are noted once they are exceptions, so that none slips through here.
func (g *goneRows) settled(row state.Pending, pending func(bucket, key, cluster string) bool) {
	if row.Gone == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !pending(row.Bucket, row.Key, row.Cluster) {
		delete(g.of, ids.ObjectIn(row.Bucket, row.Key, row.Cluster))
	}
}

// load notes the rows that the store has.
func (g *goneRows) load(ctx context.Context, rows rowsInStore) error {
	const page = 1000
	for some, err := range state.PendingPages(ctx, rows, state.PendingFilter{Gone: true}, page) {
		if err != nil {
			return err
		}
		for _, row := range some {
			g.note(row)
		}
	}
	return nil
}
