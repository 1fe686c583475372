package replication

import (
	"context"
	"time"

	"github.com/fado-project/fado/replication/internal/buckets"
	"github.com/fado-project/fado/replication/internal/evict"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/move"
	"github.com/fado-project/fado/replication/internal/port"
	"github.com/fado-project/fado/replication/internal/walk"
)

// walkers are the rooms that go over whole copies and buckets.
type walkers struct {
	buckets *buckets.Buckets
	copies  *walk.Walks
	evictor *evict.Evictor
	moves   *move.Moves
}

func (w wiring) walkers() walkers {
	var all walkers
	all.buckets = buckets.New(w.bucketsOptions())
	all.copies = walk.New(w.walkOptions(all.buckets))
	all.evictor = evict.New(w.evictOptions(all.buckets))
	all.moves = move.New(w.moveOptions(all.buckets, all.copies))
	return all
}

func (w wiring) bucketsOptions() buckets.Options {
	c := w.e.core
	return buckets.Options{
		Router: c.ctl.Router(), Control: port.Of(c.ctl), Copies: c.copies, Sites: c.sites, Guard: c.guard, Deletes: c.deletes,
		Log: c.log, Now: c.now, AskSource: w.askSource,
	}
}

func (w wiring) walkOptions(b *buckets.Buckets) walk.Options {
	c := w.e.core
	return walk.Options{
		Router: c.ctl.Router(), Control: port.Of(c.ctl), Copies: c.copies, Sites: c.sites, Guard: c.guard, Pause: c.pause, Slots: c.slots,
		Objects: c.objects, Deletes: c.deletes, Buckets: b, Report: c.report, Log: c.log, Now: c.now, SaveEvery: c.tune.SaveEvery,
		Hooks: walk.Hooks{
			Rest: func(ctx context.Context) (err error) {
				w.running(func(r *run) { err = r.jobs.rest(ctx) })
				return err
			},
			RequestScan: w.requestScan,
			Helpers: func() (n int) {
				w.running(func(r *run) { n = r.peers.Others() })
				return n
			},
			Carriers: func(bucket, key string) (n int) {
				w.running(func(r *run) { n = r.paths.Others(bucket, key) })
				return n
			},
		},
	}
}

func (w wiring) evictOptions(b *buckets.Buckets) evict.Options {
	c := w.e.core
	return evict.Options{
		Router: c.ctl.Router(), Members: c.ctl.Members, Copies: c.copies, Sites: c.sites, Guard: c.guard, Pause: c.pause, Objects: c.objects,
		Deletes: c.deletes, Buckets: b, Events: c.ctl.Events(), Log: c.log, Now: c.now,
		Hooks: evict.Hooks{
			AskSource: w.askSource,
			LeaveToPulled: func(ctx context.Context, bucket, cluster string) error {
				return w.e.pulls.LeaveTo(ctx, bucket, cluster)
			},
			Alone: c.alone,
		},
		Timing: evict.Timing{
			CallTimeout: c.tune.CallTimeout, DrainGrace: c.tune.DrainGrace,
			Drain: func() time.Duration { return c.conf().DrainTimeout },
		},
	}
}

func (w wiring) moveOptions(b *buckets.Buckets, walks *walk.Walks) move.Options {
	c := w.e.core
	return move.Options{
		Router: c.ctl.Router(), Control: port.Of(c.ctl), Copies: c.copies, Sites: c.sites, Guard: c.guard, Pause: c.pause, Slots: c.slots,
		Objects: c.objects, Deletes: c.deletes, Buckets: b, Locks: walks.Locks, Scanner: walks.Scanner, Historian: walks.Historian,
		Log: c.log, Now: c.now,
		Hooks: move.Hooks{
			CarrySleep: func(ctx context.Context, bucket, from string, d time.Duration) (err error) {
				w.running(func(r *run) { err = r.jobs.sleep(ctx, jobID{ids.CopyIn(bucket, "", from), jobCarry}, d) })
				return err
			},
			RequestScan: w.requestScan,
			Leaves: func(ctx context.Context, bucket, cluster string, clock time.Time) error {
				return w.e.formers.note(ctx, bucket, cluster, clock)
			},
			Changed:     c.ctl.Pending.Changed,
			NoEventFeed: func() bool { return c.conf().NoEventFeed },
		},
	}
}

func (w wiring) requestScan(bucket string) {
	w.running(func(r *run) { r.scans.request(bucket) })
}
