package replication

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/pull"
	"github.com/fado-project/fado/replication/internal/queue"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/replication/internal/walk"
	"github.com/fado-project/fado/state"
)

// wiring makes the rooms of an engine, from the lowest up. What reaches from a lower room to
// a higher one does so by the hooks made here.
type wiring struct{ *Engine }

func (e wiring) assemble(o Options) {
	s := Settings{Disabled: true}.withDefaults()
	e.core.ctl, e.core.log, e.core.now, e.core.tune, e.core.settings = o.Control, o.Log, o.Now, o.Tune, new(atomic.Pointer[Settings])
	e.core.settings.Store(&s)
	e.core.slots, e.core.pause = limit.New(DefaultWorkers), guard.NewPause()
	e.core.report = report.New(o.Metrics, e.core.ctl.Events(), e.core.now)
	sites, writers := site.New(e.siteOptions(o))
	e.core.sites = sites
	e.core.guard = guard.New(guard.Options{Router: e.core.ctl.Router(), Now: e.core.now, MayWrite: e.core.ctl.Members.MayWrite, Writers: writers})
	e.core.copies = copies.New(port.Of(e.core.ctl))
	e.core.deletes = object.NewDeletes(e.core.copies, e.core.log, e.core.now)
	e.core.deletes.Bounds = func() MaxDeletes { return e.core.conf().MaxDeletes }
	e.core.deletes.Ask = e.hearAllowances
	e.core.objects = object.New(object.Options{
		Router: e.core.ctl.Router(), Control: port.Of(e.core.ctl), Copies: e.core.copies, Guard: e.core.guard, Sites: e.core.sites, Deletes: e.core.deletes,
		Report: e.core.report, Copy: o.Copy, Log: e.core.log, Now: e.core.now,
		Timing: object.Timing{StallTimeout: e.core.tune.StallTimeout, RetryBase: e.core.tune.RetryBase, RetryMax: e.core.tune.RetryMax},
	})
	e.walks = walk.New(e.walkOptions())
	e.pulls = pull.New(e.pullOptions(o.Metrics))
	e.core.objects.OnDemand = e.pulls.Settle
	e.queue = queue.New(e.queueOptions())
	e.drains = &drains{core: e.core, by: make(map[string]DrainStatus)}
}

// running calls f with the run under way, if there is one.
func (e wiring) running(f func(*run)) {
	if r := e.run.Load(); r != nil {
		f(r)
	}
}

// hearAllowances takes in what people decided about deletes on other instances.
func (e wiring) hearAllowances(ctx context.Context) bool {
	r := e.run.Load()
	return r != nil && e.core.ctl.Members.Shared() && r.peers.Read(ctx) == nil
}

func (e wiring) siteOptions(o Options) site.Options {
	return site.Options{
		Router: e.core.ctl.Router(), Open: o.Open, Pace: e.core.slots, Log: e.core.log, Now: e.core.now, OwnFault: control.ErrCutOff,
		Timing: site.Timing{
			PingEvery: e.core.tune.PingEvery, PingTimeout: e.core.tune.PingTimeout, CallTimeout: e.core.tune.CallTimeout, FullProbe: e.core.tune.FullProbe,
		},
		Hooks: site.Hooks{
			Changed: func(cluster, st, reason string) {
				e.core.ctl.Events().Emit(control.Event{Type: control.EventStorage, Cluster: cluster, State: st, Reason: reason})
			},
			Up: func(ctx context.Context, cluster string) {
				e.retry(ctx, state.PendingFilter{})
				e.running(func(r *run) { r.scans.feedGap(cluster) })
			},
			Down: func(cluster string) {
				e.core.guard.CutOff(cluster)
				e.running(func(r *run) { r.agenda.forgiveAll() })
			},
			Space: func(cluster string) { e.retry(context.Background(), state.PendingFilter{Cluster: cluster}) },
		},
	}
}

// retry makes due what waited for a storage.
func (e wiring) retry(ctx context.Context, which state.PendingFilter) {
	e.running(func(r *run) {
		_, err := e.core.ctl.Store().RetryPending(ctx, which, e.core.now())
		e.core.stored(ctx, "could not make waiting objects due; they are tried again when their time comes", err)
		e.core.ctl.Pending.Wake()
		r.agenda.forgiveAll()
	})
}

func (e wiring) walkOptions() walk.Options {
	return walk.Options{
		Router: e.core.ctl.Router(), Control: port.Of(e.core.ctl), Copies: e.core.copies, Sites: e.core.sites, Guard: e.core.guard, Pause: e.core.pause,
		Slots: e.core.slots, Objects: e.core.objects, Deletes: e.core.deletes, Report: e.core.report, Events: e.core.ctl.Events(), Log: e.core.log, Now: e.core.now,
		Hooks: walk.Hooks{
			RequestScan:   func(bucket string) { e.running(func(r *run) { r.scans.request(bucket) }) },
			SourceMissing: e.sourceMissing,
			SourceFound: func(bucket string) {
				e.core.ctl.Issues.Set(bucket, control.Source{Finder: control.FinderSource}, control.Issue{})
			},
			Attention:     func(string) {}, // the snapshot tells
			LeaveToPulled: func(ctx context.Context, bucket, cluster string) error { return e.pulls.LeaveTo(ctx, bucket, cluster) },
			Helpers: func() (n int) {
				e.running(func(r *run) { n = r.peers.Others() })
				return n
			},
			Alone:   e.core.alone,
			Changed: e.core.ctl.Pending.Changed,
		},
		Settings: walk.Settings{
			DrainTimeout: func() time.Duration { return e.core.conf().DrainTimeout },
			NoEventFeed:  func() bool { return e.core.conf().NoEventFeed },
		},
		Timing: walk.Timing{CallTimeout: e.core.tune.CallTimeout, SaveEvery: e.core.tune.SaveEvery, DrainGrace: e.core.tune.DrainGrace},
	}
}

// sourceMissing notes that a bucket can't be compared with anything.
func (e wiring) sourceMissing(bucket string, err error) {
	e.running(func(r *run) {
		if !r.owns(bucket) {
			r.scans.requestAnywhere(bucket) // the instance that looks after the bucket finds it out
			return
		}
		e.core.ctl.Issues.Set(bucket, control.Source{Finder: control.FinderSource}, control.Issue{Reason: err.Error()})
	})
}

func (e wiring) queueOptions() queue.Options {
	return queue.Options{
		Router: e.core.ctl.Router(), Pending: e.core.ctl.Pending, Rows: e.core.ctl.Store(), Sites: e.core.sites, Slots: e.core.slots,
		Pause: e.core.pause, Settler: e.core.objects, Report: e.core.report, Written: e.core.objects.Written, Log: e.core.log, Now: e.core.now,
		Timing:   queue.Timing{Lease: e.core.tune.Lease, RetryMax: e.core.tune.RetryMax, FullProbe: e.core.tune.FullProbe},
		Claimant: e.core.ctl.Members.Claimant, Shared: e.core.ctl.Members.Shared, CatchUp: e.core.ctl.Members.CatchUp,
		NoEventFeed:   func() bool { return e.core.conf().NoEventFeed },
		Leading:       e.leading,
		Gap:           func(cluster string) { e.running(func(r *run) { r.scans.feedGap(cluster) }) },
		Scan:          func(bucket string) { e.running(func(r *run) { r.scans.requestAnywhere(bucket) }) },
		SourceMissing: e.sourceMissing,
	}
}

// leading runs f for as long as this instance has a lock of the store, until ctx ends.
func (e wiring) leading(ctx context.Context, lock string, f func(context.Context)) {
	peers.Leading(ctx, e.core.ctl.Store(), e.core.log, e.core.tune.ShardEvery, lock, f)
}

func (e wiring) pullOptions(m report.Metrics) pull.Options {
	counted, _ := m.(pull.Metrics)
	return pull.Options{
		Router: e.core.ctl.Router(), Store: e.core.ctl.Store, Pending: e.core.ctl.Pending, Rows: e.core.ctl.Pulled, Copies: e.core.copies,
		Sites: e.core.sites, Guard: e.core.guard, Pause: e.core.pause, Slots: e.core.slots, Objects: e.core.objects, Report: e.core.report,
		Buckets: e.walks.Buckets, Drain: e.walks.Evictor, Metrics: counted, Log: e.core.log, Now: e.core.now,
		Timing:    pull.Timing{CallTimeout: e.core.tune.CallTimeout, Every: e.core.tune.PullEvery, Backoff: e.core.tune.PullRest},
		UsedBytes: e.core.ctl.Usage.All,
		Owns: func(bucket string) (owns bool) {
			e.running(func(r *run) { owns = r.owns(bucket) })
			return owns
		},
		ErrOff: ErrOff,
	}
}
