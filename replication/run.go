package replication

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/verify"
	"github.com/fado-project/fado/state"
)

// run is what exists from Start to Stop: the parts that decide what is to be done, and the
// loops that do it.
type run struct {
	core
	e      *Engine
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	agenda   *agenda
	planner  *planner
	jobs     *runner
	scans    *scans
	passes   *passes
	peers    *peers.Peers
	paths    *peers.Paths
	verifier *verify.Verifier
}

func newRun(e *Engine) *run {
	r := &run{core: e.core, e: e}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.peers = peers.New(r.peersOptions())
	if former := e.run.Load(); former != nil {
		r.peers.Succeed(former.peers)
	}
	r.paths = peers.NewPaths(e.core.ctl.Router(), r.peers, e.core.ctl.Members.Claimant)
	r.agenda, r.jobs = newAgenda(e.core.now), newRunner()
	r.scans = newScans(e.core, r.ctx, r.jobs)
	r.scans.scanner, r.scans.owns, r.scans.ask, r.scans.recheck = e.walks.copies.Scanner, r.owns, r.peers.Ask, e.pulls.Recheck
	r.passes = newPasses(r.scans)
	after := &aftermath{core: e.core, ctx: r.ctx, agenda: r.agenda, fail: e.walks.copies.Syncer.Fail, scanAgain: r.scans.retryAfter, countOwed: r.scans.countOwed, yield: r.paths.Yield}
	r.jobs.turn = e.core.tune.JobTurn
	r.jobs.pause, r.jobs.owns, r.jobs.lockWalk = e.core.pause, r.owns, e.walks.copies.Locks.Lock
	r.jobs.ended, r.jobs.cancelled = after.ended, after.cancelled
	r.planner = &planner{
		core: e.core, agenda: r.agenda, finder: newFinder(e.core, r.agenda), jobs: r.jobs, walks: e.walks,
		owns: r.owns, scan: r.scans.runNow, rebalanced: e.jobs.Rebalances.Moves, noPath: r.paths.Blocked,
	}
	e.purges.Forget()
	r.verifier = verify.New(r.verifyOptions())
	return r
}

// owns reports whether this instance looks after a bucket.
func (r *run) owns(bucket string) bool { return r.peers.Shards.Owns(bucket) }

// launch starts the background work by the settings.
func (r *run) launch() {
	loops := []func(context.Context){r.peers.Shards.Run, r.planner.loop}
	if !r.conf().Disabled {
		r.e.gaps.begin()
		up, sizes := &uploads{r.core}, counts{r.core}
		store := &switches{core: r.core, order: r.e.setPause, rebalance: r.e.jobs.Rebalances.Look}
		loops = append(loops,
			r.jobs.loop, r.scans.loop, r.passes.loop, r.e.queue.Feeds.Run, r.e.queue.Intake.Run, r.e.queue.Workers.Run,
			r.sites.Watch, r.sites.Facts.Find, store.watch, lease{r.core}.watch, sizes.keep, sizes.keepUsed, r.peers.Run,
			r.verifier.Run, r.e.pulls.Run, r.e.pulls.Keep, r.e.drains.watch,
			func(ctx context.Context) { r.e.formers.watch(ctx, r.owns) },
			func(ctx context.Context) { r.e.jobs.Rebalances.Run(ctx, r.owns, r.agenda.touch) },
			func(ctx context.Context) { r.e.gaps.watch(ctx, r.jobs, func(b string) { r.scans.scan(b, false) }) },
			func(ctx context.Context) { wiring{r.e}.leading(ctx, "replication/purge", r.e.purges.Run) },
			func(ctx context.Context) { wiring{r.e}.leading(ctx, "uploads", up.sweep) },
			func(ctx context.Context) { wiring{r.e}.leading(ctx, "verify", r.verifier.Scrub) },
		)
	}
	for _, loop := range loops {
		r.wg.Go(func() { loop(r.ctx) })
	}
}

// stop ends the work and waits for it.
func (r *run) stop() {
	r.cancel()
	r.wg.Wait()
	if err := r.ctl.Store().Queue().ReleaseClaims(context.Background(), r.ctl.Members.Claimant()); err != nil {
		r.log.Warn("could not release this instance's claims; they expire with their lease", zap.Error(err))
	}
}

func (r *run) peersOptions() peers.Options {
	return peers.Options{
		Members: r.ctl.Members, Locks: r.ctl.Store().Locks(), Reports: reports{r.ctl.Store().Reports()}, Issues: r.ctl.Issues,
		Sites: r.sites, Log: r.log, Now: r.now, ShardEvery: r.tune.ShardEvery, Version: r.version,
		Idle:   func() bool { return r.conf().Disabled },
		Here:   func() string { return r.snap().Here() },
		Moving: func() json.RawMessage { return r.e.Reports().figures().Tell() },
		Hooks: peers.Hooks{
			Gained: func(parts []int) {
				r.e.pulls.Look()
				r.agenda.forgiveAll()
				r.passes.shardsGained(parts)
			},
			Lost: func(part int) {
				r.jobs.cancelShard(part)
				r.ctl.Issues.Forget(func(bucket string) bool { return peers.ShardOf(bucket) == part })
			},
			Asked: r.asked,
			Moved: func() { r.agenda.touchAll() },
			Feed:  r.e.gaps.Follow,
		},
	}
}

// asked does what another instance asks for.
func (r *run) asked(q peers.Request) {
	switch {
	case q.Read != "":
		if q.Read == r.ctl.Members.Claimant() {
			r.read(q.Bucket)
		}
	case q.Allow > 0:
		r.deletes.Allow(q.Copy, q.Allow)
	case q.Allow < 0:
		r.deletes.Disallow(q.Copy)
	case q.Bucket == "":
		r.agenda.forgiveAll()
	case r.owns(q.Bucket):
		r.agenda.forgive(q.Bucket)
		r.scans.runNow(q.Bucket)
	}
}

// read begins a verification that another instance may not make, since it reads all bytes.
func (r *run) read(bucket string) {
	_, err := r.verifier.Request(r.ctx, bucket, true)
	r.stored(r.ctx, "could not store that a bucket is to be verified; it is when it is asked for again", err)
}

// reports keeps the instances' reports in the store.
type reports struct{ store state.Reports }

// Put implements peers.Reports.
func (s reports) Put(ctx context.Context, name, body string) error {
	return s.store.PutReport(ctx, name, body)
}

// List implements peers.Reports.
func (s reports) List(ctx context.Context, prefix string) ([]string, error) {
	all, err := s.store.ListReports(ctx, prefix)
	if err != nil {
		return nil, err
	}
	bodies := make([]string, len(all))
	for i, r := range all {
		bodies[i] = r.Body
	}
	return bodies, nil
}

func (r *run) verifyOptions() verify.Options {
	return verify.Options{
		Mismatched: r.report.Mismatched,
		Router:     r.ctl.Router(), Pending: r.ctl.Pending, Issues: r.ctl.Issues, Records: r.ctl.Store().Verifications(), Copies: r.copies, Sites: r.sites,
		Guard: r.guard, Pause: r.pause, Slots: r.slots, Objects: r.objects, Walks: r.e.walks.copies, Buckets: r.e.walks.buckets, Events: r.ctl.Events(), Log: r.log, Now: r.now,
		Node: r.ctl.Node(), PingTimeout: r.tune.PingTimeout, Delegate: r.paths.Delegate,
		Interval: func() time.Duration { return r.conf().VerifyInterval },
		Deep:     func() bool { return r.conf().VerifyDeep },
	}
}
