package walk

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Why a walk can't be done now, beside the errors of package object.
var (
	// ErrNotYet: it waits for something that will come by itself.
	ErrNotYet = errors.New("not yet")
	// ErrBlocked: people have to do something first.
	ErrBlocked = errors.New("people have to decide")
	// ErrOnlyThere keeps a copy from leaving.
	ErrOnlyThere = errors.New("versions are nowhere else")
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

// Hooks reach what is above this package. All are required but Changed, Rest and CarrySleep.
type Hooks struct {
	// CarrySleep waits for a time between two passes over a former primary.
	CarrySleep func(ctx context.Context, bucket, from string, d time.Duration) error
	// Rest is called by a scan now and then, when it could wait: it returns when it is to go on.
	Rest func(ctx context.Context, id ids.Copy) error
	// RequestScan asks for a scan of a bucket soon.
	RequestScan func(bucket string)
	// AskSource is called before a primary is asked about a bucket. What it returns is to be
	// called with the answer: nil, or why the bucket can't be compared with anything.
	AskSource func(bucket string) (answer func(missing error))
	// Attention has a bucket planned by its rows, not only by what routing knows of them.
	Attention func(bucket string)
	// Leaves, where it is set, notes that a bucket's primary is about to move away from a
	// cluster, at a time of its storage's clock.
	Leaves func(ctx context.Context, bucket, cluster string, clock time.Time) error
	// LeaveToPulled notes that FaDO made a bucket whose last copy goes, if objects copied on
	// demand stay in it.
	LeaveToPulled func(ctx context.Context, bucket, cluster string) error
	// Helpers is how many other instances could help with a walk.
	Helpers func() int
	// Carriers is how many other instances bytes of an object may pass through.
	Carriers func(bucket, key string) int
	// Alone reports whether it is sure that no other instance routes.
	Alone func(ctx context.Context) bool
	// Changed returns a channel that closes with the next change of a bucket's pending rows.
	// Nil: they are checked every Timing.Poll.
	Changed func(bucket string) <-chan struct{}
}

// Settings are those of the configuration in force.
type Settings struct {
	DrainTimeout func() time.Duration // of requests in flight on a copy that leaves
	NoEventFeed  func() bool
}

// Timing is how long things take. What is zero of the last four has a default.
type Timing struct {
	CallTimeout time.Duration // of one small request
	SaveEvery   time.Duration // between writes of a walk's cursor
	DrainGrace  time.Duration // for decisions taken on a snapshot from before

	// MovePatience is how long a move waits for the target to have nothing pending before it
	// goes on with what came up since its scan; [Mover.CarryOver] brings that along.
	MovePatience time.Duration
	CarryPause   time.Duration // between passes over a former primary
	FeedPatience time.Duration // for a storage's listener to begin
	Poll         time.Duration // between looks at what gives no signal
}

// scanExtras bounds the deletes of a scan that are kept in memory.
const scanExtras = 200_000

// scanMissing is [Options.ScanMissing] by default.
const scanMissing = 10_000

// rarely is how often rows are looked at although nothing was said to have changed: work of
// other instances may show late.
const rarely = 500 * time.Millisecond

func (t Timing) withDefaults() Timing {
	t.MovePatience = cmp.Or(t.MovePatience, 5*time.Second)
	t.CarryPause = cmp.Or(t.CarryPause, time.Second)
	t.FeedPatience = cmp.Or(t.FeedPatience, 3*time.Second)
	t.Poll = cmp.Or(t.Poll, 20*time.Millisecond)
	return t
}

// Options of the walks. All are required.
type Options struct {
	Router   *routing.Router
	Control  Control
	Copies   *copies.Store
	Sites    *site.Sites
	Guard    *guard.Guard
	Pause    *guard.Pause
	Slots    *limit.Slots
	Objects  *object.Settler
	Deletes  *object.Deletes
	Report   *report.Report
	Events   report.Emitter
	Log      *zap.Logger
	Now      func() time.Time
	Hooks    Hooks
	Settings Settings
	Timing   Timing
	// ScanExtras is how many deletes a scan keeps in memory until all are counted; 0: 200,000.
	ScanExtras int
	// ScanMissing is how many objects a copy may lack before it is synced from the beginning,
	// if that is half of what the primary has; 0: 10,000.
	ScanMissing int64
}

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
