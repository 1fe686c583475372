package replication

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
)

// sweeper has buckets scanned: all of them every scan interval and soon after the start,
// those written where it can't be listened to more often, those behind a gap in a listener's
// stream at once, and whichever somebody asks for.
type sweeper struct {
	*run
	wake chan struct{}

	mu    sync.Mutex
	asked map[string]time.Time // buckets to scan, from when on
	last  map[string]time.Time // when a bucket was last asked for by itself
	gaps  map[string]bool      // clusters whose buckets need a scan
	fresh map[int]bool         // parts of the work that are new: their buckets need one, too
}

// soonGap is the least time between scans of one bucket that FaDO asks itself for.
const soonGap = 5 * time.Second

func newSweeper(r *run) *sweeper {
	return &sweeper{
		run: r, wake: make(chan struct{}, 1), asked: make(map[string]time.Time),
		last: make(map[string]time.Time), gaps: make(map[string]bool), fresh: make(map[int]bool),
	}
}

// soon asks for a scan of a bucket, though not more often than every few seconds.
func (s *sweeper) soon(bucket string) {
	now := time.Now()
	s.mu.Lock()
	if _, ok := s.asked[bucket]; !ok {
		at := now
		if next := s.last[bucket].Add(soonGap); next.After(now) {
			at = next
		}
		s.asked[bucket], s.last[bucket] = at, at
	}
	if len(s.last) > 10_000 {
		clear(s.last)
	}
	s.mu.Unlock()
	s.signal()
}

// askFor is soon for a bucket that another instance may look after.
func (s *sweeper) askFor(bucket string) {
	if s.shards.owns(bucket) || !s.ctl.Shared() {
		s.soon(bucket)
		return
	}
	s.mu.Lock()
	recently := time.Since(s.last[bucket]) < 2*soonGap
	if !recently {
		s.last[bucket] = time.Now()
	}
	s.mu.Unlock()
	if recently {
		return
	}
	if err := s.board.ask(s.ctx, ask{Bucket: bucket}); err != nil {
		s.log.Debug("asking for a scan", zap.String("bucket", bucket), zap.Error(err))
	}
}

// at once asks for a scan of a bucket that begins after now.
func (s *sweeper) atOnce(bucket string) {
	s.mu.Lock()
	s.asked[bucket] = time.Time{}
	s.mu.Unlock()
	s.signal()
}

// again asks for a scan of a bucket after one that failed.
func (s *sweeper) again(bucket string, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.asked[bucket]; !ok {
		s.asked[bucket] = time.Now().Add(after)
	}
}

// gap asks for a scan of every bucket that has a copy in a cluster.
func (s *sweeper) gap(cluster string) {
	s.mu.Lock()
	s.gaps[cluster] = true
	s.mu.Unlock()
	s.signal()
}

// gained asks for a scan of every bucket of some parts of the work: whoever had them before
// may have left a scan undone.
func (s *sweeper) gained(parts []int) {
	s.mu.Lock()
	for _, i := range parts {
		s.fresh[i] = true
	}
	s.mu.Unlock()
	s.signal()
}

func (s *sweeper) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// loop scans until ctx ends.
func (s *sweeper) loop(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		s.passes(ctx)
	}()
	defer wg.Wait()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, b := range s.takeDue() {
			s.scan(b, true)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
		}
	}
}

func (s *sweeper) takeDue() (due []string) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for b, at := range s.asked {
		if !at.After(now) {
			due = append(due, b)
			delete(s.asked, b)
		}
	}
	return due
}

// scan has every synced copy of a bucket scanned; a rule without one has its primary
// counted if count is set.
func (s *sweeper) scan(bucket string, count bool) {
	if !s.shards.owns(bucket) {
		return
	}
	s.pulls.recheck(bucket, s.ctl.Router())
	snap := s.ctl.Router().Snapshot()
	copies := snap.Copies(bucket)
	scanned := make(map[string]bool)
	for _, c := range copies {
		if c.State == catalog.CopySynced && !c.Primary {
			id := copyID{bucket, c.Prefix, c.Cluster}
			s.jobs.once(id, jobScan, func(ctx context.Context) error { return s.scanCopy(ctx, id) })
			scanned[c.Prefix] = true
		}
	}
	for _, c := range copies {
		if count && c.Primary && !scanned[c.Prefix] {
			id := copyID{bucket, c.Prefix, c.Cluster}
			s.jobs.once(id, jobScan, func(ctx context.Context) error { return s.countPrimary(ctx, id) })
		}
	}
}

// passes runs the passes over all buckets. The first waits a moment for the listeners,
// so that nothing changes unnoticed between a bucket's scan and its listener.
func (s *sweeper) passes(ctx context.Context) {
	s.awaitFeeds(ctx)
	s.mu.Lock()
	clear(s.gaps) // the passes over new parts close them
	s.mu.Unlock()
	s.passFresh(ctx)
	full := time.Now().Add(jitter(s.conf().ScanInterval))
	interval := s.conf().ScanInterval
	silent := time.Now().Add(s.tune.SilentScan)
	for sleep(ctx, 200*time.Millisecond) {
		if now := s.conf().ScanInterval; now != interval {
			interval, full = now, time.Now().Add(jitter(now))
		}
		began := time.Now()
		s.passFresh(ctx)
		s.passGaps(ctx)
		switch {
		case began.After(full):
			s.pass(ctx, true, everyBucket)
			full = time.Now().Add(jitter(interval))
		case began.After(silent):
			s.pass(ctx, false, s.silent())
			silent = time.Now().Add(max(s.tune.SilentScan, 10*time.Since(began)))
		}
	}
}

func (s *sweeper) passFresh(ctx context.Context) {
	s.mu.Lock()
	fresh := s.fresh
	s.fresh = make(map[int]bool)
	s.mu.Unlock()
	if len(fresh) > 0 {
		s.pass(ctx, false, func(b string, _ []catalog.Copy) bool { return fresh[shardOf(b)] })
	}
}

func (s *sweeper) passGaps(ctx context.Context) {
	s.mu.Lock()
	gaps := s.gaps
	s.gaps = make(map[string]bool)
	s.mu.Unlock()
	if len(gaps) > 0 {
		s.pass(ctx, false, func(_ string, copies []catalog.Copy) bool {
			return slices.ContainsFunc(copies, func(c catalog.Copy) bool { return gaps[c.Cluster] })
		})
	}
}

func everyBucket(string, []catalog.Copy) bool { return true }

// silent selects the buckets that are written where it can't be listened to, unless the operator wants
// it so.
func (s *sweeper) silent() func(string, []catalog.Copy) bool {
	mute := make(map[string]bool)
	if !s.conf().NoEventFeed {
		for _, c := range s.sites.declared() {
			if site := s.sites.get(c); site != nil && site.up() {
				live, _, _ := site.feed.get()
				mute[c] = !live
			}
		}
	}
	snap := s.ctl.Router().Snapshot()
	return func(bucket string, copies []catalog.Copy) bool {
		anywhere := len(snap.RulesAnywhere(bucket)) > 0
		return slices.ContainsFunc(copies, func(c catalog.Copy) bool { return (c.Primary || anywhere) && mute[c.Cluster] })
	}
}

// pass has the selected ones of this instance's buckets scanned, never queueing more
// than a few so that what is asked for in between is not kept waiting.
func (s *sweeper) pass(ctx context.Context, count bool, selected func(bucket string, copies []catalog.Copy) bool) {
	snap := s.ctl.Router().Snapshot()
	snap.Buckets(func(b string) bool {
		if !s.shards.owns(b) {
			return ctx.Err() == nil
		}
		copies := snap.Copies(b)
		if !selected(b, copies) {
			return true
		}
		if !count && len(copies) < 2 {
			s.pulls.recheck(b, s.ctl.Router())
			return true
		}
		s.scan(b, count)
		for s.jobs.waiting(jobScan) > 4*jobsPerKind {
			if !sleep(ctx, 10*time.Millisecond) {
				return false
			}
		}
		return ctx.Err() == nil
	})
}

// feedPatience bounds how long the first pass waits for the listeners.
const feedPatience = 3 * time.Second

func (s *sweeper) awaitFeeds(ctx context.Context) {
	if s.conf().NoEventFeed {
		return
	}
	for until := time.Now().Add(feedPatience); time.Now().Before(until); {
		all := true
		for _, c := range s.sites.declared() {
			if site := s.sites.get(c); site != nil {
				live, _, why := site.feed.get()
				all = all && (live || why != "")
			}
		}
		if all || !sleep(ctx, 20*time.Millisecond) {
			return
		}
	}
}
