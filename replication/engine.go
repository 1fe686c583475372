package replication

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/jobs"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/pull"
	"github.com/fado-project/fado/replication/internal/purge"
	"github.com/fado-project/fado/replication/internal/queue"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Engine is the whole of replication on this instance. All methods are safe for
// concurrent use.
type Engine struct {
	core     core
	setPause pauseOrder
	walks    walkers
	pulls    *pull.Puller
	purges   *purge.Purges
	queue    *queue.Queue
	gaps     *gaps
	drains   *drains
	sources  *sources

	formers *formers
	jobs    *jobs.Jobs

	life sync.Mutex // orders Start, Reconfigure and Stop
	run  atomic.Pointer[run]
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
		o.Copy = storage.Copy
	}
	o.Tune = o.Tune.withDefaults()
	e := &Engine{setPause: make(pauseOrder, 1)}
	wiring{e}.assemble(o)
	e.drains = &drains{core: e.core, by: make(map[string]DrainStatus)}
	e.core.ctl.Status.ExplainLosses(e.core.sites.Facts.Losses)
	e.core.ctl.Hooks.BeforeAnswer(e.core.guard.AfterChange)
	e.core.ctl.Hooks.BeforeAnswer(func(context.Context) { e.pulls.Changed() })
	e.core.ctl.Hooks.OnCopies(e.copiesChanged)
	e.core.ctl.Hooks.OnResource(func(c control.ResourceChange) {
		if r := e.run.Load(); r != nil {
			r.planner.changed(c)
		}
	})
	return e
}

// Start begins work with the given settings; it may be called again after Stop. A
// second Start without a Stop in between only takes the settings over.
func (e *Engine) Start(s Settings) {
	e.life.Lock()
	defer e.life.Unlock()
	e.configure(s)
	if e.run.Load() == nil {
		e.run.Store(newRun(e))
		e.run.Load().launch()
	}
}

// Reconfigure changes the settings while the engine runs; work in progress continues.
// Before Start it does nothing.
func (e *Engine) Reconfigure(s Settings) {
	e.life.Lock()
	defer e.life.Unlock()
	r := e.run.Load()
	if r == nil {
		return
	}
	before := e.core.conf()
	e.configure(s)
	if now := e.core.conf(); before.Disabled != now.Disabled || before.NoEventFeed != now.NoEventFeed {
		r.stop()
		e.run.Store(newRun(e))
		e.run.Load().launch()
		return
	}
	e.core.sites.Redeclared() // which storages may be used is the configuration's, too
	r.agenda.touchAll()
}

// Stop ends all work and waits for it. It may be called more than once, and before
// Start.
func (e *Engine) Stop() {
	e.life.Lock()
	defer e.life.Unlock()
	if r := e.run.Load(); r != nil {
		r.stop()
		e.run.Store(nil)
		e.core.sites.Close()
	}
}

// configure takes settings over. The caller holds life.
func (e *Engine) configure(s Settings) {
	s = s.withDefaults()
	e.core.settings.Store(&s)
	e.core.ctl.Usage.Ask(!s.Disabled)
	e.core.slots.Resize(s.Workers)
	e.core.sites.Bandwidth.Set(s.Bandwidth)
}

// copiesChanged is control's hook for copies that another instance changed ("": any bucket's).
func (e *Engine) copiesChanged(bucket string) {
	e.core.guard.RolesChanged(bucket)
	if r := e.run.Load(); r != nil && bucket != "" {
		r.agenda.touch(bucket)
	}
}

// Pause stops new work, durably and on every instance; objects on their way are
// finished. Resume ends it.
func (e *Engine) Pause(ctx context.Context) error { return e.setPause.store(ctx, &e.core, true) }

// Paused says whether replication is paused, as far as this instance knows.
func (e *Engine) Paused() bool { return e.core.pause.On() }

// Resume ends a Pause.
func (e *Engine) Resume(ctx context.Context) error { return e.setPause.store(ctx, &e.core, false) }

// Hints stores the changes that a webhook reports. It returns once the rows are durable and
// every instance routes by them; unknown buckets are ignored.
func (e *Engine) Hints(ctx context.Context, hints ...Hint) error {
	return e.queue.Intake.Hints(ctx, hints...)
}

// EventsLost notes that events of a cluster's storage ("": of any that is not listened to) were
// refused, and may not come again: what is written there is compared, and copies of it that
// were not are no hits until then.
func (e *Engine) EventsLost(cluster string) {
	for _, name := range e.core.sites.Declared() {
		st := e.core.snap().ClusterState(name)
		if name == cluster || cluster == "" && st != nil && !st.Exact() {
			e.gaps.Lost(name)
		}
	}
}

// Noted is the hook of a gateway through which users write; see [queue.Intake.Noted].
func (e *Engine) Noted(ctx context.Context, bucket, key, cluster string, size int64) error {
	return e.queue.Intake.Noted(ctx, bucket, key, cluster, size)
}

// Pull copies objects to a cluster where an invocation can run beside them, and waits as
// long as the plan and ctx allow. It returns nil when they are there; the caller then asks
// routing again. A copy that outlasts the wait continues in the background. Concurrent
// callers share one copy of an object.
func (e *Engine) Pull(ctx context.Context, p routing.PullPlan) error { return e.pulls.Pull(ctx, p) }

// Purge forgets a bucket and removes data as the mode says, in that order: it leaves
// the catalogue and routing first. It returns once one transaction has
// forgotten the bucket and recorded what to remove. The removal continues
// in the background, on the instance that holds its lock, and ends if the bucket is declared
// again.
func (e *Engine) Purge(ctx context.Context, bucket string, mode PurgeMode, pre control.Precondition) error {
	return e.purges.Order(ctx, bucket, mode, pre)
}

// RetryFailures makes all failing objects due now and returns how many. Copies that failed
// as a whole are tried again, too.
func (e *Engine) RetryFailures(ctx context.Context) (int, error) {
	n, err := e.core.ctl.Store().Queue().RetryPending(ctx, state.PendingFilter{}, e.core.now())
	if err != nil {
		return 0, err
	}
	e.core.ctl.Pending.Wake()
	r := e.run.Load()
	if r == nil {
		return n, nil
	}
	r.agenda.forgiveAll()
	return n, r.peers.Ask(ctx, peers.Request{})
}

// SyncBucket asks for a scan of a bucket now; control.ErrNotFound if there is none.
func (e *Engine) SyncBucket(ctx context.Context, bucket string) error {
	if e.core.snap().Bucket(bucket) == nil {
		return fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	r := e.run.Load()
	if r == nil || e.core.conf().Disabled {
		return ErrOff
	}
	if !r.owns(bucket) && e.core.ctl.Members.Shared() {
		return r.peers.Ask(ctx, peers.Request{Bucket: bucket})
	}
	r.agenda.forgive(bucket)
	r.scans.runNow(bucket)
	return nil
}
