package admin

import (
	"context"
	"time"

	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/history"
	"github.com/fado-project/fado/placement"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// backend is what one request works on.
type backend struct {
	catalogue catalogue
	engine    engine
	version   string
	// secrets are the placeholders that resources may use.
	secrets catalog.SecretPatterns
	// history is what was measured; nil where nothing is kept.
	history *history.Rings
	// flows tells what moved between clusters, of about the last so much.
	flows func(window time.Duration) history.Flows
	// checkFunction checks a function endpoint once; it need not be declared.
	checkFunction func(ctx context.Context, cluster string, f catalog.Function) error
	// ended closes when the configuration that the request found stops running.
	ended <-chan struct{}
}

// catalogue is what the API uses of a *control.Control: see catalogueOf.
type catalogue interface {
	resources
	documents
	bucketStatus
	instance
	usage
}

// documents is what the API uses of *control.Resources for whole documents.
type documents interface {
	Catalogue(ctx context.Context) (*control.Catalogue, error)
	Apply(ctx context.Context, at *control.Catalogue, b control.Batch) (state.Seq, error)
	Holding(cluster string) []string
	CheckBalance(o catalog.RawObject) error
}

// usage is what the API uses of *control.Usage.
type usage interface{ All() map[string]int64 }

// resources is what the API uses of *control.Resources.
type resources interface {
	List(ctx context.Context, k catalog.Kind, after string, limit int) ([]control.Item, error)
	Get(ctx context.Context, k catalog.Kind, name string) (control.Item, error)
	Named(ctx context.Context, k catalog.Kind, names []string) ([]control.Item, error)
	Create(ctx context.Context, r catalog.Resource) (control.Item, error)
	Replace(ctx context.Context, r catalog.Resource, pre control.Precondition, complete func(r, now catalog.Resource) error) (it control.Item, created bool, err error)
	Modify(ctx context.Context, k catalog.Kind, name string, pre control.Precondition, f func(now catalog.Resource) (catalog.Resource, error)) (control.Item, error)
	Delete(ctx context.Context, k catalog.Kind, name string, pre control.Precondition) error
}

// bucketStatus is what the API uses of *control.Status.
type bucketStatus interface {
	Buckets(ctx context.Context, buckets ...string) (map[string]control.BucketStatus, error)
	StoreTrouble() error
	Troubles(ctx context.Context) (stuck, conflict control.InTrouble)
	Placement(ctx context.Context, bucket, prefix string) (catalog.PrefixRule, placement.Result, error)
	SnapshotAge() time.Duration
	fleet.Judger
}

// instance is what the API uses of *control.Control itself.
type instance interface {
	Router() *routing.Router
	Events() *control.Bus
	Store() state.Store
	Node() string
}

func catalogueOf(ctl *control.Control) catalogue {
	return struct {
		resources
		documents
		bucketStatus
		instance
		usage
	}{ctl.Resources, ctl.Resources, ctl.Status, ctl, ctl.Usage}
}

// engine is what the API uses of *replication.Engine.
type engine interface {
	resolver
	verifier
	rebalancer
	abandoner
	DrainStatus(ctx context.Context, cluster string) (*replication.DrainStatus, error)
	Status(ctx context.Context) (replication.Status, error)
	Failures(ctx context.Context, limit int) ([]replication.Failure, error)
	StuckPurges() []replication.Failure
	RetryFailures(ctx context.Context) (int, error)
	Paused() bool
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	SyncBucket(ctx context.Context, bucket string) error
	Purge(ctx context.Context, bucket string, mode replication.PurgeMode, pre control.Precondition) error
	Objects(ctx context.Context, bucket, prefix, delimiter, after string, limit int) (replication.ObjectPage, error)
	Conflicts(ctx context.Context, bucket string, limit int) ([]replication.Conflict, error)
	StorageStatus(cluster string) replication.StorageStatus
	Instances(ctx context.Context) ([]replication.Instance, error)
	LinkRate(from, to string) float64
	Forecast(of replication.Catalogue) *replication.Forecast
	FormerPrimaries(bucket string) []replication.FormerPrimary
	Trust(ctx context.Context, bucket, cluster string) error
	ReleaseHistory(ctx context.Context, bucket, cluster string) (int, error)
	MaxDeletes() replication.MaxDeletes
	CheckStorage(ctx context.Context, cluster string, s *catalog.Storage) replication.StorageCheck
	DecideDeletes(ctx context.Context, bucket string, apply bool) (int, error)
}

// Interface guard
var _ engine = (*replication.Engine)(nil)

// abandoner is what abandon.go uses of *replication.Engine.
type abandoner interface {
	Abandoned(ctx context.Context, cluster string) (replication.Abandonment, error)
	Abandon(ctx context.Context, cluster string, pre control.Precondition) error
}

// rebalancer is what rebalance.go uses of *replication.Engine.
type rebalancer interface {
	RebalanceStatus(ctx context.Context) (replication.RebalanceStatus, error)
	Rebalance(ctx context.Context) (replication.RebalanceStatus, error)
	StopRebalance(ctx context.Context) (replication.RebalanceStatus, error)
}

// resolver is what resolve.go uses of *replication.Engine.
type resolver interface {
	ResolveConflicts(ctx context.Context, bucket string, v replication.Verdict) (replication.Resolution, error)
}

// verifier is what verify.go uses of *replication.Engine.
type verifier interface {
	VerifyBucket(ctx context.Context, bucket string, deep bool) (replication.Verification, error)
	Verification(ctx context.Context, bucket string) (replication.Verification, error)
}
