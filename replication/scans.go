package replication

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/memory"
	"github.com/fado-project/fado/replication/internal/peers"
	"github.com/fado-project/fado/replication/internal/walk"
)

// scans is the scan scheduler: it makes those that are asked for, each when its time comes. What
// asks for many at a time is [passes].
type scans struct {
	core
	jobs    *runner
	scanner *walk.Scanner
	owns    func(bucket string) bool
	// ask asks the instance that looks after a bucket.
	ask func(ctx context.Context, r peers.Request) error
	// recheck schedules a comparison of a bucket's objects on demand.
	recheck func(bucket string)
	ctx     context.Context // of the run
	wake    chan struct{}

	// last is when a bucket was last asked for by FaDO itself. Forgetting costs a scan.
	last *memory.Memory[string, time.Time]

	mu    sync.Mutex
	asked map[string]time.Time       // buckets to scan, from when on
	owed  map[string]map[string]bool // buckets to be counted when their primary's cluster is up again
}

const (
	// soonGap is the least time between scans of one bucket that FaDO asks itself for.
	soonGap = 5 * time.Second
	// lastMax bounds the buckets whose last scan is remembered.
	lastMax = 10_000
)

func newScans(c core, ctx context.Context, j *runner) *scans {
	return &scans{
		core: c, ctx: ctx, jobs: j, wake: make(chan struct{}, 1),
		last:  memory.New[string, time.Time](lastMax, 0, c.now),
		asked: make(map[string]time.Time), owed: make(map[string]map[string]bool),
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

// countOwed asks for a scan of a bucket when a cluster is up again.
func (s *scans) countOwed(bucket, cluster string) {
	s.mu.Lock()
	if s.owed[cluster] == nil {
		s.owed[cluster] = make(map[string]bool)
	}
	s.owed[cluster][bucket] = true
	s.mu.Unlock()
	if s.sites.Up(cluster) { // since the job found it down
		s.askOwed(cluster)
	}
}

// askOwed asks for what is owed to a cluster.
func (s *scans) askOwed(cluster string) {
	s.mu.Lock()
	for b := range s.owed[cluster] {
		if _, ok := s.asked[b]; !ok {
			s.asked[b] = s.now()
		}
	}
	delete(s.owed, cluster)
	s.mu.Unlock()
	signal(s.wake)
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
	copies := s.snap().Of(bucket).Copies()
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
