package replication

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/walk"
)

// scans is the scan scheduler. It schedules scans of all buckets every scan interval and soon
// after the start, more frequent scans of buckets whose primary has no listener, immediate
// scans after a gap in a listener's stream, and scans on request.
type scans struct {
	core
	jobs    *jobs
	scanner *walk.Scanner
	owns    func(bucket string) bool
	// ask asks the instance that looks after a bucket.
	ask func(ctx context.Context, r peers.Request) error
	// recheck schedules a comparison of a bucket's objects on demand.
	recheck func(bucket string)
	ctx     context.Context // of the run
	wake    chan struct{}
	passed  chan struct{} // delivers when a pass over many is asked for

	// last is when a bucket was last asked for by FaDO itself. Forgetting costs a scan.
	last *memory.Memory[string, time.Time]

	mu     sync.Mutex
	asked  map[string]time.Time       // buckets to scan, from when on
	gaps   map[string]bool            // clusters whose buckets need a scan
	gained map[int]bool               // parts of the work that are new: their buckets need one, too
	owed   map[string]map[string]bool // buckets to be counted when their primary's cluster is up again
}

const (
	// soonGap is the least time between scans of one bucket that FaDO asks itself for.
	soonGap = 5 * time.Second
	// lastMax bounds the buckets whose last scan is remembered.
	lastMax = 10_000
)

func newScans(c core, ctx context.Context, j *jobs) *scans {
	return &scans{
		core: c, ctx: ctx, jobs: j, wake: make(chan struct{}, 1), passed: make(chan struct{}, 1),
		last:  memory.New[string, time.Time](lastMax, 0, c.now),
		asked: make(map[string]time.Time), gaps: make(map[string]bool), gained: make(map[int]bool),
		owed: make(map[string]map[string]bool),
	}
}

// request asks for a scan of a bucket, though not more often than every few seconds.
func (s *scans) request(bucket string) {
	now := s.now()
	s.mu.Lock()
	if _, ok := s.asked[bucket]; !ok {
		at := now
		if last, ok := s.last.Get(bucket); ok && last.Add(soonGap).After(now) {
			at = last.Add(soonGap)
		}
		s.asked[bucket] = at
		s.last.Note(bucket, at)
	}
	s.mu.Unlock()
	signal(s.wake)
}

// requestAnywhere is request for a bucket that another instance may look after.
func (s *scans) requestAnywhere(bucket string) {
	if s.owns(bucket) || !s.ctl.Members.Shared() {
		s.request(bucket)
		return
	}
	now := s.now()
	s.mu.Lock()
	last, ok := s.last.Get(bucket)
	recently := ok && now.Sub(last) < 2*soonGap
	if !recently {
		s.last.Note(bucket, now)
	}
	s.mu.Unlock()
	if recently {
		return
	}
	if err := s.ask(s.ctx, peers.Request{Bucket: bucket}); err != nil {
		s.log.Debug("could not ask another instance for a scan; the next failure of an object asks again", zap.String("bucket", bucket), zap.Error(err))
	}
}

// runNow asks for a scan of a bucket that begins after now.
func (s *scans) runNow(bucket string) {
	s.mu.Lock()
	s.asked[bucket] = time.Time{}
	s.mu.Unlock()
	signal(s.wake)
}

// retryAfter asks for a scan of a bucket after one that failed.
func (s *scans) retryAfter(bucket string, after time.Duration) {
	s.mu.Lock()
	if _, ok := s.asked[bucket]; !ok {
		s.asked[bucket] = s.now().Add(after)
	}
	s.mu.Unlock()
	signal(s.wake)
}

// feedGap asks for a scan of every bucket that has a copy in a cluster.
func (s *scans) feedGap(cluster string) {
	s.mu.Lock()
	s.gaps[cluster] = true
	s.askOwed(cluster)
	s.mu.Unlock()
	signal(s.passed)
	signal(s.wake)
}

// countOwed asks for a scan of a bucket when a cluster is up again.
func (s *scans) countOwed(bucket, cluster string) {
	s.mu.Lock()
	if s.owed[cluster] == nil {
		s.owed[cluster] = make(map[string]bool)
	}
	s.owed[cluster][bucket] = true
	s.mu.Unlock()
	if s.sites.Up(cluster) { // since the job found it down
		s.mu.Lock()
		s.askOwed(cluster)
		s.mu.Unlock()
		signal(s.wake)
	}
}

// askOwed asks for what is owed to a cluster. The caller holds mu.
func (s *scans) askOwed(cluster string) {
	for b := range s.owed[cluster] {
		if _, ok := s.asked[b]; !ok {
			s.asked[b] = s.now()
		}
	}
	delete(s.owed, cluster)
}

// shardsGained asks for a scan of every bucket of some parts of the work: their former
// instance may have left a scan undone.
func (s *scans) shardsGained(parts []int) {
	s.mu.Lock()
	for _, i := range parts {
		s.gained[i] = true
	}
	s.mu.Unlock()
	signal(s.passed)
}

// signal wakes the goroutine that waits for a channel with room for one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// idleScan is the longest time between checks of what was asked for; all that is asked for
// gives a signal.
const idleScan = time.Minute

// loop runs the requested scans until ctx ends.
func (s *scans) loop(ctx context.Context) {
	for {
		due, next := s.takeDue()
		for _, b := range due {
			s.scan(b, true)
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-s.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// takeDue takes the buckets whose time has come, and returns the time to the next one.
func (s *scans) takeDue() (due []string, next time.Duration) {
	now := s.now()
	next = idleScan
	s.mu.Lock()
	defer s.mu.Unlock()
	for b, at := range s.asked {
		if at.After(now) {
			next = min(next, at.Sub(now))
			continue
		}
		due = append(due, b)
		delete(s.asked, b)
	}
	return due, next
}

// scan queues scans of every synced copy of a bucket; for a rule without one it queues a
// count of the primary's objects if count is set.
func (s *scans) scan(bucket string, count bool) {
	if !s.owns(bucket) {
		return
	}
	s.recheck(bucket)
	copies := s.snap().Copies(bucket)
	scanned := make(map[string]bool)
	for _, c := range copies {
		if c.State == catalog.CopySynced && !c.Primary {
			id := ids.CopyIn(bucket, c.Prefix, c.Cluster)
			s.jobs.once(id, jobScan, func(ctx context.Context) error { return s.scanner.Scan(ctx, id) })
			scanned[c.Prefix] = true
		}
	}
	for _, c := range copies {
		if count && c.Primary && !scanned[c.Prefix] {
			id := ids.CopyIn(bucket, c.Prefix, c.Cluster)
			s.jobs.once(id, jobScan, func(ctx context.Context) error { return s.scanner.CountPrimary(ctx, id) })
		}
	}
}

// passes runs the passes over all buckets, until ctx ends. The first waits a moment for the
// listeners, so that nothing changes unnoticed between a bucket's scan and its listener.
func (s *scans) passes(ctx context.Context) {
	s.awaitFeeds(ctx)
	s.mu.Lock()
	clear(s.gaps) // the passes over new parts close them
	s.mu.Unlock()
	s.passGained(ctx)
	interval := s.conf().ScanInterval
	full, silent := s.now().Add(delay.Jitter(interval)), s.now().Add(s.tune.SilentScan)
	for s.awaitPass(ctx, full, silent) {
		if now := s.conf().ScanInterval; now != interval {
			interval, full = now, s.now().Add(delay.Jitter(now))
		}
		began := s.now()
		s.passGained(ctx)
		s.passGaps(ctx)
		switch {
		case began.After(full):
			s.pass(ctx, true, func(string, []catalog.Copy) bool { return true })
			full = s.now().Add(delay.Jitter(interval))
		case began.After(silent):
			s.pass(ctx, false, s.silent())
			silent = s.now().Add(max(s.tune.SilentScan, 20*s.now().Sub(began)))
		}
	}
}

// settingsEvery is how soon a changed scan interval is followed.
const settingsEvery = time.Second

// awaitPass waits until a pass is asked for or due; false at ctx's end.
func (s *scans) awaitPass(ctx context.Context, full, silent time.Time) bool {
	now := s.now()
	t := time.NewTimer(max(min(full.Sub(now), silent.Sub(now), settingsEvery), 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.passed:
	case <-t.C:
	}
	return true
}

func (s *scans) passGained(ctx context.Context) {
	s.mu.Lock()
	gained := s.gained
	s.gained = make(map[int]bool)
	s.mu.Unlock()
	if len(gained) > 0 {
		s.pass(ctx, false, func(b string, _ []catalog.Copy) bool { return gained[peers.ShardOf(b)] })
	}
}

func (s *scans) passGaps(ctx context.Context) {
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

// silent selects the buckets that are written where it can't be listened to, unless the
// operator wants it so.
func (s *scans) silent() func(string, []catalog.Copy) bool {
	mute := make(map[string]bool)
	if !s.conf().NoEventFeed {
		for _, c := range s.sites.Declared() {
			if site := s.sites.Get(c); site != nil && site.Up() {
				mute[c] = !site.Feed.Get().Live
			}
		}
	}
	snap := s.snap()
	return func(bucket string, copies []catalog.Copy) bool {
		anywhere := len(snap.RulesAnywhere(bucket)) > 0
		return slices.ContainsFunc(copies, func(c catalog.Copy) bool { return (c.Primary || anywhere) && mute[c.Cluster] })
	}
}

// passPause is the time between checks whether the queue of scans has room again.
const passPause = 10 * time.Millisecond

// pass queues scans of the selected buckets of this instance, a few at a time, so that
// requested scans don't wait for the whole pass.
func (s *scans) pass(ctx context.Context, count bool, selected func(bucket string, copies []catalog.Copy) bool) {
	snap := s.snap()
	snap.Buckets(func(b string) bool {
		if !s.owns(b) {
			return ctx.Err() == nil
		}
		copies := snap.Copies(b)
		if !selected(b, copies) {
			return true
		}
		if !count && len(copies) < 2 {
			s.recheck(b)
			return true
		}
		s.scan(b, count)
		for s.jobs.waiting(jobScan) > 4*jobsPerKind {
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

func (s *scans) awaitFeeds(ctx context.Context) {
	if s.conf().NoEventFeed {
		return
	}
	for until := s.now().Add(feedPatience); s.now().Before(until); {
		all := true
		for _, c := range s.sites.Declared() {
			if site := s.sites.Get(c); site != nil {
				all = all && site.Feed.Get().Tried()
			}
		}
		if all || !delay.Sleep(ctx, feedEvery) {
			return
		}
	}
}
