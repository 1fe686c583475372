package replication

import (
	"context"
	"time"

	"github.com/fado-project/fado/replication/internal/delay"
)

// Jobs that give their places to others and go on after them.

const (
	// jobTurn is how long a job has its place to itself.
	jobTurn = time.Minute
	// maxResting bounds the jobs that rest: they keep what they know in memory. Those that sleep
	// know little.
	maxResting  = 16
	maxSleeping = 256
)

// inJob is the key of a context under which its job is.
type inJob struct{}

// rest has the walk that a context belongs to give its place to those that wait for it, if it had
// its turn, and wait behind them: a scan, or a first sync, since a bucket with millions of objects
// would else keep the others from being copied at all. It keeps what it knows, and its copy's lock.
// A walk within another job, which waits for it, goes on, as does one that is no job.
func (j *runner) rest(ctx context.Context) error {
	id, ok := ctx.Value(inJob{}).(jobID)
	if !ok || id.kind != jobScan && id.kind != jobSync {
		return ctx.Err()
	}
	j.mu.Lock()
	jb := j.known[id]
	if jb == nil || jb.cancel == nil || j.resting >= maxResting || j.now().Sub(jb.since) < j.turn || !j.inDemand(id) {
		j.mu.Unlock()
		return ctx.Err()
	}
	j.resting++
	j.leave(id)
	waits := j.lineUp(jb)
	j.mu.Unlock()
	err := j.resume(ctx, jb, waits)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.resting--
	return err
}

// sleep has a job that runs wait for a time, in which others may have its place.
func (j *runner) sleep(ctx context.Context, id jobID, d time.Duration) error {
	j.mu.Lock()
	jb := j.known[id]
	if jb == nil || jb.cancel == nil || j.sleeping >= maxSleeping {
		j.mu.Unlock()
		delay.Sleep(ctx, d)
		return ctx.Err()
	}
	j.sleeping++
	j.leave(id)
	j.mu.Unlock()
	j.signal()
	delay.Sleep(ctx, d)
	j.mu.Lock()
	j.sleeping--
	waits := j.lineUp(jb)
	j.mu.Unlock()
	return j.resume(ctx, jb, waits)
}

// lineUp has a job that left its place wait for another. The caller holds mu.
func (j *runner) lineUp(jb *job) (waits *job) {
	j.asked++
	waits = &job{jobID: jb.jobID, asked: j.asked, do: jb.do, place: make(chan struct{})}
	j.queue[jb.kind][jb.Cluster] = append(j.queue[jb.kind][jb.Cluster], waits)
	j.signal()
	return waits
}

// resume waits until a job that lined up has a place again. One that ends instead is counted
// as if it had, since it ends as a job that has one.
func (j *runner) resume(ctx context.Context, jb, waits *job) error {
	select {
	case <-waits.place:
	case <-ctx.Done():
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if waits.since.IsZero() {
		waits.do = nil // dropped when its turn comes
		j.occupy(jb.jobID)
	}
	jb.since = j.now()
	return ctx.Err()
}

// inDemand reports whether a job waits for the place of another. The caller holds mu.
func (j *runner) inDemand(id jobID) bool {
	lines := j.queue[id.kind]
	return len(lines[id.Cluster]) > 0 || j.running[id.kind] >= jobsPerKind && lines.waiting() > 0
}
