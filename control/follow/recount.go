package follow

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	// recountEvery is how often an instance that is up to date compares how many exceptions it knows with
	// how many rows there are.
	recountEvery = 10 * time.Second
	// recountMost is the longest time in between where reading the rows again changed nothing.
	recountMost = time.Hour
)

// recount reads the rows of pending objects again where they are not as many as the exceptions. A database that
// crashes may take along that rows were removed, which does not wait for the disk: they are there again, and
// nothing tells of them. Their objects are in step, so nothing stale is routed to, but without an exception no
// instance would ever look at them.
func (f *Follower) recount(ctx context.Context) {
	if f.Now().Before(f.recountAt) {
		return
	}
	f.recountAt = f.Now().Add(max(f.recountIn, recountEvery))
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	known, settled := f.Exceptions.Count()
	if !settled {
		return
	}
	total, err := f.Host.Store().Queue().BacklogTotal(ctx)
	if err != nil {
		return // looks tell of that
	}
	if total.Objects == int64(known) {
		f.recountIn = 0
		return
	}
	if again, settled := f.Exceptions.Count(); again != known || !settled || !f.upToDate(ctx) {
		return // the difference may be what changed meanwhile
	}
	f.Log.Warn("the store has other pending objects than this instance knows of, as after a crash of the database; they are read again",
		zap.Int("known", known), zap.Int64("stored", total.Objects))
	f.recountIn = min(max(2*f.recountIn, recountEvery), recountMost)
	if err := f.reloadObjects(ctx); err != nil {
		f.Log.Warn("could not read the pending objects again; they are counted again later", zap.Error(err))
	}
}
