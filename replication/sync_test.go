package replication

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/replication/internal/fakestorage"
)

func TestBucketAppearsWherePolicyWants(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.cluster("c3", minioC.Server(t))
	w.makeBucket("c1", "photos")
	for i := range 50 {
		w.put("c1", "photos", fmt.Sprintf("dir%d/%03d.jpg", i%3, i), strings.Repeat("x", i))
	}
	w.policy("two", 2, "c1", "c2")
	w.bucket("photos", "two", "")
	w.awaitOK("photos", "c1", "c2")
	w.awaitSame("photos", "c1", "c2")
	if got := w.contents("c3", "photos"); got != nil {
		t.Fatalf("c3 has %v", got)
	}
	st := w.status("photos")
	for _, c := range st.Copies {
		if c.Objects != 50 || c.VerifiedAt == nil {
			t.Errorf("copy %+v, want 50 objects and a time", c)
		}
	}
	w.feedsLive("c1", "c2")
	w.put("c1", "photos", "new", "live")
	w.awaitSame("photos", "c1", "c2")
	w.put("c1", "photos", "new", "live again")
	w.awaitSame("photos", "c1", "c2")
	w.del("c1", "photos", "new")
	w.awaitSame("photos", "c1", "c2")
	w.awaitOK("photos", "c1", "c2")
}

// First syncs of large buckets give their places to others that wait, and go on where they were:
// as many as there are places for don't keep another bucket from being copied before they end.
func TestLongFirstSyncsLetOthersGoFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{Workers: 16}, func(o *Options) { o.Tune.JobTurn, o.Copy = time.Nanosecond, fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	const objects = 200
	giants := make([]string, jobsPerCluster)
	for i := range giants {
		giants[i] = fmt.Sprint("giant", i)
		for k := range objects {
			c1.User(giants[i], fmt.Sprintf("k%03d", k), "x")
		}
	}
	c1.User("small", "k", "x")
	one, all := make(chan struct{}), make(chan struct{}) // an object of a giant may be copied, but not its last; all may
	var copied atomic.Int64
	c2.SetFault(func(ctx context.Context, op, bucket, key string) error {
		if op != "put" || bucket == "small" {
			return nil
		}
		one := one
		if key == fmt.Sprintf("k%03d", objects-1) {
			one = nil
		}
		select {
		case <-one:
		case <-all:
		case <-ctx.Done():
			return ctx.Err()
		}
		copied.Add(1)
		return nil
	})
	var listed atomic.Bool // the small one: it takes a slot for its object next, or rests before
	c1.SetFault(func(_ context.Context, op, bucket, _ string) error {
		if op == "listed" && bucket == "small" {
			listed.Store(true)
		}
		return nil
	})
	w.policy("two", 2, "c1", "c2")
	for _, b := range giants {
		w.bucket(b, "two", "c1")
	}
	jobs := w.eng.run.Load().jobs
	w.await("the giants are synced", func() bool {
		jobs.mu.Lock()
		defer jobs.mu.Unlock()
		return jobs.running[jobSync] == len(giants)
	})
	w.bucket("small", "two", "c1")
	w.await("the small one waits", func() bool { return jobs.waiting(jobSync) == 1 })
	// The giants go on only while the small one waits for a place or a slot: it may take its time.
	waits := func() bool {
		if listed.Load() {
			return true
		}
		jobs.mu.Lock()
		defer jobs.mu.Unlock()
		return slices.ContainsFunc(jobs.queue[jobSync]["c2"], func(jb *job) bool { return jb.Bucket == "small" })
	}
	go func() {
		for {
			if waits() {
				select {
				case one <- struct{}{}:
				case <-all:
					return
				}
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-all:
				return
			}
		}
	}()
	w.awaitOK("small", "c1", "c2")
	close(all)
	for _, b := range giants {
		w.awaitOK(b, "c1", "c2")
		w.awaitSame(b, "c1", "c2")
	}
	if n := copied.Load(); n != int64(objects*len(giants)) {
		t.Errorf("%d objects were copied", n)
	}
}
