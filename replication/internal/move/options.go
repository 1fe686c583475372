package move

import (
	"cmp"
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Control is what this package needs of package control.
type Control interface {
	Store() state.Store
	// AddPending stores rows; they are exceptions to freshness when it returns.
	AddPending(ctx context.Context, rows ...state.Pending) error
	// FinishPending removes rows unless they were raised again since they were read.
	FinishPending(ctx context.Context, keys ...state.PendingKey) error
	// WakeWorkers has rows that are due claimed now.
	WakeWorkers()
	// Shared reports whether other instances may use the store.
	Shared() bool
	// MayWrite refuses while this instance has no lease on a store it shares.
	MayWrite() error
	// Confirm returns once every live instance routes by what was stored before.
	Confirm(ctx context.Context) error
}

// Locks has a copy to oneself while it is walked.
type Locks interface {
	Lock(ctx context.Context, id ids.Copy) (unlock func(), err error)
}

// Scanner compares synced copies with the primary; see package walk.
type Scanner interface {
	// Restart has the next scan be a whole one.
	Restart(ctx context.Context, id ids.Copy) error
	Scan(ctx context.Context, id ids.Copy) error
}

// Historian brings histories along; see package walk.
type Historian interface {
	// BringAll brings all that a copy lacks, or fails.
	BringAll(ctx context.Context, id ids.Copy) error
}

// Hooks reach what is above this package. RequestScan and NoEventFeed are required.
type Hooks struct {
	// CarrySleep waits for a time between two passes over a former primary. Nil: it sleeps.
	CarrySleep func(ctx context.Context, bucket, from string, d time.Duration) error
	// RequestScan asks for a scan of a bucket soon.
	RequestScan func(bucket string)
	// Leaves, where it is set, notes that a bucket's primary is about to move away from a
	// cluster, at a time of its storage's clock.
	Leaves func(ctx context.Context, bucket, cluster string, clock time.Time) error
	// Changed returns a channel that closes with the next change of a bucket's pending rows.
	// Nil: they are checked every Timing.Poll.
	Changed func(bucket string) <-chan struct{}
	// NoEventFeed reports whether the settings in force have no storage listened to.
	NoEventFeed func() bool
}

// Timing is how long things take. What is zero has a default.
type Timing struct {
	// Patience is how long a move waits for the target to have nothing pending before it goes
	// on with what came up since its scan; [Carrier.CarryOver] brings that along.
	Patience     time.Duration
	CarryPause   time.Duration // between passes over a former primary
	FeedPatience time.Duration // for a storage's listener to begin
	Poll         time.Duration // between looks at what gives no signal
}

func (t Timing) withDefaults() Timing {
	t.Patience = cmp.Or(t.Patience, 5*time.Second)
	t.CarryPause = cmp.Or(t.CarryPause, time.Second)
	t.FeedPatience = cmp.Or(t.FeedPatience, 3*time.Second)
	t.Poll = cmp.Or(t.Poll, 20*time.Millisecond)
	return t
}

// Options of the moves. All are required.
type Options struct {
	Router    *routing.Router
	Control   Control
	Copies    *copies.Store
	Sites     *site.Sites
	Guard     *guard.Guard
	Pause     *guard.Pause
	Slots     *limit.Slots
	Objects   *object.Settler
	Deletes   *object.Deletes
	Buckets   *buckets.Buckets
	Locks     Locks
	Scanner   Scanner
	Historian Historian
	Log       *zap.Logger
	Now       func() time.Time
	Hooks     Hooks
	Timing    Timing
}

// swapPatience is how long operations on a bucket's next primary may take to end before they
// are aborted.
const swapPatience = 2 * time.Second

// rarely is how often rows are looked at although nothing was said to have changed: work of
// other instances may show late.
const rarely = 500 * time.Millisecond

// changed waits for the signal, for the look that comes without one, or for ctx, and
// reports whether to look again.
func (o *Options) changed(ctx context.Context, signal <-chan struct{}) bool {
	wait := rarely
	if signal == nil {
		wait = o.Timing.Poll
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-signal:
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// signal is to be taken before the rows are looked at that it tells about.
func (o *Options) signal(bucket string) <-chan struct{} {
	if o.Hooks.Changed == nil {
		return nil
	}
	return o.Hooks.Changed(bucket)
}
