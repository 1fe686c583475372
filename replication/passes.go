package replication

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/peers"
)

// passes asks for scans of many buckets at a time: of all of them every scan interval, of those that
// nobody listens to more often, of a part of the work that is new to this instance, and of those behind
// a gap in a listener's stream.
type passes struct {
	core
	scans *scans
	asked chan struct{} // delivers when one is asked for

	mu     sync.Mutex
	gaps   map[string]bool // clusters whose buckets need a scan
	gained map[int]bool    // parts of the work that are new: their buckets need one, too
}

func newPasses(s *scans) *passes {
	return &passes{core: s.core, scans: s, asked: make(chan struct{}, 1), gaps: make(map[string]bool), gained: make(map[int]bool)}
}

// feedGap asks for a scan of every bucket that has a copy in a cluster.
func (p *passes) feedGap(cluster string) {
	p.mu.Lock()
	p.gaps[cluster] = true
	p.mu.Unlock()
	p.scans.askOwed(cluster)
	signal(p.asked)
}

// shardsGained asks for a scan of every bucket of some parts of the work: their former
// instance may have left a scan undone.
func (p *passes) shardsGained(parts []int) {
	p.mu.Lock()
	for _, i := range parts {
		p.gained[i] = true
	}
	p.mu.Unlock()
	signal(p.asked)
}

// loop runs the passes over all buckets, until ctx ends. The first waits a moment for the
// listeners, so that nothing changes unnoticed between a bucket's scan and its listener.
func (p *passes) loop(ctx context.Context) {
	p.awaitFeeds(ctx)
	p.mu.Lock()
	clear(p.gaps) // the passes over new parts close them
	p.mu.Unlock()
	p.lookGained(ctx)
	interval := p.conf().ScanInterval
	full, silent := p.now().Add(delay.Jitter(interval)), p.now().Add(p.tune.SilentScan)
	for p.await(ctx, full, silent) {
		if now := p.conf().ScanInterval; now != interval {
			interval, full = now, p.now().Add(delay.Jitter(now))
		}
		began := p.now()
		p.lookGained(ctx)
		p.closeGaps(ctx)
		switch {
		case began.After(full):
			p.pass(ctx, true, func(string, []catalog.Copy) bool { return true })
			full = p.now().Add(delay.Jitter(interval))
		case began.After(silent):
			p.pass(ctx, false, p.silent())
			silent = p.now().Add(max(p.tune.SilentScan, 20*p.now().Sub(began)))
		}
	}
}

// settingsEvery is how soon a changed scan interval is followed.
const settingsEvery = time.Second

// await waits until a pass is asked for or due; false at ctx's end.
func (p *passes) await(ctx context.Context, full, silent time.Time) bool {
	now := p.now()
	t := time.NewTimer(max(min(full.Sub(now), silent.Sub(now), settingsEvery), 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-p.asked:
	case <-t.C:
	}
	return true
}

func (p *passes) lookGained(ctx context.Context) {
	p.mu.Lock()
	gained := p.gained
	p.gained = make(map[int]bool)
	p.mu.Unlock()
	if len(gained) > 0 {
		p.pass(ctx, false, func(b string, _ []catalog.Copy) bool { return gained[peers.ShardOf(b)] })
	}
}

func (p *passes) closeGaps(ctx context.Context) {
	p.mu.Lock()
	gaps := p.gaps
	p.gaps = make(map[string]bool)
	p.mu.Unlock()
	if len(gaps) > 0 {
		p.pass(ctx, false, func(_ string, copies []catalog.Copy) bool {
			return slices.ContainsFunc(copies, func(c catalog.Copy) bool { return gaps[c.Cluster] })
		})
	}
}

// silent selects the buckets that are written where it can't be listened to, unless the
// operator wants it so.
func (p *passes) silent() func(string, []catalog.Copy) bool {
	mute := make(map[string]bool)
	if !p.conf().NoEventFeed {
		for _, c := range p.sites.Declared() {
			if site := p.sites.Get(c); site != nil && site.Up() {
				mute[c] = !site.Feed.Get().Live
			}
		}
	}
	snap := p.snap()
	return func(bucket string, copies []catalog.Copy) bool {
		anywhere := len(snap.Of(bucket).RulesAnywhere()) > 0
		return slices.ContainsFunc(copies, func(c catalog.Copy) bool { return (c.Primary || anywhere) && mute[c.Cluster] })
	}
}

// passPause is the time between checks whether the queue of scans has room again.
const passPause = 10 * time.Millisecond

// pass queues scans of the selected buckets of this instance, a few at a time, so that
// requested scans don't wait for the whole pass.
func (p *passes) pass(ctx context.Context, count bool, selected func(bucket string, copies []catalog.Copy) bool) {
	snap := p.snap()
	snap.Buckets(func(b string) bool {
		if !p.scans.owns(b) {
			return ctx.Err() == nil
		}
		copies := snap.Of(b).Copies()
		if !selected(b, copies) {
			return true
		}
		if !count && len(copies) < 2 {
			p.scans.recheck(b)
			return true
		}
		p.scans.scan(b, count)
		for p.scans.jobs.waiting(jobScan) > 4*jobsPerKind {
			if !delay.Sleep(ctx, passPause) {
				return false
			}
		}
		return ctx.Err() == nil
	})
}

const (
	// feedPatience bounds how long the first pass waits for the listeners.
	feedPatience = 3 * time.Second
	feedEvery    = 20 * time.Millisecond
)

func (p *passes) awaitFeeds(ctx context.Context) {
	if p.conf().NoEventFeed {
		return
	}
	for until := p.now().Add(feedPatience); p.now().Before(until); {
		all := true
		for _, c := range p.sites.Declared() {
			if site := p.sites.Get(c); site != nil {
				all = all && site.Feed.Get().Tried()
			}
		}
		if all || !delay.Sleep(ctx, feedEvery) {
			return
		}
	}
}
