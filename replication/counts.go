package replication

import (
	"context"
	"errors"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/delay"
)

// How often counts are written, and used bytes read.
const (
	flushEvery = 2 * time.Second
	usedEvery  = 5 * time.Second
	usedMost   = 30 * time.Second // where nothing changes
	// usedShare bounds the time spent on used bytes to a twentieth.
	usedShare = 20
)

// keepCounts writes the sizes of copies that single objects changed, until ctx ends and once
// more then.
func (r *run) keepCounts(ctx context.Context) {
	for more := true; more; {
		more = delay.Sleep(ctx, flushEvery)
		if err := r.copies.Flush(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, control.ErrClosed) {
			r.log.Warn("could not store the sizes of copies; retrying in two seconds", zap.Error(err))
		}
	}
}

// keepUsed reads the used bytes of every storage, which the store sums, until ctx ends.
func (r *run) keepUsed(ctx context.Context) {
	rest, last := usedEvery, map[string]int64(nil)
	for wait := time.Duration(0); delay.Sleep(ctx, wait); {
		began := r.now()
		sums, err := r.ctl.Store().CopySums(ctx)
		r.stored(ctx, "could not read how much storages hold; trying again in a moment", err)
		if err == nil {
			used := make(map[string]int64)
			for _, s := range sums {
				used[s.Cluster] += s.Bytes
			}
			for _, c := range r.sites.Declared() {
				r.ctl.Usage.Set(c, used[c])
			}
			if rest = min(2*rest, usedMost); !maps.Equal(used, last) {
				rest = usedEvery
			}
			last = used
		}
		wait = max(rest, usedShare*r.now().Sub(began))
	}
}
