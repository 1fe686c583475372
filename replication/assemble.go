package replication

import (
	"context"
	"sync/atomic"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/copies"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/jobs"
	"github.com/fado-project/fado/replication/internal/limit"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/pull"
	"github.com/fado-project/fado/replication/internal/purge"
	"github.com/fado-project/fado/replication/internal/queue"
	"github.com/fado-project/fado/replication/internal/report"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/state"
)

// wiring makes the rooms of an engine, from the lowest up. What reaches from a lower room to
// a higher one does so by the hooks made here.
type wiring struct{ e *Engine }

func (w wiring) assemble(o Options) {
	s := Settings{Disabled: true}.withDefaults()
	w.e.core.ctl, w.e.core.log, w.e.core.now, w.e.core.tune, w.e.core.settings = o.Control, o.Log, o.Now, o.Tune, new(atomic.Pointer[Settings])
	w.e.core.settings.Store(&s)
	w.e.core.version, w.e.core.open = o.Version, o.Open
	w.e.core.slots, w.e.core.pause = limit.New(DefaultWorkers), guard.NewPause()
	w.e.core.report = report.New(o.Metrics, w.e.core.ctl.Events(), w.e.core.now)
	sites, writers := site.New(w.siteOptions(o))
	w.e.core.sites = sites
	w.e.core.guard = guard.New(guard.Options{Router: w.e.core.ctl.Router(), Now: w.e.core.now, MayWrite: w.e.core.ctl.Members.MayWrite, Writers: writers})
	w.e.core.copies = copies.New(port.Of(w.e.core.ctl))
	w.e.core.deletes = object.NewDeletes(w.e.core.copies, w.e.core.log, w.e.core.now)
	w.e.core.deletes.Bounds = func() MaxDeletes { return w.e.core.conf().MaxDeletes }
	w.e.core.deletes.Ask = w.hearAllowances
	w.e.core.objects = object.New(object.Options{
		Router: w.e.core.ctl.Router(), Control: port.Of(w.e.core.ctl), Copies: w.e.core.copies, Guard: w.e.core.guard, Sites: w.e.core.sites, Deletes: w.e.core.deletes,
		Report: w.e.core.report, Copy: o.Copy, Log: w.e.core.log, Now: w.e.core.now,
		Timing: object.Timing{StallTimeout: w.e.core.tune.StallTimeout, RetryBase: w.e.core.tune.RetryBase, RetryMax: w.e.core.tune.RetryMax},
	})
	w.e.sources = newSources(w.e.core.ctl.Issues)
	w.e.formers = &formers{byBucket: make(map[string][]formerPrimary)}
	w.e.walks = w.walkers()
	w.e.pulls = pull.New(w.pullOptions(o.Metrics))
	w.e.purges = purge.New(w.purgeOptions())
	w.e.core.objects.OnDemand = w.e.pulls.Settle
	w.e.gaps = newGaps(w.e.core, func(cluster string) { w.running(func(r *run) { r.passes.feedGap(cluster) }) })
	w.e.queue = queue.New(w.queueOptions())
	w.e.drains = &drains{core: w.e.core, by: make(map[string]DrainStatus)}
	w.e.jobs = jobs.New(w.jobsOptions())
	w.e.formers.core = w.e.core
}

// running calls f with the run under way, if there is one.
func (w wiring) running(f func(*run)) {
	if r := w.e.run.Load(); r != nil {
		f(r)
	}
}

// hearAllowances takes in what people decided about deletes on other instances.
func (w wiring) hearAllowances(ctx context.Context) bool {
	r := w.e.run.Load()
	return r != nil && w.e.core.ctl.Members.Shared() && r.peers.Read(ctx) == nil
}

func (w wiring) siteOptions(o Options) site.Options {
	return site.Options{
		Router: w.e.core.ctl.Router(), Open: o.Open, Refuse: o.Refuse, Pace: w.e.core.slots, Log: w.e.core.log, Now: w.e.core.now, OwnFault: control.ErrCutOff,
		Timing: site.Timing{
			PingEvery: w.e.core.tune.PingEvery, PingTimeout: w.e.core.tune.PingTimeout, CallTimeout: w.e.core.tune.CallTimeout, FullProbe: w.e.core.tune.FullProbe,
		},
		Hooks: site.Hooks{
			Changed: func(cluster, st, reason string) {
				w.e.core.ctl.Events().Emit(control.Event{Type: control.EventStorage, Cluster: cluster, State: st, Reason: reason})
			},
			Answered: func(cluster string, address int64) {
				if w.e.core.ctl.Usage.Answered(cluster, address) {
					w.running(func(r *run) { r.agenda.touchAll() }) // it may be chosen from now on
				}
			},
			Up: func(ctx context.Context, cluster string) {
				w.retry(ctx, w.waitedFor(ctx, cluster)...)
				w.running(func(r *run) { r.passes.feedGap(cluster) })
			},
			Down: func(cluster string) {
				w.e.core.guard.CutOff(cluster)
				w.running(func(r *run) { r.agenda.forgiveAll() })
			},
			Space: func(cluster string) { w.retry(context.Background(), state.PendingFilter{Cluster: cluster}) },
		},
	}
}

// waitedFor says which rows a storage that comes up was in the way of: those about its
// objects, and those of buckets written there, be it as one of many. Rows about another storage that is down go on
// waiting for that one.
func (w wiring) waitedFor(ctx context.Context, cluster string) []state.PendingFilter {
	which := []state.PendingFilter{{Cluster: cluster}}
	logs, err := w.e.core.ctl.Store().Queue().Backlogs(ctx, "")
	w.e.core.stored(ctx, "could not find what waited for a storage that is up; it is tried again when its time comes", err)
	snap := w.e.core.snap()
	for _, l := range logs {
		waited := snap.Of(l.Bucket).Primary() == cluster || len(snap.Of(l.Bucket).RulesAnywhere()) > 0
		if l.Failing > 0 && l.Cluster != cluster && waited && !w.e.core.sites.Down(l.Cluster) {
			which = append(which, state.PendingFilter{Bucket: l.Bucket, Cluster: l.Cluster})
		}
	}
	return which
}

// retry makes due what waited for a storage.
func (w wiring) retry(ctx context.Context, which ...state.PendingFilter) {
	w.running(func(r *run) {
		for _, f := range which {
			_, err := w.e.core.ctl.Store().Queue().RetryPending(ctx, f, w.e.core.now())
			w.e.core.stored(ctx, "could not make waiting objects due; they are tried again when their time comes", err)
		}
		w.e.core.ctl.Pending.Wake()
		r.agenda.forgiveAll()
	})
}

// askSource is called before a primary is asked about a bucket, and what it returns with the
// answer: nil, or why the bucket can't be compared with anything.
func (w wiring) askSource(bucket string) (answer func(error)) {
	question := w.e.sources.ask()
	return func(missing error) {
		if missing == nil {
			w.e.sources.isThere(bucket)
			return
		}
		w.running(func(r *run) {
			if !r.owns(bucket) {
				r.scans.requestAnywhere(bucket) // the instance that looks after the bucket finds it out
				return
			}
			w.e.sources.isMissing(bucket, question, missing)
		})
	}
}

func (w wiring) queueOptions() queue.Options {
	return queue.Options{
		Router: w.e.core.ctl.Router(), Pending: w.e.core.ctl.Pending, Rows: w.e.core.ctl.Store().Queue(), Sites: w.e.core.sites, Slots: w.e.core.slots,
		Pause: w.e.core.pause, Settler: w.e.core.objects, Report: w.e.core.report, Log: w.e.core.log, Now: w.e.core.now,
		Timing:   queue.Timing{Lease: w.e.core.tune.Lease, RetryMax: w.e.core.tune.RetryMax, FullProbe: w.e.core.tune.FullProbe},
		Claimant: w.e.core.ctl.Members.Claimant, Shared: w.e.core.ctl.Members.Shared, CatchUp: w.e.core.ctl.Members.CatchUp,
		NoEventFeed: func() bool { return w.e.core.conf().NoEventFeed },
		Leading:     w.leading,
		Gaps:        w.e.gaps,
		Scan:        func(bucket string) { w.running(func(r *run) { r.scans.requestAnywhere(bucket) }) },
		AskSource:   w.askSource,
	}
}

// leading runs f for as long as this instance has a lock of the store, until ctx ends.
func (w wiring) leading(ctx context.Context, lock string, f func(context.Context)) {
	l := peers.Leader{Locks: w.e.core.ctl.Store().Locks(), News: w.e.core.ctl.Members.News, Log: w.e.core.log, Every: w.e.core.tune.ShardEvery}
	l.Leading(ctx, lock, f)
}

func (w wiring) pullOptions(m report.Metrics) pull.Options {
	counted, _ := m.(pull.Metrics)
	return pull.Options{
		Router: w.e.core.ctl.Router(), Store: w.e.core.ctl.Store, Pending: w.e.core.ctl.Pending, Rows: w.e.core.ctl.Pulled, Copies: w.e.core.copies,
		Sites: w.e.core.sites, Guard: w.e.core.guard, Pause: w.e.core.pause, Slots: w.e.core.slots, Objects: w.e.core.objects, Report: w.e.core.report,
		Buckets: w.e.walks.buckets, Apart: w.e.walks.buckets.Apart, Drain: w.e.walks.evictor, Metrics: counted, Log: w.e.core.log, Now: w.e.core.now,
		Timing:    pull.Timing{CallTimeout: w.e.core.tune.CallTimeout, Every: w.e.core.tune.PullEvery, Backoff: w.e.core.tune.PullRest},
		UsedBytes: w.e.core.ctl.Usage.All,
		Record: func(ctx context.Context, o ids.Object, from string, bytes int64) error {
			return w.e.core.ctl.Audits.Pulling(ctx, o.Bucket, o.Key, from, o.Cluster, bytes)
		},
		Owns: func(bucket string) (owns bool) {
			w.running(func(r *run) { owns = r.owns(bucket) })
			return owns
		},
		ErrOff: ErrOff,
	}
}
