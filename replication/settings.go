package replication

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/pull"
	"github.com/fado-project/fado/replication/internal/queue"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/verify"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Defaults of Settings.
const (
	DefaultWorkers        = 32
	DefaultScanInterval   = 6 * time.Hour
	DefaultDrainTimeout   = 30 * time.Second
	DefaultVerifyInterval = 7 * 24 * time.Hour
	DefaultMaxDeletes     = 1000
	DefaultMaxPercent     = 10
)

// ErrOff answers what can't be done because replication does not run on this instance.
var ErrOff = errors.New("replication is off on this instance")

// Settings are the replication options of a configuration.
type Settings struct {
	Disabled     bool          // replication off: this instance routes and serves only
	Workers      int           // objects at a time; default 32
	Bandwidth    int64         // bytes per second; 0: unlimited
	ScanInterval time.Duration // default 6h, jittered
	NoEventFeed  bool          // event_feed off
	MaxDeletes   MaxDeletes    // delete-storm breaker
	DrainTimeout time.Duration // default 30s
	// VerifyInterval is how often every bucket is verified; default 7 days, jittered. With
	// VerifyDeep the bytes are read again, too.
	VerifyInterval time.Duration
	VerifyDeep     bool
}

// MaxDeletes bounds the deletes applied to one copy within ten minutes; the breaker
// trips when every bound given is exceeded. Zero value: the default, 1000 and 10 %.
type MaxDeletes = object.MaxDeletes

// withDefaults fills in what was left out.
func (s Settings) withDefaults() Settings {
	if s.Workers <= 0 {
		s.Workers = DefaultWorkers
	}
	if s.ScanInterval <= 0 {
		s.ScanInterval = DefaultScanInterval
	}
	if s.DrainTimeout <= 0 {
		s.DrainTimeout = DefaultDrainTimeout
	}
	if s.VerifyInterval <= 0 {
		s.VerifyInterval = DefaultVerifyInterval
	}
	if s.MaxDeletes == (MaxDeletes{}) {
		s.MaxDeletes = MaxDeletes{Objects: DefaultMaxDeletes, Percent: DefaultMaxPercent}
	}
	return s
}

// Options of an Engine.
type Options struct {
	Control *control.Control
	Log     *zap.Logger
	// Open makes the client of a cluster's storage, with placeholders resolved.
	Open func(cluster string, s *catalog.Storage) (storage.Storage, error)
	// Refuse says why the configuration in force does not let a storage be opened; nil: it
	// does. A storage that is refused is down for that reason until it no longer is. Nil
	// refuses none.
	Refuse func(cluster string, s *catalog.Storage) error
	Now    func() time.Time
	// Metrics receives counts; nil counts nothing.
	Metrics Metrics
	// Copy copies one object; nil: storage.Copy. Tests put faults here.
	Copy CopyFunc
	// Tune changes the engine's own time constants; the zero value is for production.
	Tune Tuning
	// Version is this program's, which other instances are told.
	Version string
}

// Metrics is what the engine counts. It may implement [PullMetrics], [VerifyMetrics] and
// [LinkMetrics], too.
type Metrics = report.Metrics

// VerifyMetrics counts objects that a verification found not to be what they should be.
type VerifyMetrics = report.VerifyMetrics

// LinkMetrics counts what is copied from one cluster to another.
type LinkMetrics = report.LinkMetrics

// PullMetrics counts objects copied on demand.
type PullMetrics = pull.Metrics

// CopyFunc copies one object; see [storage.Copy].
type CopyFunc = object.CopyFunc

// Hint is an event from outside (a webhook).
type Hint = queue.Hint

// PurgeMode says what data a purge removes.
type PurgeMode = state.PurgeMode

// The purge modes.
const (
	PurgeCopies = state.PurgeCopies // all copies but the primary's
	PurgeAll    = state.PurgeAll    // all data
)

// Verification is the last verification of a bucket, or the one under way; Mismatch is an
// object in one cluster that was not what it should be.
type (
	Verification = verify.Verification
	Mismatch     = verify.Mismatch
)

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) Replicated(string, int64) {}
func (noMetrics) Failed(string, string)    {}
func (noMetrics) Lag(time.Duration)        {}
