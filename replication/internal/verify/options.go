package verify

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/replication/internal/walk"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Pending is what this package needs of control's pending objects.
type Pending interface {
	// Add stores rows; they are exceptions to freshness when it returns.
	Add(ctx context.Context, rows ...state.Pending) error
	// Changed returns a channel that closes with the next change of a bucket's rows.
	Changed(bucket string) <-chan struct{}
}

// Issues are why buckets are stuck.
type Issues interface {
	Set(bucket string, source control.Source, issue control.Issue)
}

// Buckets makes sure of physical buckets; see package buckets.
type Buckets interface {
	// Ensure reports whether the copy's bucket had to be made.
	Ensure(ctx context.Context, id ids.Copy) (made bool, err error)
}

// Options of a Verifier. All are required.
type Options struct {
	Router  *routing.Router
	Pending Pending
	Issues  Issues
	Records Records
	Copies  *copies.Store
	Sites   *site.Sites
	Guard   *guard.Guard
	Pause   *guard.Pause
	Slots   *limit.Slots
	Objects *object.Settler
	Buckets Buckets
	Walks   *walk.Walks
	Events  report.Emitter
	Log     *zap.Logger
	Now     func() time.Time
	// Node is this instance's name, which outlives its process.
	Node string
	// Interval is how often every bucket is verified, Deep whether its bytes are read then.
	Interval func() time.Duration
	Deep     func() bool
	// Delegate leaves the reading of a bucket to another instance where its bytes may not pass
	// through this one, and says whether it did. [guard.ErrPath]: through no instance that is
	// known.
	Delegate func(ctx context.Context, bucket string) (bool, error)
	// Mismatched counts an object that is not what it should be in a cluster; nil: not counted.
	Mismatched func(cluster string)
	// PingTimeout bounds one ping.
	PingTimeout time.Duration
}

// Records keeps verifications; see [state.Verifications].
type Records = state.Verifications
