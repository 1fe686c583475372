package jobs

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/plan"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/replication/internal/verify"
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
}

// Resources is what it needs of *control.Resources.
type Resources interface {
	Get(ctx context.Context, k catalog.Kind, name string) (control.Item, error)
	Modify(ctx context.Context, k catalog.Kind, name string, pre control.Precondition, f func(now catalog.Resource) (catalog.Resource, error)) (control.Item, error)
	Delete(ctx context.Context, k catalog.Kind, name string, pre control.Precondition) error
}

// Moves carries people's word on a bucket's primary out; see package move.
type Moves interface {
	TrustPrimary(ctx context.Context, bucket string) error
	TrustCopy(ctx context.Context, bucket, cluster string) error
	Abandon(ctx context.Context, bucket, cluster, heir string) error
}

// Evictor releases what keeps a copy from leaving; see package evict.
type Evictor interface {
	ReleaseHistory(ctx context.Context, bucket, cluster string) (int, error)
}

// Verifier verifies buckets; see packages verify and peers.
type Verifier interface {
	Request(ctx context.Context, bucket string, deep bool) (verify.Verification, error)
	Get(ctx context.Context, bucket string) (verify.Verification, error)
	// Delegate asks another instance to read a bucket that this one may not read, and reports
	// whether it did.
	Delegate(ctx context.Context, bucket string) (left bool, err error)
}

// Hooks reach what is above this package. All are required.
type Hooks struct {
	// Running says why nothing is done now, nil while the work goes on.
	Running func() error
	// Ask asks the other instances for something.
	Ask func(ctx context.Context, q peers.Request) error
	// RequestScan asks for a scan of a bucket soon, Sync for one now and for another try of what
	// failed.
	RequestScan func(bucket string)
	Sync        func(ctx context.Context, bucket string) error
	// IsThere notes that what lies at a bucket's primary is right.
	IsThere func(bucket string)
	// Replan has all buckets planned again.
	Replan func()
	// Verifier is nil while there is none; the error says why nothing is verified now.
	Verifier func() (Verifier, error)
}

// Options of the jobs. All are required.
type Options struct {
	Router    *routing.Router
	Control   Control
	Resources Resources
	Copies    *copies.Store
	Sites     *site.Sites
	Guard     *guard.Guard
	Slots     *limit.Slots
	Objects   *object.Settler
	Deletes   *object.Deletes
	Report    *report.Report
	Moves     Moves
	Evictor   Evictor
	// Inputs are those of plans by the catalogue as it is now.
	Inputs func() *plan.Inputs
	Log    *zap.Logger
	Now    func() time.Time
	Hooks  Hooks
}

// stored reports a failure to write the store. What says what failed and what happens next.
func (o *Options) stored(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		o.Log.Warn(what, zap.Error(err))
	}
}
