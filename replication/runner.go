package replication

import (
	"context"
	"sync"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/peers"
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

// finders are the jobs as finders of issues, by which people know them.
var finders = [jobKinds]control.Finder{
	jobSync: control.FinderSync, jobScan: control.FinderScan, jobEvict: control.FinderEvict,
	jobMove: control.FinderMove, jobCarry: control.FinderCarry, jobConverge: control.FinderConverge,
}

func (k jobKind) String() string { return string(finders[k]) }

// Jobs of a kind at a time, and how many of them may be about one cluster.
const (
	jobsPerKind    = 6
	jobsPerCluster = 4
)

// runner runs walks in the background, at most one at a time per copy and kind, in the order
// of the requests. Their number is bounded, in all and per cluster. One that takes long gives its
// place to those that wait and goes on after them, see [runner.rest], so that buckets with millions
// of objects do not hold up the others.
type runner struct {
	now   func() time.Time
	turn  time.Duration // that a job has to itself before it gives its place away
	pause *guard.Pause
	owns  func(bucket string) bool
	// lockWalk has a copy to itself: walks of one copy are one at a time.
	lockWalk func(ctx context.Context, id ids.Copy) (unlock func(), err error)
	// ended is called with the outcome of a job, unless it was cancelled.
	ended func(id jobID, err error)
	// cancelled is called for a job that was cancelled and has ended.
	cancelled func(id jobID)
	wake      chan struct{}

	mu      sync.Mutex
	queue   [jobKinds]jobLines
	asked   int64 // jobs asked for, which is their order
	known   map[jobID]*job
	running [jobKinds]int
	about   map[kindIn]int // running, by kind and cluster
	// Jobs that gave their places away.
	resting, sleeping int
	wg                sync.WaitGroup
}

type kindIn struct {
	kind    jobKind
	cluster string
}

// jobLines are the waiting jobs of a kind: a line for each cluster, so that finding the next
// one costs as much as there are clusters, however many jobs wait for a cluster that has all
// it may have.
type jobLines map[string][]*job

func (l jobLines) waiting() (n int) {
	for _, line := range l {
		n += len(line)
	}
	return n
}

// next takes the job out that was asked for first, of the clusters that may have one more.
func (l jobLines) next(mayHave func(cluster string) bool) *job {
	var first []*job
	for cluster, line := range l {
		if !mayHave(cluster) {
			continue
		}
		for len(line) > 0 && line[0].do == nil { // dropped
			line = line[1:]
		}
		if l[cluster] = line; len(line) == 0 {
			delete(l, cluster)
			continue
		}
		if first == nil || line[0].asked < first[0].asked {
			first = line
		}
	}
	if first == nil {
		return nil
	}
	jb := first[0]
	first[0] = nil
	if l[jb.Cluster] = first[1:]; len(first) == 1 {
		delete(l, jb.Cluster)
	}
	return jb
}

type jobID struct {
	ids.Copy
	kind jobKind
}

type job struct {
	jobID
	asked  int64
	do     func(context.Context) error
	cancel context.CancelFunc // nil while it waits
	again  func(context.Context) error
	over   chan struct{} // closes when it ended
	since  time.Time     // when it got its place
	place  chan struct{} // of one that rests: closes when it has a place again
}

func newRunner() *runner {
	j := &runner{now: time.Now, turn: jobTurn, wake: make(chan struct{}, 1), known: make(map[jobID]*job), about: make(map[kindIn]int)}
	for kind := range j.queue {
		j.queue[kind] = make(jobLines)
	}
	return j
}

// ensure queues a job unless it already waits or runs.
func (j *runner) ensure(id ids.Copy, kind jobKind, do func(context.Context) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	key := jobID{id, kind}
	if j.known[key] == nil && j.owns(id.Bucket) {
		j.enqueue(key, do)
	}
}

// once queues a run that begins after now: a job that is running repeats.
func (j *runner) once(id ids.Copy, kind jobKind, do func(context.Context) error) { //nolint:unparam // a job is named by its copy and its kind
	j.mu.Lock()
	defer j.mu.Unlock()
	key := jobID{id, kind}
	switch jb := j.known[key]; {
	case jb != nil && jb.cancel != nil:
		jb.again = do
	case jb == nil && j.owns(id.Bucket):
		j.enqueue(key, do)
	}
}

// enqueue appends a job to the queue. The caller holds mu.
func (j *runner) enqueue(id jobID, do func(context.Context) error) {
	j.asked++
	jb := &job{jobID: id, asked: j.asked, do: do, over: make(chan struct{})}
	j.known[id] = jb
	j.queue[id.kind][id.Cluster] = append(j.queue[id.kind][id.Cluster], jb)
	j.signal()
}

// cancel ends a job soon, or takes it out of the queue.
func (j *runner) cancel(id ids.Copy, kind jobKind) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cancelOne(jobID{id, kind})
}

// cancelOne cancels a job. The caller holds mu.
func (j *runner) cancelOne(id jobID) {
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
func (j *runner) cancelShard(shard int) {
	var running []*job
	j.mu.Lock()
	for key, jb := range j.known {
		if peers.ShardOf(key.Bucket) != shard {
			continue
		}
		if jb.cancel != nil {
			running = append(running, jb)
		}
		j.cancelOne(key)
	}
	j.mu.Unlock()
	for _, jb := range running {
		<-jb.over
	}
}

// moving reports whether a job that moves a bucket's primary waits or runs.
func (j *runner) moving(bucket string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := range j.known {
		if id.kind == jobMove && id.Bucket == bucket {
			return true
		}
	}
	return false
}

func (j *runner) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// waiting returns how many jobs of a kind wait.
func (j *runner) waiting(kind jobKind) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.queue[kind].waiting()
}

// loop starts jobs until ctx ends, then waits for those that run.
func (j *runner) loop(ctx context.Context) {
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

// reset forgets what waits.
func (j *runner) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, lines := range j.queue {
		clear(lines)
	}
	clear(j.known)
}

// startSome starts waiting jobs of a kind. The caller holds mu.
func (j *runner) startSome(ctx context.Context, kind jobKind) {
	for j.running[kind] < jobsPerKind {
		jb := j.queue[kind].next(func(cluster string) bool { return j.about[kindIn{kind, cluster}] < jobsPerCluster })
		if jb == nil {
			return
		}
		j.start(ctx, jb)
	}
}

// occupy counts a job in, leave out. The caller holds mu.
func (j *runner) occupy(id jobID) {
	j.running[id.kind]++
	j.about[kindIn{id.kind, id.Cluster}]++
}

func (j *runner) leave(id jobID) {
	j.running[id.kind]--
	at := kindIn{id.kind, id.Cluster}
	if j.about[at]--; j.about[at] == 0 {
		delete(j.about, at)
	}
}

// start runs a job, or has one that rests go on. The caller holds mu.
func (j *runner) start(ctx context.Context, jb *job) {
	j.occupy(jb.jobID)
	jb.since = j.now()
	if jb.place != nil {
		close(jb.place)
		return
	}
	ctx, jb.cancel = context.WithCancel(context.WithValue(ctx, inJob{}, jb.jobID))
	j.wg.Go(func() {
		err := j.perform(ctx, jb)
		cancelled := ctx.Err() != nil
		jb.cancel()
		j.finish(jb)
		if cancelled {
			j.cancelled(jb.jobID)
		} else {
			j.ended(jb.jobID, err)
		}
	})
}

// perform runs a job under the copy's lock.
func (j *runner) perform(ctx context.Context, jb *job) error {
	if err := j.pause.Wait(ctx); err != nil {
		return err
	}
	if jb.kind == jobMove || jb.kind == jobCarry || jb.kind == jobConverge {
		return jb.do(ctx) // about the bucket: they lock the copies they walk
	}
	unlock, err := j.lockWalk(ctx, jb.Copy)
	if err != nil {
		return err
	}
	defer unlock()
	return jb.do(ctx)
}

// finish removes a job that ended, or queues it again.
func (j *runner) finish(jb *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leave(jb.jobID)
	delete(j.known, jb.jobID)
	close(jb.over)
	if jb.again != nil {
		j.enqueue(jb.jobID, jb.again)
	}
	j.signal()
}

// sourceOf names a job as the source of a bucket's issues.
func sourceOf(id jobID) control.Source {
	return control.Source{Finder: finders[id.kind], Cluster: id.Cluster, Prefix: id.Prefix}
}
