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

// counts keeps the sizes of copies, in the store and by storage.
type counts struct{ core }

// keep writes the sizes of copies that single objects changed, until ctx ends and once
// more then.
func (c counts) keep(ctx context.Context) {
	for more := true; more; {
		more = delay.Sleep(ctx, flushEvery)
		if err := c.copies.Flush(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, control.ErrClosed) {
			c.log.Warn("could not store the sizes of copies; retrying in two seconds", zap.Error(err))
		}
	}
}

// keepUsed reads the used bytes of every storage, which the store sums, until ctx ends.
func (c counts) keepUsed(ctx context.Context) {
	rest, last := usedEvery, map[string]int64(nil)
	for wait := time.Duration(0); delay.Sleep(ctx, wait); {
		began := c.now()
		sums, err := c.ctl.Store().Catalogue().CopySums(ctx)
		c.stored(ctx, "could not read how much storages hold; trying again in a moment", err)
		if err == nil {
			used := make(map[string]int64)
			for _, s := range sums {
				used[s.Cluster] += s.Bytes
			}
			for _, name := range c.sites.Declared() {
				c.ctl.Usage.Set(name, used[name])
			}
			if rest = min(2*rest, usedMost); !maps.Equal(used, last) {
				rest = usedEvery
			}
			last = used
		}
		wait = max(rest, usedShare*c.now().Sub(began))
	}
}
