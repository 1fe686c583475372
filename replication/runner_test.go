package replication

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/peers"
)

// bench runs jobs that wait for a word, and notes what becomes of them.
type bench struct {
	*runner
	mu      sync.Mutex
	over    []string // "ended bkt", "cancelled bkt", in order
	begun   map[string]int
	running map[string]chan error
}

// jobsRun runs a test over running jobs, with a clock of its own.
func jobsRun(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{runner: newRunner(), begun: make(map[string]int), running: make(map[string]chan error)}
		b.pause, b.owns = guard.NewPause(), func(bucket string) bool { return bucket != "theirs" }
		b.lockWalk = func(context.Context, ids.Copy) (func(), error) { return func() {}, nil }
		b.ended = func(id jobID, err error) { b.note(fmt.Sprint("ended ", id.Bucket, " ", err)) }
		b.runner.cancelled = func(id jobID) { b.note("cancelled " + id.Bucket) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.loop(ctx) }()
		f(t, b)
		cancel()
		<-done
	})
}

func (b *bench) note(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = append(b.over, what)
}

// work is a job about a bucket: it ends with what is sent, or with its context.
func (b *bench) work(bucket string) func(context.Context) error {
	word := make(chan error)
	return func(ctx context.Context) error {
		b.mu.Lock()
		b.begun[bucket]++
		b.running[bucket] = word
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.running, bucket)
		}()
		select {
		case err := <-word:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// end ends the running job about a bucket, and returns when what follows has happened.
func (b *bench) end(bucket string, err error) {
	synctest.Wait()
	b.mu.Lock()
	word := b.running[bucket]
	b.mu.Unlock()
	word <- err
	synctest.Wait()
}

// state returns how many jobs run, how often the one about a bucket began, and what ended.
func (b *bench) state(bucket string) (running, begun int, over []string) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.running), b.begun[bucket], slices.Clone(b.over)
}

// A job that is ensured runs once at a time, and only where the bucket is looked after.
func TestJobsEnsure(t *testing.T) {
	t.Parallel()
	jobsRun(t, func(t *testing.T, b *bench) {
		id := ids.CopyIn("bkt", "", "c1")
		for range 3 {
			b.ensure(id, jobSync, b.work("bkt"))
		}
		b.ensure(ids.CopyIn("theirs", "", "c1"), jobSync, b.work("theirs"))
		if n, begun, _ := b.state("bkt"); n != 1 || begun != 1 {
			t.Fatalf("%d run, begun %d times", n, begun)
		}
		b.end("bkt", errors.New("why"))
		if n, begun, over := b.state("bkt"); n != 0 || begun != 1 || !slices.Equal(over, []string{"ended bkt why"}) {
			t.Errorf("%d run, begun %d times, %q", n, begun, over)
		}
		b.ensure(id, jobSync, b.work("bkt"))
		if _, begun, _ := b.state("bkt"); begun != 2 {
			t.Errorf("after it ended it began %d times", begun)
		}
		if b.moving("bkt") {
			t.Error("a walk counts as a move")
		}
		b.ensure(id, jobMove, b.work("bkt"))
		if !b.moving("bkt") || b.moving("other") {
			t.Error("a move is not known")
		}
	})
}

// A job asked for once more while it runs begins again after it, once; one that waits has
// not begun, and is what is asked for.
func TestJobsOnce(t *testing.T) {
	t.Parallel()
	jobsRun(t, func(t *testing.T, b *bench) {
		id := ids.CopyIn("bkt", "", "c1")
		for range 3 {
			b.once(id, jobScan, b.work("bkt"))
			synctest.Wait()
		}
		b.end("bkt", nil)
		if n, begun, over := b.state("bkt"); n != 1 || begun != 2 || len(over) != 1 {
			t.Fatalf("%d run, begun %d times, %q", n, begun, over)
		}
		b.end("bkt", nil)
		if n, begun, over := b.state("bkt"); n != 0 || begun != 2 || len(over) != 2 {
			t.Errorf("%d run, begun %d times, %q", n, begun, over)
		}
	})
}

// Cancelling ends a job that runs, has one that waits dropped, and takes back that it is to
// run again.
func TestJobsCancel(t *testing.T) {
	t.Parallel()
	jobsRun(t, func(t *testing.T, b *bench) {
		id := ids.CopyIn("bkt", "", "c1")
		b.once(id, jobScan, b.work("bkt"))
		synctest.Wait()
		b.once(id, jobScan, b.work("bkt"))
		b.cancel(id, jobScan)
		b.cancel(id, jobSync) // of another kind: there is none
		if n, begun, over := b.state("bkt"); n != 0 || begun != 1 || !slices.Equal(over, []string{"cancelled bkt"}) {
			t.Errorf("%d run, begun %d times, %q", n, begun, over)
		}
		for i := range jobsPerCluster {
			b.once(ids.CopyIn(fmt.Sprint("other", i), "", "c1"), jobScan, b.work(fmt.Sprint("other", i)))
		}
		b.once(id, jobScan, b.work("bkt"))
		synctest.Wait()
		if b.waiting(jobScan) != 1 {
			t.Fatal("the cluster's last place is not taken")
		}
		b.cancel(id, jobScan)
		b.end("other0", nil)
		if n, begun, _ := b.state("bkt"); n != jobsPerCluster-1 || begun != 1 {
			t.Errorf("%d run, the one that was cancelled began %d times", n, begun)
		}
	})
}

// No more jobs run than there is room for, about one cluster and in all; the first that may
// run does.
func TestJobsAreBounded(t *testing.T) {
	t.Parallel()
	jobsRun(t, func(t *testing.T, b *bench) {
		start := func(name, cluster string) { b.ensure(ids.CopyIn(name, "", cluster), jobSync, b.work(name)) }
		for i := range jobsPerCluster + 2 {
			start(fmt.Sprint("a", i), "c1")
		}
		for i := range jobsPerKind {
			start(fmt.Sprint("b", i), "c2")
		}
		if n, _, _ := b.state(""); n != jobsPerKind {
			t.Fatalf("%d run", n)
		}
		if _, begun, _ := b.state("b0"); begun != 1 {
			t.Error("one cluster's jobs keep another's waiting")
		}
		b.end("a0", nil)
		if _, begun, _ := b.state("a4"); begun != 1 {
			t.Error("the first that waits did not begin")
		}
		b.ensure(ids.CopyIn("c", "", "c1"), jobEvict, b.work("c"))
		if _, begun, _ := b.state("c"); begun != 1 {
			t.Error("jobs of another kind wait, too")
		}
	})
}

// When a part of the work is lost, the jobs about its buckets have ended, and no others.
func TestJobsCancelShard(t *testing.T) {
	t.Parallel()
	jobsRun(t, func(t *testing.T, b *bench) {
		shard, other := peers.ShardOf("bkt"), ""
		for i := 0; other == ""; i++ {
			if name := fmt.Sprint("other", i); peers.ShardOf(name) != shard {
				other = name
			}
		}
		b.ensure(ids.CopyIn("bkt", "", "c1"), jobSync, b.work("bkt"))
		b.ensure(ids.CopyIn(other, "", "c1"), jobSync, b.work(other))
		synctest.Wait()
		b.cancelShard(shard)
		b.mu.Lock()
		_, runs := b.running["bkt"]
		b.mu.Unlock()
		if runs { // without a wait: it has ended when cancelShard returns
			t.Error("a job about a bucket of the part runs on")
		}
		if n, _, over := b.state(other); n != 1 || !slices.Equal(over, []string{"cancelled bkt"}) {
			t.Errorf("%d run, %q", n, over)
		}
	})
}

// A pause keeps jobs from beginning, not those that run from going on.
func TestJobsPause(t *testing.T) {
	t.Parallel()
	jobsRun(t, func(t *testing.T, b *bench) {
		b.ensure(ids.CopyIn("runs", "", "c1"), jobSync, b.work("runs"))
		synctest.Wait()
		b.pause.Set(true)
		b.ensure(ids.CopyIn("waits", "", "c1"), jobSync, b.work("waits"))
		if n, begun, _ := b.state("waits"); n != 1 || begun != 0 {
			t.Errorf("%d run, the paused one began %d times", n, begun)
		}
		b.pause.Set(false)
		if n, _, _ := b.state("waits"); n != 2 {
			t.Errorf("after the pause %d run", n)
		}
	})
}

// Jobs begin in the order they were asked for, and those of a cluster that has all it may have
// cost nothing: what is looked at for each that ends does not grow with those that wait.
func TestJobsWaitInLines(t *testing.T) {
	t.Parallel()
	lines := make(jobLines)
	const n = 100_000
	for i := range n {
		cluster := "full"
		if i%1000 == 0 {
			cluster = fmt.Sprintf("c%d", i%7)
		}
		jb := &job{jobID: jobID{Copy: ids.CopyIn("b", "", cluster)}, asked: int64(i), do: func(context.Context) error { return nil }}
		if i == 3000 {
			jb.do = nil // it was dropped
		}
		lines[cluster] = append(lines[cluster], jb)
	}
	looks, last, got := 0, int64(-1), 0
	for {
		jb := lines.next(func(cluster string) bool { looks++; return cluster != "full" })
		if jb == nil {
			break
		}
		if jb.asked <= last || jb.asked == 3000 {
			t.Fatalf("job %d came after %d", jb.asked, last)
		}
		last = jb.asked
		got++
	}
	if got != n/1000-1 || looks > 9*(got+1) {
		t.Errorf("%d jobs began, with %d looks", got, looks)
	}
	if w := lines.waiting(); w != n-n/1000 {
		t.Errorf("%d wait", w)
	}
}

// Jobs that take long give their places to those that wait, go on after them, and end with
// their context while they wait.
func TestLongJobsLetOthersGoFirst(t *testing.T) {
	t.Parallel()
	for _, kind := range []jobKind{jobScan, jobSync} {
		t.Run(kind.String(), func(t *testing.T) { longJobsRest(t, kind) })
	}
}

func longJobsRest(t *testing.T, kind jobKind) {
	t.Helper()
	jobsRun(t, func(t *testing.T, b *bench) {
		steps := make(map[string]int)
		giant := func(id ids.Copy) func(context.Context) error {
			return func(ctx context.Context) error {
				for {
					time.Sleep(time.Second)
					b.mu.Lock()
					steps[id.Bucket]++
					b.mu.Unlock()
					if err := b.rest(ctx); err != nil {
						return err
					}
				}
			}
		}
		for i := range jobsPerCluster {
			id := ids.CopyIn(fmt.Sprint("giant", i), "", "c1")
			b.ensure(id, kind, giant(id))
		}
		b.ensure(ids.CopyIn("small", "", "c1"), kind, b.work("small"))
		time.Sleep(jobTurn / 2)
		if _, begun, _ := b.state("small"); begun != 0 {
			t.Fatal("a job lost its place before it had its turn")
		}
		time.Sleep(jobTurn)
		if _, begun, _ := b.state("small"); begun != 1 {
			t.Fatal("four long jobs keep the fifth from beginning")
		}
		if n := b.waiting(kind); n != 1 {
			t.Errorf("%d wait, expected the one that rests", n)
		}
		b.end("small", nil)
		before := maps.Clone(steps)
		time.Sleep(10 * time.Second)
		b.mu.Lock()
		for bucket, n := range steps {
			if n == before[bucket] {
				t.Errorf("%s does not go on", bucket)
			}
		}
		b.mu.Unlock()
		b.ensure(ids.CopyIn("small", "", "c1"), kind, b.work("small"))
		time.Sleep(2 * jobTurn)
		for i := range jobsPerCluster { // one of them rests
			b.cancel(ids.CopyIn(fmt.Sprint("giant", i), "", "c1"), kind)
		}
		time.Sleep(10 * time.Second)
		if _, _, over := b.state("small"); len(over) != 1+jobsPerCluster {
			t.Errorf("ended: %q", over)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.runner.mu.Lock()
		defer b.runner.mu.Unlock()
		if b.runner.running[kind] != 1 || b.resting != 0 {
			t.Errorf("%d run and %d rest, expected the small one alone", b.runner.running[kind], b.resting)
		}
	})
}

// What walks within another job, or is none, keeps its place: there is none to give away.
func TestOnlyWalksRest(t *testing.T) {
	t.Parallel()
	jobsRun(t, func(t *testing.T, b *bench) {
		if err := b.rest(t.Context()); err != nil {
			t.Error(err)
		}
		for i := range jobsPerCluster {
			b.ensure(ids.CopyIn(fmt.Sprint("b", i), "", "c1"), jobMove, func(ctx context.Context) error {
				time.Sleep(2 * jobTurn)
				return b.rest(ctx)
			})
		}
		b.ensure(ids.CopyIn("waits", "", "c1"), jobMove, b.work("waits"))
		time.Sleep(jobTurn)
		for i := range jobsPerCluster { // walks of the same copies that wait for their locks
			b.ensure(ids.CopyIn(fmt.Sprint("b", i), "", "c1"), jobScan, b.work(fmt.Sprint("b", i)))
		}
		b.ensure(ids.CopyIn("waits", "", "c1"), jobScan, b.work("waits"))
		time.Sleep(2 * jobTurn)
		if _, _, over := b.state("waits"); len(over) != jobsPerCluster {
			t.Errorf("ended: %q", over)
		}
	})
}

// Jobs that sleep leave their places to others, so that as many are under way as there are, and
// not as many as there are places.
func TestSleepingJobsHaveNoPlace(t *testing.T) {
	t.Parallel()
	jobsRun(t, func(t *testing.T, b *bench) {
		var begun atomic.Int64
		for i := range 10 * jobsPerCluster {
			id := ids.CopyIn(fmt.Sprint("b", i), "", "c1")
			b.ensure(id, jobCarry, func(ctx context.Context) error {
				begun.Add(1)
				return b.sleep(ctx, jobID{id, jobCarry}, time.Minute)
			})
		}
		synctest.Wait()
		if n := begun.Load(); n != 10*jobsPerCluster {
			t.Errorf("%d are under way", n)
		}
		b.cancel(ids.CopyIn("b0", "", "c1"), jobCarry)
		time.Sleep(2 * time.Minute)
		if _, _, over := b.state(""); len(over) != 10*jobsPerCluster {
			t.Errorf("%d ended", len(over))
		}
		b.runner.mu.Lock()
		defer b.runner.mu.Unlock()
		if b.runner.running[jobCarry] != 0 || b.sleeping != 0 || b.runner.queue[jobCarry].waiting() != 0 {
			t.Errorf("%d run, %d sleep", b.runner.running[jobCarry], b.sleeping)
		}
	})
}
