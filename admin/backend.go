package admin

import (
	"context"
	"time"

	"github.com/fado-project/fado/admin/internal/acts"
	"github.com/fado-project/fado/admin/internal/clusters"
	"github.com/fado-project/fado/admin/internal/documents"
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
	documents.Resources
	documents.Usage
	bucketStatus
	instance
	acts.Recorder
}

// resources is what the API uses of *control.Resources.
type resources interface {
	Origin(k catalog.Kind, name string) control.Origin
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
		*control.Resources
		*control.Usage
		bucketStatus
		instance
		acts.Recorder
	}{ctl.Resources, ctl.Usage, ctl.Status, ctl, ctl.Audits}
}

// engine is what the API uses of a *replication.Engine: see engineOf.
type engine struct {
	worker
	decisions     decisions
	rebalances    rebalances
	abandonments  abandonments
	verifications verifications
	reports       reports
}

func engineOf(e *replication.Engine) engine {
	return engine{
		worker: e, decisions: e.Decisions(), rebalances: e.Rebalances(), abandonments: e.Abandonments(),
		verifications: e.Verifications(), reports: e.Reports(),
	}
}

// worker is what the API uses of *replication.Engine itself.
type worker interface {
	RetryFailures(ctx context.Context) (int, error)
	Paused() bool
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	SyncBucket(ctx context.Context, bucket string) error
	Purge(ctx context.Context, bucket string, mode replication.PurgeMode, pre control.Precondition) error
}

// decisions is what the API uses of *replication.Decisions.
type decisions interface {
	MaxDeletes() replication.MaxDeletes
	Deletes(ctx context.Context, bucket string, apply bool) (int, error)
	Conflicts(ctx context.Context, bucket, after string, limit int) (list []replication.Conflict, more bool, err error)
	Resolve(ctx context.Context, bucket string, v replication.Verdict) (replication.Resolution, error)
	Trust(ctx context.Context, bucket, cluster string) error
	ReleaseHistory(ctx context.Context, bucket, cluster string) (int, error)
}

// rebalances is what the API uses of *replication.Rebalances.
type rebalances interface {
	Status(ctx context.Context) (replication.RebalanceStatus, error)
	Start(ctx context.Context) (replication.RebalanceStatus, error)
	Stop(ctx context.Context) (replication.RebalanceStatus, error)
}

// abandonments is what the API uses of *replication.Abandonments.
type abandonments interface {
	Of(ctx context.Context, cluster string) (replication.Abandonment, error)
	Abandon(ctx context.Context, cluster string, pre control.Precondition) error
}

// verifications is what the API uses of *replication.Verifications.
type verifications interface {
	Request(ctx context.Context, bucket string, deep bool) (replication.Verification, error)
	Last(ctx context.Context, bucket string) (replication.Verification, error)
}

// reports is what the API uses of *replication.Reports.
type reports interface {
	documents.Engine
	Status(ctx context.Context, all bool) (replication.Status, error)
	Failures(ctx context.Context, after state.PendingKey, limit int) ([]replication.Failure, error)
	FailuresTotal(ctx context.Context) (int, error)
	StuckPurges() []replication.Failure
	Instances(ctx context.Context) ([]replication.Instance, error)
	clusters.Reports
	CheckStorage(ctx context.Context, cluster string, s *catalog.Storage) replication.StorageCheck
	Drain(ctx context.Context, cluster string) (*replication.DrainStatus, error)
	FormerPrimaries(bucket string) []replication.FormerPrimary
	Objects(ctx context.Context, bucket, prefix, delimiter, after string, limit int) (replication.ObjectPage, error)
}
