// Package replication brings copies to where the catalogue wants them and keeps
// them there: feeds notice changes, workers copy and remove single objects, syncers
// walk whole listings, the planner turns placements into copies that come and go.
//
// It is the one place that writes to storages, and asks catalog before every write
// whether residency allows it. It promises:
//
//   - nothing is written to a cluster the object's policy does not allow;
//   - nothing is overwritten or removed that FaDO did not put there, or know to be
//     the same as what it would put there;
//   - a copy takes traffic after it was verified, and leaves routing before it is
//     removed; the last verified copy is never removed;
//   - work is level-triggered: an event or a row says where to look, the storages say
//     what is true; so events may be lost, doubled or late;
//   - a process killed at any instant continues where it was.
package replication

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/storage"
)

// Settings are the replication options of a configuration.
type Settings struct {
	Disabled     bool          // replication off: this instance routes and serves only
	Workers      int           // objects at a time; default 32
	Bandwidth    int64         // bytes per second; 0: unlimited
	ScanInterval time.Duration // default 6h, jittered
	NoEventFeed  bool          // event_feed off
	MaxDeletes   MaxDeletes    // delete-storm breaker
	DrainTimeout time.Duration // default 30s
}

// MaxDeletes bounds the deletes applied to one copy within ten minutes; the breaker
// trips when every bound given is exceeded. Zero value: the default, 1000 and 10 %.
type MaxDeletes struct {
	Objects int64
	Percent float64
}

// Options of an Engine.
type Options struct {
	Control *control.Control
	Log     *zap.Logger
	// Open makes the client of a cluster's storage, with placeholders resolved.
	Open func(cluster string, s *catalog.Storage) (storage.Storage, error)
	Now  func() time.Time
	// Metrics receives counts; nil counts nothing.
	Metrics Metrics
}

// Metrics is what the engine counts.
type Metrics interface {
	Replicated(cluster string, bytes int64)
	Failed(cluster, kind string)
	Lag(d time.Duration)
}

// Engine is the whole of replication on this instance. Skeleton; being implemented.
type Engine struct{}

// New returns an engine at rest.
func New(o Options) *Engine { return &Engine{} }

// Start begins work with the given settings; Reconfigure changes them while it runs;
// Stop ends it and waits. Stop may be called more than once, and before Start.
func (e *Engine) Start(s Settings) error { return nil }
func (e *Engine) Reconfigure(s Settings) {}
func (e *Engine) Stop()                  {}

// Status is the JSON of GET /fado/replication.
type Status struct {
	Paused    bool       `json:"paused"`
	Workers   int        `json:"workers"`
	Queue     Queue      `json:"queue"`
	Rate      Rate       `json:"rate"`
	LagMS     Lag        `json:"lag_ms"`
	Transfers []Transfer `json:"transfers"`
}

// Queue sums the pending objects of all buckets.
type Queue struct {
	Objects int64      `json:"objects"`
	Bytes   int64      `json:"bytes"`
	Oldest  *time.Time `json:"oldest"`
}

// Rate is per second, over the last half minute.
type Rate struct {
	Objects float64 `json:"objects"`
	Bytes   float64 `json:"bytes"`
}

// Lag is that of recent live objects, from noticed to routable, in milliseconds.
type Lag struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// Transfer is one object on its way.
type Transfer struct {
	Bucket  string    `json:"bucket"`
	Key     string    `json:"key"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Done    int64     `json:"done"`
	Total   int64     `json:"total"`
	Started time.Time `json:"started"`
}

// Failure is one object that could not be brought to where it should be yet.
type Failure struct {
	Bucket      string    `json:"bucket"`
	Key         string    `json:"key"`
	Cluster     string    `json:"cluster"`
	Error       string    `json:"error"`
	Attempts    int       `json:"attempts"`
	NextAttempt time.Time `json:"next_attempt"`
	Since       time.Time `json:"since"`
}

// StorageStatus is the storage part of a cluster's status.
type StorageStatus struct {
	State        string               `json:"state"` // up, down, unknown
	Error        string               `json:"error"`
	Capabilities storage.Capabilities `json:"capabilities"`
	UsedBytes    int64                `json:"used_bytes"`
}

// ListedObject is one object of GET /fado/buckets/{b}/objects.
type ListedObject struct {
	Key          string    `json:"key"`
	Size         int64     `json:"size"`
	LastModified time.Time `json:"last_modified"`
	ETag         string    `json:"etag"`
	VersionID    string    `json:"version_id"`
	Clusters     []string  `json:"clusters"`
}

// ObjectPage is the JSON of GET /fado/buckets/{b}/objects.
type ObjectPage struct {
	Objects        []ListedObject `json:"objects"`
	CommonPrefixes []string       `json:"common_prefixes"`
	Next           string         `json:"next"`
}

// PurgeMode says what DELETE /fado/buckets/{b}?purge= removes.
type PurgeMode string

// The purge modes.
const (
	PurgeCopies PurgeMode = "copies" // all copies but the primary's
	PurgeAll    PurgeMode = "all"    // all data
)

// Status returns the figures of this instance.
func (e *Engine) Status(ctx context.Context) (Status, error) { return Status{}, nil }

// Failures lists failing objects after a row, at most limit.
func (e *Engine) Failures(ctx context.Context, limit int) ([]Failure, error) { return nil, nil }

// RetryFailures makes all failing objects due now and says how many.
func (e *Engine) RetryFailures(ctx context.Context) (int, error) { return 0, nil }

// Pause stops new work, durably and on every instance; Resume goes on.
func (e *Engine) Pause(ctx context.Context) error  { return nil }
func (e *Engine) Resume(ctx context.Context) error { return nil }

// SyncBucket asks for a scan of a bucket now; control.ErrNotFound if there is none.
func (e *Engine) SyncBucket(ctx context.Context, bucket string) error { return nil }

// Purge forgets a bucket and removes data as the mode says, in that order: it leaves
// the catalogue and routing first. It returns once the bucket is forgotten and what
// is to be removed is durably noted; the removal goes on in the background.
func (e *Engine) Purge(ctx context.Context, bucket string, mode PurgeMode, pre control.Precondition) error {
	return nil
}

// Objects lists a bucket's objects at its primary, and where each is current.
func (e *Engine) Objects(ctx context.Context, bucket, prefix, delimiter, after string, limit int) (ObjectPage, error) {
	return ObjectPage{}, nil
}

// StorageStatus returns what is known of a cluster's storage.
func (e *Engine) StorageStatus(cluster string) StorageStatus { return StorageStatus{} }

// Hint takes an event from outside (a webhook): key of a physical bucket changed, in
// a cluster or ("") wherever a physical bucket of that name is. It returns once the
// rows are durable; unknown buckets are ignored.
type Hint struct {
	Cluster  string
	Physical string
	Key      string
	Size     int64
}

// Hints notes changes; see Hint.
func (e *Engine) Hints(ctx context.Context, hints ...Hint) error { return nil }

// ConfirmDeletes applies the deletes the breaker holds for a bucket; RejectDeletes
// copies the objects back to the primary instead. Both say how many.
func (e *Engine) ConfirmDeletes(ctx context.Context, bucket string) (int, error) { return 0, nil }
func (e *Engine) RejectDeletes(ctx context.Context, bucket string) (int, error)  { return 0, nil }
