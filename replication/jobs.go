package replication

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/storage"
)

// jobKind is what a job does to a copy or a bucket.
type jobKind uint8

const (
	jobSync     jobKind = iota // first walk of a copy
	jobScan                    // rescan of a synced copy, or a count of the primary
	jobEvict                   // drain and removal of a copy
	jobMove                    // verification before, and switch of, the primary
	jobCarry                   // what was last written at a former primary
	jobConverge                // what was written anywhere, before the primary alone is written
	jobKinds
)

var jobNames = [jobKinds]string{"sync", "scan", "evict", "move", "carry over", "convergence"}

// Jobs of a kind at a time, and how many of them may be about one cluster.
const (
	jobsPerKind    = 6
	jobsPerCluster = 4
)

// jobs run walks in the background: each at most once at a time per copy and kind, a
// bounded number in all, in the order asked for, so that no bucket waits for another
// one's millions of objects longer than for a few.
type jobs struct {
	*run
	wake chan struct{}

	mu      sync.Mutex
	queue   [jobKinds][]*job
	known   map[jobID]*job
	running [jobKinds]int
	about   map[string]int // running, by kind and cluster
	wg      sync.WaitGroup
}

type jobID struct {
	copyID
	kind jobKind
}

type job struct {
	jobID
	do     func(context.Context) error
	cancel context.CancelFunc // nil while it waits
	again  func(context.Context) error
	over   chan struct{} // closes when it ended
}

func newJobs(r *run) *jobs {
	return &jobs{run: r, wake: make(chan struct{}, 1), known: make(map[jobID]*job), about: make(map[string]int)}
}

// ensure has a job run, unless it waits or runs already.
func (j *jobs) ensure(id copyID, kind jobKind, do func(context.Context) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := jobID{id, kind}
	if j.known[key] != nil || !j.shards.owns(id.bucket) {
		return
	}
	jb := &job{jobID: key, do: do, over: make(chan struct{})}
	j.known[key] = jb
	j.queue[kind] = append(j.queue[kind], jb)
	j.signal()
}

// once has a job run that begins after now: one that is running already runs again.
func (j *jobs) once(id copyID, kind jobKind, do func(context.Context) error) {
	j.mu.Lock()
	if jb := j.known[jobID{id, kind}]; jb != nil && jb.cancel != nil {
		jb.again = do
		j.mu.Unlock()
		return
	}
	j.mu.Unlock()
	j.ensure(id, kind, do)
}

// cancel ends a job soon, or takes it out of the queue.
func (j *jobs) cancel(id copyID, kind jobKind) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cancelOne(jobID{id, kind})
}

// cancelOne cancels a job. The caller holds mu.
func (j *jobs) cancelOne(id jobID) {
	jb := j.known[id]
	switch {
	case jb == nil:
	case jb.cancel != nil:
		jb.again = nil
		jb.cancel()
	default:
		jb.do = nil // dropped when its turn comes
		delete(j.known, jb.jobID)
	}
}

// cancelShard ends all jobs about the buckets of a part of the work, and waits for it.
func (j *jobs) cancelShard(shard int) {
	var running []*job
	j.mu.Lock()
	for _, jb := range j.known {
		if shardOf(jb.bucket) == shard && jb.cancel != nil {
			running = append(running, jb)
		}
	}
	for key := range j.known {
		if shardOf(key.bucket) == shard {
			j.cancelOne(key)
		}
	}
	j.mu.Unlock()
	for _, jb := range running {
		<-jb.over
	}
}

func (j *jobs) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// waiting returns how many jobs of a kind wait.
func (j *jobs) waiting(kind jobKind) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.queue[kind])
}

// loop starts jobs until ctx ends, then waits for those that run.
func (j *jobs) loop(ctx context.Context) {
	defer j.reset()
	defer j.wg.Wait()
	for {
		j.mu.Lock()
		for kind := range jobKinds {
			j.startSome(ctx, kind)
		}
		j.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-j.wake:
		}
	}
}

// reset forgets what waits, for the next time this instance has the lead.
func (j *jobs) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = [jobKinds][]*job{}
	clear(j.known)
}

// startSome starts waiting jobs of a kind. The caller holds mu.
func (j *jobs) startSome(ctx context.Context, kind jobKind) {
	q := j.queue[kind]
	rest := q[:0]
	for i, jb := range q {
		if jb.do == nil {
			continue
		}
		if j.running[kind] >= jobsPerKind {
			rest = append(rest, q[i:]...)
			break
		}
		if j.about[jobNames[kind]+jb.cluster] >= jobsPerCluster {
			rest = append(rest, jb)
			continue
		}
		j.start(ctx, jb)
	}
	clear(q[len(rest):])
	j.queue[kind] = rest
}

func (j *jobs) start(ctx context.Context, jb *job) {
	ctx, jb.cancel = context.WithCancel(ctx)
	j.running[jb.kind]++
	j.about[jobNames[jb.kind]+jb.cluster]++
	j.wg.Add(1)
	go func() {
		defer j.wg.Done()
		err := j.perform(ctx, jb)
		cancelled := ctx.Err() != nil
		jb.cancel()
		j.ended(jb)
		if !cancelled {
			j.outcome(jb, err)
		} else {
			j.planner.touch(jb.bucket)
		}
	}()
}

// perform does a job with the copy to itself.
func (j *jobs) perform(ctx context.Context, jb *job) error {
	if err := j.pause.wait(ctx); err != nil {
		return err
	}
	if jb.kind == jobMove || jb.kind == jobCarry || jb.kind == jobConverge {
		return jb.do(ctx) // about the bucket: they lock the copies they walk
	}
	unlock, err := j.walks.lock(ctx, jb.copyID)
	if err != nil {
		return err
	}
	defer unlock()
	return jb.do(ctx)
}

func (j *jobs) ended(jb *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.running[jb.kind]--
	name := jobNames[jb.kind] + jb.cluster
	if j.about[name]--; j.about[name] == 0 {
		delete(j.about, name)
	}
	delete(j.known, jb.jobID)
	close(jb.over)
	if jb.again != nil {
		next := &job{jobID: jb.jobID, do: jb.again, over: make(chan struct{})}
		j.known[next.jobID] = next
		j.queue[next.kind] = append(j.queue[next.kind], next)
	}
	j.signal()
}

// sourceOf names a job as the source of a bucket's issues.
func sourceOf(kind jobKind, cluster, prefix string) string {
	return jobNames[kind] + " " + cluster + " " + prefix
}

// outlived says whether the source of an issue is a job of a kind that none of a bucket's
// copies asks for any more: what kept such a job from its end is over.
func outlived(source string, copies []catalog.Copy) bool {
	kind, _, _ := strings.Cut(source, " ")
	if kind != jobNames[jobSync] && kind != jobNames[jobScan] && kind != jobNames[jobEvict] {
		return false
	}
	return !slices.ContainsFunc(copies, func(c catalog.Copy) bool { return source == sourceOf(jobFor(c), c.Cluster, c.Prefix) })
}

// jobFor is the job that a copy in its state asks for.
func jobFor(c catalog.Copy) jobKind {
	switch c.State {
	case catalog.CopyDraining, catalog.CopyRemoving:
		return jobEvict
	case catalog.CopySynced:
		return jobScan
	default:
		return jobSync
	}
}

// outcome says what comes after a job: the planner looks at the bucket again, at once or
// when trying again makes sense.
func (j *jobs) outcome(jb *job, err error) {
	source := sourceOf(jb.kind, jb.cluster, jb.prefix)
	switch {
	case err == nil:
		j.ctl.SetIssue(jb.bucket, source, "")
		j.planner.recovered(jb.jobID)
		j.planner.touch(jb.bucket)
	case errors.Is(err, errStateChanged), errors.Is(err, errMoving), errors.Is(err, errNotYet):
		j.planner.later(jb.bucket, 300*time.Millisecond)
	case errors.Is(err, control.ErrNotFound):
		j.planner.touch(jb.bucket)
	case errors.Is(err, storage.ErrFull):
		j.ctl.SetIssue(jb.bucket, source, jb.cluster+" is full")
		j.planner.later(jb.bucket, jitter(j.tune.FullProbe))
	case errors.Is(err, errDown):
		// The storage's return wakes the planner; this is for the case that it was back
		// before the job ended.
		j.planner.later(jb.bucket, 5*time.Second)
	default:
		j.failed(jb, source, err)
	}
}

func (j *jobs) failed(jb *job, source string, err error) {
	reason := jobNames[jb.kind] + " of the copy in " + jb.cluster + ": " + err.Error()
	if !errors.Is(err, errNoSource) { // that has its own issue
		j.ctl.SetIssue(jb.bucket, source, reason)
	}
	n := j.planner.setback(jb.jobID)
	j.log.Warn("a walk could not go on", zap.String("what", jobNames[jb.kind]), zap.String("bucket", jb.bucket),
		zap.String("prefix", jb.prefix), zap.String("cluster", jb.cluster), zap.Int("attempts", n), zap.Error(err))
	j.planner.later(jb.bucket, j.backoff(n, err)) // before the state changes: it says when to try again
	if jb.kind == jobSync && (n >= 3 || !errors.Is(err, storage.ErrUnavailable)) {
		j.failCopy(j.ctx, jb.copyID, err)
	}
	if jb.kind == jobScan {
		j.sweeper.again(jb.bucket, j.backoff(n, err))
	}
	j.metrics.Failed(jb.cluster, kindOf(err))
}

// errNotYet says that a job has to wait for something that will come.
var errNotYet = errors.New("not yet")
