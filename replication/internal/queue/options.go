package queue

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Timing holds the times of the queue.
type Timing struct {
	Lease     time.Duration // of a claimed row
	RetryMax  time.Duration // longest delay between attempts
	FullProbe time.Duration // between attempts to write to a storage that is full
}

// Options of a Queue. All are required.
type Options struct {
	Router  *routing.Router
	Pending Pending
	Rows    rowsInStore
	Sites   *site.Sites
	Slots   *limit.Slots
	Pause   *guard.Pause
	Settler *object.Settler
	Report  *report.Report
	Log     *zap.Logger
	Now     func() time.Time
	Timing  Timing

	// Claimant is this instance's name in claims.
	Claimant func() string
	// Shared reports whether other instances use the store.
	Shared func() bool
	// CatchUp returns when all that is committed is routed by here.
	CatchUp func(ctx context.Context) error
	// NoEventFeed reports whether people want no listeners.
	NoEventFeed func() bool
	Leading     func(ctx context.Context, lock string, f func(context.Context))
	Gaps        Gaps
	// Scan asks for a scan of a bucket, which another instance may look after.
	Scan func(bucket string)
	// AskSource is called before a bucket's primary is asked, and what it returns with the
	// error if it has no such bucket.
	AskSource func(bucket string) (answer func(missing error))
}

// rowsInStore is what this package needs of the store.
type rowsInStore interface {
	ExtendClaims(ctx context.Context, node string, until time.Time, rows ...state.PendingKey) ([]state.PendingKey, error)
	ListPending(ctx context.Context, f state.PendingFilter, after state.PendingKey, limit int) ([]state.Pending, error)
}

// Pending is what this package needs of control's pending objects.
type Pending interface {
	// Add stores rows; they are exceptions to freshness before and after it returns.
	Add(ctx context.Context, rows ...state.Pending) error
	// AddEverywhere is Add that returns when every instance routes by the rows.
	AddEverywhere(ctx context.Context, rows ...state.Pending) error
	// Note is Add that calls begun once the rows are exceptions, before they are stored;
	// true means that work on all of them has begun. It returns their generations.
	Note(ctx context.Context, rows []state.Pending, begun func() bool) ([]int64, error)
	Finish(ctx context.Context, rows ...state.PendingKey) error
	Fail(ctx context.Context, rows ...state.Pending) error
	// ClaimIn leaves rows of the buckets named alone.
	ClaimIn(ctx context.Context, cluster string, most int, lease time.Duration, among ...string) ([]state.Pending, error)
	// Added delivers when rows were added or have become due.
	Added() <-chan struct{}
	// Clusters lists those that have rows.
	Clusters() []string
}

// Gaps is told when changes made at a cluster's storage are not told.
type Gaps interface {
	// Open: they are not from now on. Close: from now on they are.
	Open(cluster string)
	Close(cluster string)
	// Drop: the storage has no feed.
	Drop(cluster string)
	// Lost: some were lost just now.
	Lost(cluster string)
}
