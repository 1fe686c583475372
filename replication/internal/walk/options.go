package walk

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Control is what this package needs of package control.
type Control interface {
	Store() state.Store
	// AddPending stores rows; they are exceptions to freshness when it returns.
	AddPending(ctx context.Context, rows ...state.Pending) error
}

// Hooks reach what is above this package. All are required but Rest.
type Hooks struct {
	// Rest is called by a walk of a copy now and then, when it could wait: it returns when it is to
	// go on.
	Rest func(ctx context.Context) error
	// RequestScan asks for a scan of a bucket soon.
	RequestScan func(bucket string)
	// Helpers is how many other instances could help with a walk.
	Helpers func() int
	// Carriers is how many other instances bytes of an object may pass through.
	Carriers func(bucket, key string) int
}

// rest calls Rest, if it is set.
func (h *Hooks) rest(ctx context.Context) error {
	if h.Rest == nil {
		return ctx.Err()
	}
	return h.Rest(ctx)
}

// scanExtras bounds the deletes of a scan that are kept in memory.
const scanExtras = 200_000

// scanMissing is [Options.ScanMissing] by default.
const scanMissing = 10_000

// Options of the walks. All are required.
type Options struct {
	Router  *routing.Router
	Control Control
	Copies  *copies.Store
	Sites   *site.Sites
	Guard   *guard.Guard
	Pause   *guard.Pause
	Slots   *limit.Slots
	Objects *object.Settler
	Deletes *object.Deletes
	Buckets *buckets.Buckets
	Report  *report.Report
	Log     *zap.Logger
	Now     func() time.Time
	Hooks   Hooks
	// SaveEvery is the time between writes of a walk's cursor.
	SaveEvery time.Duration
	// ScanExtras is how many deletes a scan keeps in memory until all are counted; 0: 200,000.
	ScanExtras int
	// ScanMissing is how many objects a copy may lack before it is synced from the beginning,
	// if that is half of what the primary has; 0: 10,000.
	ScanMissing int64
}
