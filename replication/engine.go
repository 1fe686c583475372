package replication

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
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
type MaxDeletes struct {
	Objects int64
	Percent float64
}

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
	Now  func() time.Time
	// Metrics receives counts; nil counts nothing.
	Metrics Metrics
	// Copy copies one object; nil: storage.Copy. Tests put faults here.
	Copy CopyFunc
	// Tune changes the engine's own time constants; the zero value is for production.
	Tune Tuning
}

// Metrics is what the engine counts.
type Metrics interface {
	Replicated(cluster string, bytes int64)
	Failed(cluster, kind string)
	Lag(d time.Duration)
}

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) Replicated(string, int64) {}
func (noMetrics) Failed(string, string)    {}
func (noMetrics) Lag(time.Duration)        {}

// Tuning holds time constants that users have no reason to change.
type Tuning struct {
	PingEvery    time.Duration // between pings of a storage that is up
	PingTimeout  time.Duration // of one ping
	CallTimeout  time.Duration // of one small request (HEAD, DELETE, bucket operations)
	StallTimeout time.Duration // of a transfer that moves no byte
	SilentScan   time.Duration // between scans of buckets whose changes can't be listened to
	DrainGrace   time.Duration // for routing decisions taken just before a copy left
	LookTimeout  time.Duration // for finding where a bucket exists already
	RetryBase    time.Duration // first delay after a failed attempt
	RetryMax     time.Duration // longest delay between attempts
	FullProbe    time.Duration // between attempts to write to a storage that is full
	Lease        time.Duration // of a claimed row
	PlanEvery    time.Duration // between full passes of the planner
	SaveEvery    time.Duration // between saves of a walk's cursor
	ShardEvery   time.Duration // between looks for work to share with other instances
	PullEvery    time.Duration // between looks at objects copied on demand
	PullRest     time.Duration // before an object that found no room is copied on demand again
}

func (t Tuning) withDefaults() Tuning {
	set := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	set(&t.PingEvery, 10*time.Second)
	set(&t.PingTimeout, 8*time.Second)
	set(&t.CallTimeout, 20*time.Second)
	set(&t.StallTimeout, 3*time.Minute)
	set(&t.SilentScan, time.Minute)
	set(&t.DrainGrace, 200*time.Millisecond)
	set(&t.LookTimeout, 10*time.Second)
	set(&t.RetryBase, 500*time.Millisecond)
	set(&t.RetryMax, 5*time.Minute)
	set(&t.FullProbe, 30*time.Second)
	set(&t.Lease, time.Minute)
	set(&t.PlanEvery, 5*time.Minute)
	set(&t.SaveEvery, time.Second)
	set(&t.ShardEvery, time.Second)
	set(&t.PullEvery, 5*time.Second)
	set(&t.PullRest, 5*time.Second)
	return t
}

// Engine is the whole of replication on this instance. All methods are safe for
// concurrent use.
type Engine struct {
	ctl     *control.Control
	log     *zap.Logger
	now     func() time.Time
	open    func(cluster string, s *catalog.Storage) (storage.Storage, error)
	copyOne CopyFunc
	metrics Metrics
	tune    Tuning

	settings atomic.Pointer[Settings]
	limiter  atomic.Pointer[rate.Limiter] // nil: unlimited
	gate     *gate
	keys     *keyLocks[objectRef] // one operation per key and cluster
	walks    *keyLocks[copyID]    // one walk per copy
	slots    *slots
	ledger   *ledger
	breakers *breakers
	figures  *figures
	pause    *pauseSwitch
	pulls    *pulls
	sites    *sites
	own      *recent // what FaDO itself wrote lately
	given    *recent // what FaDO copied lately, by where from and to
	seen     *recent // what events said lately
	facts    *bucketFacts
	draining drains
	rotten   damages // what verification found to be damaged

	life sync.Mutex // orders Start, Reconfigure and Stop
	run  atomic.Pointer[run]
}

// run is what exists from Start to Stop.
type run struct {
	*Engine
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	shards   *shards
	board    *board
	workers  *workers
	planner  *planner
	jobs     *jobs
	sweeper  *sweeper
	events   chan feedEvent
	purger   *purger
	verifier *verifier
}

// New returns an engine at rest.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Copy == nil {
		o.Copy = copyObject
	}
	e := &Engine{
		ctl: o.Control, log: o.Log, now: o.Now, open: o.Open, copyOne: o.Copy, metrics: o.Metrics,
		tune: o.Tune.withDefaults(),
		keys: newKeyLocks[objectRef](), walks: newKeyLocks[copyID](),
		slots: newSlots(DefaultWorkers), figures: newFigures(o.Now), pause: newPauseSwitch(), pulls: newPulls(),
		own: newRecent(o.Now), given: newRecent(o.Now), seen: newRecent(o.Now),
	}
	s := Settings{Disabled: true}.withDefaults()
	e.facts = newBucketFacts()
	e.settings.Store(&s)
	e.gate = newGate(e.ctl.Router(), e.now, e.ctl.MayWrite)
	e.ledger = newLedger(e.ctl)
	e.breakers = newBreakers(e.now)
	e.sites = newSites(e)
	e.ctl.ExplainLosses(e.Losses)
	e.ctl.OnChange(e.gate.afterChange)
	e.ctl.OnCopies(e.copiesChanged)
	e.ctl.OnChange(func(context.Context) { e.pulls.changed() })
	return e
}

// Start begins work with the given settings; it may be called again after Stop. A
// second Start without a Stop in between only takes the settings over.
func (e *Engine) Start(s Settings) error {
	e.life.Lock()
	defer e.life.Unlock()
	e.configure(s)
	if e.run.Load() == nil {
		e.launch()
	}
	return nil
}

// Reconfigure changes the settings while the engine runs; work in progress goes on.
// Before Start it does nothing.
func (e *Engine) Reconfigure(s Settings) {
	e.life.Lock()
	defer e.life.Unlock()
	r := e.run.Load()
	if r == nil {
		return
	}
	before := *e.settings.Load()
	e.configure(s)
	if now := *e.settings.Load(); before.Disabled != now.Disabled || before.NoEventFeed != now.NoEventFeed {
		r.stop()
		e.launch()
		return
	}
	r.planner.touchAll()
}

// Stop ends all work and waits for it. It may be called more than once, and before
// Start.
func (e *Engine) Stop() {
	e.life.Lock()
	defer e.life.Unlock()
	if r := e.run.Load(); r != nil {
		r.stop()
		e.run.Store(nil)
		e.sites.close()
	}
}

// configure takes settings over. The caller holds life.
func (e *Engine) configure(s Settings) {
	s = s.withDefaults()
	e.settings.Store(&s)
	e.slots.resize(s.Workers)
	e.limiter.Store(newLimiter(s.Bandwidth))
}

// conf returns the settings in force.
func (e *Engine) conf() Settings { return *e.settings.Load() }

// launch starts the background work by the settings. The caller holds life.
func (e *Engine) launch() {
	r := &run{Engine: e}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.shards, r.planner, r.jobs, r.sweeper, r.board = newShards(r), newPlanner(r), newJobs(r), newSweeper(r), newBoard(r)
	r.workers = newWorkers(r)
	r.events, r.purger = make(chan feedEvent, 4096), newPurger(r)
	r.verifier = newVerifier(r)
	e.run.Store(r)
	loops := []func(context.Context){r.shards.loop, r.planner.loop}
	if !e.conf().Disabled {
		e.loadPaused(r.ctx)
		loops = append(loops, r.jobs.loop, r.sweeper.loop, r.purger.lead, r.feeds, r.noticeLoop,
			r.workers.loop, r.watchPaused, r.keepCounts, r.watchLease, r.board.exchange, r.sweepUploads, r.findFacts, r.verifier.loop, r.verifier.lead,
			r.pullLoop, r.keepPulled, r.watchDrains)
		r.spawn(func() { r.sites.watch(r) })
	}
	for _, loop := range loops {
		r.spawn(func() { loop(r.ctx) })
	}
}

// spawn runs f as part of the run: Stop waits for it.
func (r *run) spawn(f func()) {
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		f()
	}()
}

func (r *run) stop() {
	r.cancel()
	r.wg.Wait()
	if err := r.ctl.Store().ReleaseClaims(context.Background(), r.ctl.Claimant()); err != nil {
		r.log.Warn("releasing claims at the end", zap.Error(err))
	}
}

// copiesChanged is told of copies ("": of any) that another instance changed.
func (e *Engine) copiesChanged(bucket string) {
	e.ledger.forget(bucket)
	e.gate.rolesChanged(bucket)
	if r := e.run.Load(); r != nil && bucket != "" {
		r.planner.touch(bucket)
	}
}

// leading runs f for as long as this instance has a lock of the store: one instance does
// it at a time, and another takes over when that one ends.
func (r *run) leading(ctx context.Context, name string, f func(context.Context)) {
	for ctx.Err() == nil {
		lock, ok, err := r.ctl.Store().TryLock(ctx, name)
		if err != nil && ctx.Err() == nil {
			r.log.Debug("asking for a lock", zap.String("lock", name), zap.Error(err))
		}
		if ok {
			r.holding(ctx, lock, f)
			continue
		}
		sleep(ctx, jitter(r.tune.ShardEvery))
	}
}

// holding runs f until ctx ends or the lock is lost, and gives the lock back.
func (r *run) holding(ctx context.Context, lock state.Lock, f func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-lock.Lost():
			cancel()
		case <-stop:
		}
	})
	f(ctx)
	close(stop)
	wg.Wait()
	if err := lock.Unlock(); err != nil {
		r.log.Debug("giving a lock back", zap.Error(err))
	}
}

// sleep waits for d or the end of ctx, and says whether d passed.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
