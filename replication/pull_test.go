package replication

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/object"
	"github.com/fado-project/fado/replication/internal/pull"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// pullWorld is three MinIOs with bucket bkt written in c1, whose policy pulls to c1 and c2.
func pullWorld(t *testing.T, o func(*Options)) *world {
	t.Helper()
	w := newWorld(t, Settings{}, o)
	w.threeMinIOs()
	w.makeBucket("c1", "bkt")
	w.pullPolicy("pulls", time.Hour, "c1", "c2")
	w.bucket("bkt", "pulls", "c1")
	w.awaitOK("bkt", "c1")
	w.feedsLive("c1", "c2")
	return w
}

func (w *world) pullPolicy(name string, ttl time.Duration, clusters ...string) {
	w.Helper()
	w.apply(&catalog.Policy{
		Name: name, Copies: catalog.Copies{N: 1}, Clusters: clusters, Prefer: []string{"c1"}, OnMiss: catalog.OnMissPull,
		PullTTL: catalog.Duration(ttl),
	})
}

func planFor(key string, clusters ...string) routing.PullPlan {
	return routing.PullPlan{Objects: []catalog.ObjectName{{Bucket: "bkt", Key: key}}, Clusters: clusters, Timeout: 30 * time.Second}
}

func (w *world) pull(key string, clusters ...string) {
	w.Helper()
	w.must(w.eng.Pull(context.Background(), planFor(key, clusters...)))
}

func (w *world) current(key, cluster string) bool { return w.ctl.Router().Current("bkt", key, cluster) }

func (w *world) pulledRows() []state.Pulled {
	w.Helper()
	rows, err := w.store.Pulls().ListPulled(context.Background(), state.PulledFilter{}, 0)
	w.must(err)
	return rows
}

// awaitNothingPulled waits until no row and no object is left in a cluster, nor the bucket.
func (w *world) awaitNothingPulled(cluster string) {
	w.Helper()
	w.await("nothing is left in "+cluster, func() bool { return len(w.pulledRows()) == 0 && w.contents(cluster, "bkt") == nil })
}

func TestPulledOnceHoweverManyAsk(t *testing.T) {
	t.Parallel()
	var copies atomic.Int64
	w := pullWorld(t, func(o *Options) {
		o.Copy = func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, ob storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			copies.Add(1)
			return storage.Copy(ctx, src, dst, bucket, ob, opts)
		}
	})
	w.put("c1", "bkt", "k", strings.Repeat("x", 100_000))
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if err := w.eng.Pull(context.Background(), planFor("k", "c2", "c3")); err != nil {
				t.Error(err)
			}
			if !w.current("k", "c2") {
				t.Error("not there after the wait")
			}
		})
	}
	wg.Wait()
	if n := copies.Load(); n != 1 {
		t.Errorf("%d copies", n)
	}
	if got, _ := w.get("c2", "bkt", "k"); len(got) != 100_000 {
		t.Errorf("%d bytes are there", len(got))
	}
	rows := w.pulledRows()
	if len(rows) != 2 || rows[0].Key != "" || rows[1].Key != "k" || rows[1].Size != 100_000 || rows[1].ETag == "" {
		t.Errorf("rows %+v", rows)
	}
}

func TestPulledObjectsFollowThePrimary(t *testing.T) {
	t.Parallel()
	w := pullWorld(t, nil)
	w.put("c1", "bkt", "changes", "one")
	w.put("c1", "bkt", "goes", "one")
	w.pull("changes", "c2")
	w.pull("goes", "c2")
	w.put("c1", "bkt", "changes", "two")
	w.await("the change", func() bool {
		got, _ := w.get("c2", "bkt", "changes")
		return got == "two" && w.current("changes", "c2")
	})
	w.del("c1", "bkt", "goes")
	w.await("the delete", func() bool {
		_, there := w.get("c2", "bkt", "goes")
		return !there && len(w.pulledRows()) == 2
	})
	if w.current("goes", "c2") {
		t.Error("what is gone is current")
	}
}

// An object that changes over and over is never told to be current with content older than
// what a feed has told of.
func TestAPulledObjectIsNeverStale(t *testing.T) {
	t.Parallel()
	w := pullWorld(t, nil)
	w.put("c1", "bkt", "k", "0")
	for i := 1; i <= 20; i++ {
		pulled := make(chan struct{})
		go func() {
			defer close(pulled)
			_ = w.eng.Pull(context.Background(), planFor("k", "c2")) // the change may get in between
		}()
		w.put("c1", "bkt", "k", fmt.Sprint(i))
		w.must(w.eng.Hints(context.Background(), Hint{Cluster: "c1", Physical: w.prefix + "bkt", Key: "k"}))
		<-pulled
		if w.current("k", "c2") {
			if got, _ := w.get("c2", "bkt", "k"); got != fmt.Sprint(i) {
				t.Fatalf("a hit with %q after %d was told of", got, i)
			}
		}
	}
	w.pull("k", "c2")
	if got, _ := w.get("c2", "bkt", "k"); got != "20" {
		t.Errorf("in the end it is %q", got)
	}
}

func TestPulledObjectsExpireAfterTheirLastUse(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	w := pullWorld(t, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	w.put("c1", "bkt", "used", "one")
	w.put("c1", "bkt", "unused", "one")
	w.pull("used", "c2")
	w.pull("unused", "c2")
	rows := w.pulledRows()
	used := rows[len(rows)-2]
	used.UsedAt, used.Until = used.UsedAt.Add(40*time.Minute), used.Until.Add(40*time.Minute)
	w.must(w.store.Pulls().TouchPulled(context.Background(), used))
	ahead.Store(int64(61 * time.Minute))
	w.await("one is left", func() bool { return len(w.contents("c2", "bkt")) == 1 && len(w.pulledRows()) == 2 })
	if _, there := w.contents("c2", "bkt")["used"]; !there || !w.current("used", "c2") || w.current("unused", "c2") {
		t.Errorf("left: %v", w.contents("c2", "bkt"))
	}
	ahead.Store(int64(3 * time.Hour))
	w.awaitNothingPulled("c2")
	if got, _ := w.get("c1", "bkt", "used"); got != "one" {
		t.Error("the primary's is gone")
	}
}

func TestARoutedRequestIsAUse(t *testing.T) {
	t.Parallel()
	w := pullWorld(t, nil)
	w.put("c1", "bkt", "k", "one")
	w.pull("k", "c2")
	before := w.pulledRows()[1].UsedAt
	w.apply(&catalog.Cluster{Name: "c2", Zones: []string{"c2"}, Functions: []catalog.Function{{URL: "http://127.0.0.1:1"}}, Storage: w.ctl.Router().Snapshot().Cluster("c2").Storage})
	w.await("the use is stored", func() bool {
		var d routing.Decision
		r := w.ctl.Router()
		r.Route(&routing.Query{Inputs: []routing.Input{{Bucket: "bkt", Key: "k", Scope: routing.ScopeObject}}}, &d)
		if f, ok := r.Begin(&d, d.Candidates[0]); ok {
			f.End()
		}
		return w.pulledRows()[1].UsedAt.After(before)
	})
}

func TestTheLeastRecentlyUsedMakesRoom(t *testing.T) {
	t.Parallel()
	w := pullWorld(t, nil)
	c2 := *w.ctl.Router().Snapshot().Cluster("c2").Clone().(*catalog.Cluster)
	c2.Storage.Capacity = 2500
	w.apply(&c2)
	w.await("c2 is up again", func() bool { return w.eng.Reports().Storage("c2").State == "up" })
	for _, k := range []string{"a", "b", "c"} {
		w.put("c1", "bkt", k, strings.Repeat("x", 1000))
	}
	w.put("c1", "bkt", "huge", strings.Repeat("x", 2501))
	w.pull("a", "c2")
	w.pull("b", "c2")
	rows := w.pulledRows()
	a := rows[1]
	if a.Key != "a" {
		t.Fatalf("rows %+v", rows)
	}
	a.UsedAt = time.Now().Add(time.Second)
	w.must(w.store.Pulls().TouchPulled(context.Background(), a))
	w.pull("c", "c2")
	got := w.contents("c2", "bkt")
	if _, b := got["b"]; b || len(got) != 2 {
		t.Errorf("there are %v", got)
	}
	if err := w.eng.Pull(context.Background(), planFor("huge", "c2")); !errors.Is(err, pull.ErrNoRoom) {
		t.Errorf("an object larger than the capacity: %v", err)
	}
	if got := w.contents("c2", "bkt"); len(got) != 2 {
		t.Errorf("after it there are %v", got)
	}
	// Another cluster that may have it is asked then.
	w.pullPolicy("pulls", time.Hour, "c1", "c2", "c3")
	w.pull("huge", "c2", "c3")
	if !w.current("huge", "c3") {
		t.Error("not in the next best cluster")
	}
}

func TestAWaitEndsBeforeThePull(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	w := pullWorld(t, func(o *Options) {
		o.Copy = func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, ob storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return storage.Copy(ctx, src, dst, bucket, ob, opts)
		}
	})
	w.put("c1", "bkt", "k", "one")
	short := planFor("k", "c2")
	short.Timeout = time.Millisecond
	if err := w.eng.Pull(context.Background(), short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timed out: %v", err)
	}
	left, leave := context.WithCancel(context.Background())
	leave()
	if err := w.eng.Pull(left, planFor("k", "c2")); !errors.Is(err, context.Canceled) {
		t.Errorf("the client left: %v", err)
	}
	close(hold)
	w.await("it comes later", func() bool { return w.current("k", "c2") })
}

func TestForeignObjectsStayWhereAPullWouldGo(t *testing.T) {
	t.Parallel()
	w := pullWorld(t, nil)
	w.makeBucket("c2", "bkt")
	w.put("c2", "bkt", "k", "theirs")
	w.put("c1", "bkt", "k", "ours")
	w.put("c1", "bkt", "l", "ours")
	if err := w.eng.Pull(context.Background(), planFor("k", "c2")); !errors.Is(err, object.ErrConflict) {
		t.Errorf("over someone else's: %v", err)
	}
	w.pull("l", "c2")
	w.put("c2", "bkt", "l", "taken over")
	w.await("the row is gone", func() bool { return len(w.pulledRows()) == 0 })
	for k, want := range map[string]string{"k": "theirs", "l": "taken over"} {
		if got, _ := w.get("c2", "bkt", k); got != want || w.current(k, "c2") {
			t.Errorf("%s is %q", k, got)
		}
	}
}

// Nothing is written where policy does not allow it, and a change during a pull is answered
// when nothing more is written there.
func TestAPolicyChangeStopsAPull(t *testing.T) {
	t.Parallel()
	begun, hold := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w := pullWorld(t, func(o *Options) {
		o.Copy = func(ctx context.Context, src storage.Reader, dst storage.Writer, bucket string, ob storage.Object, opts storage.CopyOptions) (storage.Object, error) {
			once.Do(func() { close(begun) })
			select {
			case <-hold:
			case <-ctx.Done():
			}
			return storage.Copy(ctx, src, dst, bucket, ob, opts)
		}
	})
	w.put("c1", "bkt", "k", "one")
	if err := w.eng.Pull(context.Background(), planFor("k", "c3")); !errors.Is(err, guard.ErrForbidden) {
		t.Errorf("to a forbidden cluster: %v", err)
	}
	outcome := make(chan error, 1)
	go func() { outcome <- w.eng.Pull(context.Background(), planFor("k", "c2")) }()
	<-begun
	w.pullPolicy("pulls", time.Hour, "c1", "c3") // returns when it is answered
	close(hold)
	if err := <-outcome; err == nil {
		t.Error("the pull came through")
	}
	w.awaitNothingPulled("c2")
	// What was there before goes when a policy forbids it.
	w.pull("k", "c3")
	w.pullPolicy("pulls", time.Hour, "c1", "c2")
	if w.ctl.Router().Snapshot().Of("bkt").Allows("k", "c3") {
		t.Error("still allowed")
	}
	w.awaitNothingPulled("c3")
}

func TestDrainAndPurgeTakePulledObjectsAlong(t *testing.T) {
	t.Parallel()
	w := pullWorld(t, nil)
	w.put("c1", "bkt", "k", "one")
	w.pull("k", "c2")
	c2 := *w.ctl.Router().Snapshot().Cluster("c2").Clone().(*catalog.Cluster)
	c2.Drain = true
	w.apply(&c2)
	w.awaitNothingPulled("c2")
	c2.Drain = false
	w.apply(&c2)
	w.pull("k", "c2")
	w.must(w.eng.Purge(context.Background(), "bkt", PurgeCopies, control.Precondition{}))
	w.awaitNothingPulled("c2")
	if got, _ := w.get("c1", "bkt", "k"); got != "one" {
		t.Error("the primary's is gone")
	}
}

// When placement chooses the cluster, what was pulled there becomes part of the copy.
func TestACopyTakesPulledObjectsOver(t *testing.T) {
	t.Parallel()
	w := pullWorld(t, nil)
	w.put("c1", "bkt", "k", "one")
	w.put("c1", "bkt", "l", "one")
	w.pull("k", "c2")
	w.apply(&catalog.Policy{Name: "pulls", Copies: catalog.Copies{N: 2}, Clusters: []string{"c1", "c2"}, OnMiss: catalog.OnMissPull})
	w.awaitOK("bkt", "c1", "c2")
	w.eng.pulls.Look()
	w.await("no rows", func() bool { return len(w.pulledRows()) == 0 })
	w.awaitSame("bkt", "c1", "c2")
	if row, _ := w.copyRow("bkt", "", "c2"); !row.MadeBucket {
		t.Error("nobody knows any more that FaDO made the bucket")
	}
	if !w.current("k", "c2") {
		t.Error("not current")
	}
}

// A process that ends at any moment of a pull leaves nothing behind that is not removed or
// used by the next one.
func TestWhatAKilledPullLeavesIsRemoved(t *testing.T) {
	t.Parallel()
	w := pullWorld(t, nil)
	w.put("c1", "bkt", "row", "one")
	w.put("c1", "bkt", "object", "one")
	now := time.Now()
	coming := func(key string) state.Pulled {
		return state.Pulled{Bucket: "bkt", Key: key, Cluster: "c2", Size: 3, UsedAt: now, Until: now.Add(pull.Lease)}
	}
	// As it was before the write, and as it was before the row that follows it.
	w.pull("object", "c2")
	w.eng.Stop()
	w.must(w.ctl.Pulled.Put(context.Background(), coming("row"), coming("object")))
	w.eng.Start(Settings{})
	w.awaitNothingPulled("c2")
	w.pull("object", "c2")
	if got, _ := w.get("c2", "bkt", "object"); got != "one" {
		t.Errorf("%q", got)
	}
}

// What changed while nobody was looking is found by a scan.
func TestScansComparePulledObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, nil)
	w.threeMinIOs()
	w.makeBucket("c1", "bkt")
	w.pullPolicy("pulls", time.Hour, "c1", "c2")
	w.bucket("bkt", "pulls", "c1")
	w.awaitOK("bkt", "c1")
	w.put("c1", "bkt", "k", "one")
	w.pull("k", "c2")
	w.put("c1", "bkt", "k", "two")
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("the change", func() bool { got, _ := w.get("c2", "bkt", "k"); return got == "two" })
}

// On a storage that is no MinIO and a bucket that keeps versions, the same holds.
func TestPullToAnotherStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(w))
	w.cluster("c2", versA.Server(w))
	w.makeBucket("c1", "bkt")
	w.must(w.apis["c1"].EnableVersioning(context.Background(), w.prefix+"bkt"))
	w.pullPolicy("pulls", time.Hour, "c1", "c2")
	w.bucket("bkt", "pulls", "c1")
	w.awaitOK("bkt", "c1")
	w.feedsLive("c1")
	w.put("c1", "bkt", "k", "one")
	w.pull("k", "c2")
	w.put("c1", "bkt", "k", "two")
	w.await("the change", func() bool {
		got, _ := w.get("c2", "bkt", "k")
		return got == "two" && w.current("k", "c2")
	})
	w.pullPolicy("pulls", time.Hour, "c1")
	w.awaitNothingPulled("c2")
	if o, err := w.apis["c1"].StatObject(context.Background(), w.prefix+"bkt", "k", minio.StatObjectOptions{}); err != nil || o.Size != 3 {
		t.Errorf("the primary has %+v, %v", o, err)
	}
}
