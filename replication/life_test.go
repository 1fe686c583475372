package replication

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/delay"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/storage"
)

// threeMinIOs declares c1, c2 and c3 over real storages.
func (w *world) threeMinIOs() {
	w.Helper()
	w.cluster("c1", minioA.Server(w))
	w.cluster("c2", minioB.Server(w))
	w.cluster("c3", minioC.Server(w))
}

func (w *world) fill(cluster, bucket string, n int) {
	w.Helper()
	for i := range n {
		w.put(cluster, bucket, fmt.Sprintf("k%04d", i), fmt.Sprint(i))
	}
}

// writer keeps writing, overwriting and deleting at a cluster until stopped, and says
// what should be there in the end.
type writer struct {
	stop  func() map[string]string
	wrote *atomic.Int64 // attempts
}

// some waits for that many more writes.
func (w *world) some(live writer, n int64) {
	w.Helper()
	until := live.wrote.Load() + n
	w.await("writes", func() bool { return live.wrote.Load() >= until })
}

func (w *world) writes(bucket string, cluster func() string) writer {
	ctx, cancel := context.WithCancel(context.Background())
	want := make(map[string]string)
	var wg sync.WaitGroup
	var wrote atomic.Int64
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			key, body := fmt.Sprintf("live%02d", i%20), fmt.Sprint("v", i)
			if w.tryPut(cluster(), bucket, key, body) == nil {
				want[key] = body
			}
			wrote.Add(1)
			delay.Sleep(ctx, 5*time.Millisecond)
		}
	})
	return writer{wrote: &wrote, stop: func() map[string]string { cancel(); wg.Wait(); return want }}
}

// A copy that is not wanted any more leaves when those that are have been verified, its
// objects and bucket are removed, and nothing is lost of what is written meanwhile.
func TestPolicyChangeMovesCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.threeMinIOs()
	w.makeBucket("c1", "bkt")
	w.fill("c1", "bkt", 100)
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1")
	live := w.writes("bkt", func() string { return "c1" })
	var early atomic.Bool
	sub := w.ctl.Events().Subscribe(10_000)
	w.policy("p", 2, "c1", "c3")
	w.await("c2 is gone", func() bool {
		_, there := w.copyRow("bkt", "", "c2")
		return !there
	})
	want := live.stop()
	sub.Close()
	synced := false
	for len(sub.C) > 0 {
		ev := <-sub.C
		if ev.Type != control.EventCopy {
			continue
		}
		synced = synced || ev.Cluster == "c3" && ev.State == "synced"
		if ev.Cluster == "c2" && ev.State == "draining" && !synced {
			early.Store(true)
		}
	}
	if early.Load() {
		t.Error("c2 left before c3 was synced")
	}
	w.awaitOK("bkt", "c1", "c3")
	w.awaitSame("bkt", "c1", "c3")
	for k, v := range want {
		if got, _ := w.get("c3", "bkt", k); got != v {
			t.Errorf("c3 has %s = %q, want %q", k, got, v)
		}
	}
	if got := w.contents("c2", "bkt"); got != nil {
		t.Errorf("c2 still has the bucket FaDO made there: %v", got)
	}
}

// A copy that leaves waits for the requests in flight, though not longer than their time.
func TestDrainBeforeEvict(t *testing.T) {
	t.Parallel()
	for _, ends := range []bool{true, false} {
		t.Run(fmt.Sprint("request ends ", ends), func(t *testing.T) {
			const theirTime = time.Hour
			w := newWorld(t, Settings{DrainTimeout: theirTime}, func(o *Options) { o.Copy = fakestorage.Copy; movable(o) })
			c1, c2 := w.fake("c1"), w.fake("c2")
			for i := range 5 {
				c1.User("bkt", fmt.Sprint(i), "x")
			}
			w.policy("p", 2, "c1", "c2")
			w.bucket("bkt", "p", "c1")
			w.awaitOK("bkt", "c1", "c2")
			flights := w.ctl.Router().Flights
			flights.Begin("bkt", "c2")
			w.policy("p", 1, "c1")
			w.await("c2 left routing", func() bool {
				row, ok := w.copyRow("bkt", "", "c2")
				return ok && row.State == catalog.CopyDraining
			})
			var over atomic.Bool
			c2.SetFault(func(_ context.Context, op, bucket, key string) error {
				if op == "delete" && bucket == "bkt" && !over.Load() {
					t.Errorf("%s was removed while a request is in flight", key)
				}
				return nil
			})
			w.later(theirTime / 2)
			w.policy("both", 2, "c1", "c2") // other work goes on meanwhile
			w.bucket("other", "both", "c1")
			w.awaitOK("other", "c1", "c2")
			over.Store(true)
			if ends {
				flights.End("bkt", "c2")
			} else {
				w.later(theirTime)
			}
			w.await("c2 is gone", func() bool { _, ok := w.copyRow("bkt", "", "c2"); return !ok })
			if c2.Contents("bkt") != nil {
				t.Error("the bucket stayed")
			}
		})
	}
}

// Moving the primary loses nothing of what clients write on either side meanwhile: what is written last is at
// the new primary, and what was written at the former one too late to be brought along before its key was
// written at the new one is a conflict, which the former one keeps.
func TestPrimaryMovesUnderWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.threeMinIOs()
	w.makeBucket("c1", "bkt")
	w.fill("c1", "bkt", 60)
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.await("two copies", func() bool { return w.status("bkt").State == control.BucketOK })
	w.feedsLive("c1", "c2", "c3")
	// Clients follow the primary as they learn of it: those in between still write at c1.
	writes, lastAtC1 := 0, ""
	live := w.writes("bkt", func() string {
		at := w.ctl.Router().Snapshot().Of("bkt").Primary()
		if at == "c1" {
			lastAtC1 = fmt.Sprint("v", writes)
		}
		writes++
		return at
	})
	w.some(live, 30)
	w.apply(&catalog.Policy{Name: "p2", Copies: catalog.Copies{N: 2}, Clusters: []string{"c2", "c3"}})
	w.bucket("bkt", "p2", "c2")
	w.await("the primary moved", func() bool { return w.status("bkt").Primary == "c2" })
	w.some(live, 30)
	want := live.stop()
	w.awaitOK("bkt", "c2", "c3")
	w.awaitSame("bkt", "c2", "c3")
	for k, v := range want {
		if got, _ := w.get("c2", "bkt", k); got != v {
			t.Errorf("c2 has %s = %q, want %q", k, got, v)
		}
	}
	for i := range 60 {
		if _, ok := w.get("c3", "bkt", fmt.Sprintf("k%04d", i)); !ok {
			t.Errorf("k%04d is lost", i)
		}
	}
	for k := range w.contents("c1", "bkt") {
		switch body, _ := w.get("c1", "bkt", k); {
		case !strings.HasPrefix(k, "live"):
			t.Errorf("c1 still has %s", k)
		case body == lastAtC1: // the client's one write in flight may arrive when c1 has left
		case !w.calls.wasConflict("bkt", k, "c1"):
			t.Errorf("c1 still has %s = %q, and nobody was told; c2 has %q", k, body, want[k])
		}
	}
}

// A cluster that drains is emptied, the primary included.
func TestDrainCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.threeMinIOs()
	w.policy("p", 2, "c1", "c2", "c3")
	w.bucket("bkt", "p", "")
	w.await("placed", func() bool { return w.status("bkt").State == control.BucketOK })
	first := w.status("bkt").Primary
	w.fill(first, "bkt", 30)
	w.await("followed", func() bool { return len(w.status("bkt").Copies) == 2 })
	_, err := w.ctl.Resources.Modify(context.Background(), catalog.KindCluster, first, control.Precondition{}, func(r catalog.Resource) (catalog.Resource, error) {
		r.(*catalog.Cluster).Drain = true
		return r, nil
	})
	w.must(err)
	w.await("emptied", func() bool {
		_, ok := w.copyRow("bkt", "", first)
		return !ok && w.status("bkt").State == control.BucketOK
	})
	if got := w.contents(first, "bkt"); len(got) != 0 {
		t.Errorf("%s still has %v", first, got)
	}
	st := w.status("bkt")
	for _, c := range st.Copies {
		if n := len(w.contents(c.Cluster, "bkt")); n != 30 {
			t.Errorf("%s has %d objects", c.Cluster, n)
		}
	}
}

// The answer to a change that forbids a cluster comes after writes to it have ended, and
// none begins later.
func TestResidencyGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "a", "1")
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")

	writing, ended := make(chan struct{}, 1), make(chan struct{})
	c2.SetFault(func(ctx context.Context, op, _, key string) error {
		if op != "put" || key != "hangs" {
			return nil
		}
		select {
		case writing <- struct{}{}:
		default:
			return nil
		}
		<-ctx.Done() // a PUT that is cut off takes its time to end
		time.Sleep(200 * time.Millisecond)
		close(ended)
		return ctx.Err()
	})
	c1.User("bkt", "hangs", "2")
	<-writing
	w.policy("p", 1, "c1")
	select {
	case <-ended:
	default:
		t.Error("the change was answered while a write to the cluster it forbids was on its way")
	}
	c2.SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "put" {
			t.Error("a write to a forbidden cluster")
		}
		return nil
	})
	c1.User("bkt", "later", "3")
	w.await("c2 is gone", func() bool { _, ok := w.copyRow("bkt", "", "c2"); return !ok })
	if c2.Contents("bkt") != nil {
		t.Errorf("c2 has %v", c2.Contents("bkt"))
	}
}

// A listing at a copy that fails half way never makes objects look deleted.
func TestBrokenListingRemovesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	for i := range 30 {
		c1.User("bkt", fmt.Sprintf("%02d", i), "x")
	}
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	var failing atomic.Int64
	c1.SetFault(func(_ context.Context, op, _, key string) error {
		if op == "listed" && key >= "10" && failing.Add(1) < 4 {
			return fmt.Errorf("cut off: %w", storage.ErrUnavailable)
		}
		return nil
	})
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("scanned in the end", func() bool { return failing.Load() >= 4 && w.status("bkt").State == control.BucketOK })
	if n := len(c2.Contents("bkt")); n != 30 {
		t.Errorf("c2 has %d objects", n)
	}
}

// While one object is not there yet, the cursor stays before it, however many behind it
// are; routing takes those up to the cursor for current and no others.
func TestCursorWaitsForSlowestObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	for i := range 20 {
		c1.User("bkt", fmt.Sprintf("%02d", i), "x")
	}
	release := make(chan struct{})
	c2.SetFault(func(ctx context.Context, op, _, key string) error {
		if op == "put" && key == "05" {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return ctx.Err()
	})
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.await("the others are there and the cursor stands", func() bool {
		row, _ := w.copyRow("bkt", "", "c2")
		return len(c2.Contents("bkt")) == 19 && row.Cursor == "04"
	})
	page, err := w.eng.Reports().Objects(t.Context(), "bkt", "", "", "", 0)
	w.must(err)
	for _, o := range page.Objects {
		if want := o.Key <= "04"; (len(o.Clusters) == 2) != want {
			t.Errorf("%s counts as current in %v", o.Key, o.Clusters)
		}
	}
	close(release)
	w.awaitOK("bkt", "c1", "c2")
}

// A walk that the storage's end cut short at its very last object is not a finished one.
func TestWalkCutAtLastObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "last", "x")
	var down atomic.Bool
	writing := make(chan struct{}, 100)
	c2.SetFault(func(ctx context.Context, op, _, _ string) error {
		switch {
		case down.Load():
			return fmt.Errorf("gone: %w", storage.ErrUnavailable)
		case op == "put":
			writing <- struct{}{}
			<-ctx.Done()
		}
		return ctx.Err()
	})
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	<-writing
	down.Store(true)
	w.await("c2 is down", func() bool { return w.eng.Reports().Storage("c2").State == "down" })
	w.await("the walk ended", func() bool {
		r := w.eng.run.Load()
		r.jobs.mu.Lock()
		defer r.jobs.mu.Unlock()
		return r.jobs.running[jobSync] == 0
	})
	if row, _ := w.copyRow("bkt", "", "c2"); row.State == catalog.CopySynced {
		t.Error("the copy counts as synced without its object")
	}
	c2.SetFault(nil)
	w.awaitOK("bkt", "c1", "c2")
	if len(c2.Contents("bkt")) != 1 {
		t.Error("the object is missing")
	}
}
