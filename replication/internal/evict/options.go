package evict

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
)

// ErrOnlyThere keeps a copy from leaving.
var ErrOnlyThere = errors.New("versions are nowhere else")

// ErrHidden is ErrOnlyThere where people may give the versions up: see [Evictor.ReleaseHistory].
var ErrHidden = fmt.Errorf("%w", ErrOnlyThere)

// ErrNoneLeaves says that no copy leaves that versions could be released of.
var ErrNoneLeaves = errors.New("no copy of the bucket is being removed there")

// Members is what this package needs of package control.
type Members interface {
	// Confirm returns once every live instance routes by what was stored before.
	Confirm(ctx context.Context) error
}

// Hooks reach what is above this package. All are required.
type Hooks struct {
	// AskSource is called before a primary is asked about a bucket. What it returns is to be
	// called with the answer: nil, or why the bucket can't be compared with anything.
	AskSource func(bucket string) (answer func(missing error))
	// LeaveToPulled notes that FaDO made a bucket whose last copy goes, if objects copied on
	// demand stay in it.
	LeaveToPulled func(ctx context.Context, bucket, cluster string) error
	// Alone reports whether it is sure that no other instance routes.
	Alone func(ctx context.Context) bool
}

// Timing is how long things take.
type Timing struct {
	CallTimeout time.Duration        // of one small request
	Drain       func() time.Duration // of requests in flight on a copy that leaves, by the settings in force
	DrainGrace  time.Duration        // for decisions taken on a snapshot from before
	Poll        time.Duration        // between looks at requests in flight; 0: 20 ms
}

// poll is [Timing.Poll] by default.
const poll = 20 * time.Millisecond

// Options of an Evictor. All are required.
type Options struct {
	Router  *routing.Router
	Members Members
	Copies  *copies.Store
	Sites   *site.Sites
	Guard   *guard.Guard
	Pause   *guard.Pause
	Objects *object.Settler
	Deletes *object.Deletes
	Buckets *buckets.Buckets
	Events  report.Emitter
	Log     *zap.Logger
	Now     func() time.Time
	Hooks   Hooks
	Timing  Timing
}
