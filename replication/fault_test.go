package replication

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// heldDeletes counts the rows the breaker holds.
func (w *world) heldDeletes(bucket string) int {
	w.Helper()
	hold := state.HoldDeletes
	return len(w.pending(state.PendingFilter{Bucket: bucket, Hold: &hold}))
}

func breakerWorld(t *testing.T) (w *world, c1, c2 *fakestorage.Storage) {
	t.Helper()
	w = newWorld(t, Settings{MaxDeletes: MaxDeletes{Objects: 10, Percent: 10}}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 = w.fake("c1"), w.fake("c2")
	for i := range 60 {
		c1.User("bkt", fmt.Sprintf("%02d", i), "x")
	}
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1", "c2")
	return w, c1, c2
}

// first40 are keys that breakerWorld's primary loses.
func first40() (keys []string) {
	for i := range 40 {
		keys = append(keys, fmt.Sprintf("%02d", i))
	}
	return keys
}

// A scan that finds more deletes than allowed applies none of them; other work goes on.
func TestBreakerOnScan(t *testing.T) {
	t.Parallel()
	w, c1, c2 := breakerWorld(t)
	c1.Lose("bkt", first40()...)
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("deletes are held", func() bool { return w.heldDeletes("bkt") == 40 })
	if n := len(c2.Contents("bkt")); n != 60 {
		t.Fatalf("c2 has %d objects, want 60", n)
	}
	if st := w.status("bkt"); st.State != control.BucketStuck || !strings.Contains(st.Reason, "max_deletes") {
		t.Errorf("status %s: %s", st.State, st.Reason)
	}
	c1.User("bkt", "new", "y")
	w.await("other work goes on", func() bool { return c2.Contents("bkt")["new"] == "y" })

	t.Run("confirm", func(t *testing.T) {
		n, err := w.eng.Decisions().Deletes(context.Background(), "bkt", true)
		if err != nil || n != 40 {
			t.Fatalf("confirmed %d, %v", n, err)
		}
		w.awaitOK("bkt", "c1", "c2")
		if n := len(c2.Contents("bkt")); n != 21 {
			t.Errorf("c2 has %d objects, want 21", n)
		}
	})
}

// Live deletes trip the breaker as they come; rejecting brings the held ones back.
func TestBreakerOnLiveDeletes(t *testing.T) {
	t.Parallel()
	w, c1, c2 := breakerWorld(t)
	for i := range 40 {
		c1.UserDelete("bkt", fmt.Sprintf("%02d", i))
	}
	w.await("deletes are held", func() bool { return w.heldDeletes("bkt") == 30 })
	if n := len(c2.Contents("bkt")); n != 50 {
		t.Fatalf("c2 has %d objects, want 50", n)
	}
	n, err := w.eng.Decisions().Deletes(context.Background(), "bkt", false)
	if err != nil || n != 30 {
		t.Fatalf("rejected %d, %v", n, err)
	}
	w.awaitOK("bkt", "c1", "c2")
	if a, b := c1.Contents("bkt"), c2.Contents("bkt"); len(a) != 50 || !mapsEqual(a, b) {
		t.Errorf("c1 has %d objects, c2 %d, want 50", len(a), len(b))
	}
}

// Rejecting brings back all that is to be deleted, though workers have not come to hold
// all of it yet, and outlasts a storage that fails now and then.
func TestRejectBringsBackWhatIsNotHeldYet(t *testing.T) {
	t.Parallel()
	w, c1, c2 := breakerWorld(t)
	c1.Lose("bkt", first40()...)
	c2.SetFault(func(_ context.Context, op, _, key string) error {
		if op == "stat" && key >= "20" && key < "40" { // scans, too, ask about those that are left
			return fmt.Errorf("not now: %w", storage.ErrCorrupt)
		}
		return nil
	})
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("some deletes are held", func() bool { return w.heldDeletes("bkt") == 20 })
	w.await("the others are not", func() bool { return len(w.pending(state.PendingFilter{Bucket: "bkt", Failed: true})) == 20 })
	var calls atomic.Int64
	c1.SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "stat" && calls.Add(1)%10 == 0 {
			return fmt.Errorf("a hiccup: %w", storage.ErrUnavailable)
		}
		return nil
	})
	c2.SetFault(nil)
	n, err := w.eng.Decisions().Deletes(context.Background(), "bkt", false)
	for ; err != nil && calls.Load() < 1000; _, err = w.eng.Decisions().Deletes(context.Background(), "bkt", false) {
		if !errors.Is(err, storage.ErrUnavailable) {
			t.Fatalf("rejected %d, %v", n, err)
		}
	}
	c1.SetFault(nil)
	w.awaitOK("bkt", "c1", "c2")
	if a, b := c1.Contents("bkt"), c2.Contents("bkt"); len(a) != 60 || !mapsEqual(a, b) {
		t.Errorf("c1 has %d objects, c2 %d, want 60", len(a), len(b))
	}
}

// Held deletes of objects that the primary has again are none any more: the next scan
// sees that, and the one after ends the hold.
func TestHeldDeletesThatAreBack(t *testing.T) {
	t.Parallel()
	w, c1, c2 := breakerWorld(t)
	restore := c1.Lose("bkt", first40()...)
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("deletes are held", func() bool { return w.heldDeletes("bkt") == 40 })
	restore()
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.awaitOK("bkt", "c1", "c2")
	if n := len(c2.Contents("bkt")); n != 60 {
		t.Errorf("c2 has %d objects, want 60", n)
	}
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("the hold ended", func() bool {
		row, ok := w.copyRow("bkt", "", "c2")
		return ok && !row.HeldDeletes
	})
	c1.UserDelete("bkt", "00")
	w.await("a single delete is applied", func() bool { return len(c2.Contents("bkt")) == 59 })
}

// Changes that the store can't take are exceptions to freshness at once, however many
// come, and are copied when it can.
func TestChangesWhileTheStoreIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c1.User("bkt", "0", "x")
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1")
	w.full.Store(true)
	c1.SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "list" {
			return fmt.Errorf("no scan helps: %w", storage.ErrRefused)
		}
		return nil
	})
	for i := range 5 {
		key := fmt.Sprint("new", i)
		c1.User("bkt", key, "y")
		w.await("an exception", func() bool { return w.ctl.Router().Pending.Has("bkt", key, "c2") })
	}
	if err := w.ctl.Status.StoreTrouble(); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("the trouble is %v", err)
	}
	w.full.Store(false)
	w.awaitSame("bkt", "c1", "c2")
	c1.SetFault(nil)
	w.awaitOK("bkt", "c1", "c2")
	w.await("the rows are stored and worked off", func() bool {
		return w.ctl.Status.StoreTrouble() == nil && w.ctl.Router().Pending.Len() == 0
	})
	if len(c2.Contents("bkt")) != 6 {
		t.Errorf("c2 has %d objects", len(c2.Contents("bkt")))
	}
}

// A primary whose bucket vanished removes nothing at the copies, and is not made again.
func TestPrimaryBucketVanishes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	for i := range 20 {
		c1.User("bkt", fmt.Sprint(i), "x")
	}
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1")
	restore := c1.Lose("bkt")
	c1.Events.Tell(storage.Event{Bucket: "bkt", Key: "3", Removed: true})
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.await("the reason is told", func() bool {
		st := w.status("bkt")
		return st.State == control.BucketStuck && strings.Contains(st.Reason, "missing")
	})
	if n := len(c2.Contents("bkt")); n != 20 || c1.Contents("bkt") != nil {
		t.Errorf("c2 has %d objects, c1 %v", n, c1.Contents("bkt"))
	}
	restore()
	w.must(w.eng.SyncBucket(context.Background(), "bkt"))
	w.awaitOK("bkt", "c1", "c2")
}

// A storage that hangs or fails delays its own objects and nobody else's, and catches up.
func TestSlowStorageDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"hangs", "fails"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, Settings{Workers: 8}, func(o *Options) {
				o.Copy = fakestorage.Copy
				o.Tune.CallTimeout, o.Tune.StallTimeout = time.Second, time.Second
			})
			c1, c2, c3 := w.fake("c1"), w.fake("c2"), w.fake("c3")
			w.policy("p", 3)
			w.bucket("bkt", "p", "c1")
			w.await("placed", func() bool { return w.status("bkt").State == control.BucketOK })
			w.feedsLive("c1", "c2", "c3")
			well := make(chan struct{})
			c2.SetFault(func(ctx context.Context, op, _, _ string) error {
				select {
				case <-well:
					return nil
				default:
				}
				if op == "listen" {
					return nil
				}
				if how == "fails" {
					return storage.ErrUnavailable
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-well:
					return nil
				}
			})
			for i := range 200 {
				c1.User("bkt", fmt.Sprintf("%03d", i), "x")
			}
			w.await("c3 has everything", func() bool { return len(c3.Contents("bkt")) == 200 })
			if n := len(c2.Contents("bkt")); n != 0 {
				t.Errorf("c2 has %d objects", n)
			}
			w.await("c2 counts as down", func() bool { return w.eng.Reports().Storage("c2").State == "down" })
			close(well)
			w.await("c2 catches up", func() bool { return len(c2.Contents("bkt")) == 200 })
			w.await("all is well", func() bool { return w.status("bkt").State == control.BucketOK })
		})
	}
}

// One object that a storage refuses is a named failure of that copy and not a stop.
func TestRefusedObjectStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	c2.SetFault(func(_ context.Context, op, _, key string) error {
		if op == "put" && key == "bad//key" {
			return fmt.Errorf("put %s: %w", key, storage.ErrRefused)
		}
		return nil
	})
	for i := range 20 {
		c1.User("bkt", fmt.Sprint(i), "x")
	}
	c1.User("bkt", "bad//key", "x")
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.await("the rest is there", func() bool { return len(c2.Contents("bkt")) == 20 })
	w.await("the failure is named", func() bool {
		fs, err := w.eng.Reports().Failures(context.Background(), state.PendingKey{}, 0)
		w.must(err)
		return len(fs) == 1 && fs[0].Key == "bad//key" && strings.Contains(fs[0].Error, "refuses") && fs[0].Cluster == "c2" && fs[0].Cause == state.CauseRefused
	})
	w.await("so is the bucket's reason", func() bool {
		why := w.status("bkt").Reasons
		return len(why) == 1 && why[0].Code == control.ReasonKeyRefused && why[0].Cluster == "c2"
	})
	w.await("the copy is synced all the same", func() bool {
		row, _ := w.copyRow("bkt", "", "c2")
		return row.State == catalog.CopySynced
	})
	if !w.ctl.Router().Pending.Has("bkt", "bad//key", "c2") {
		t.Error("routing would find the object at c2")
	}
	c2.SetFault(nil)
	n, err := w.eng.RetryFailures(context.Background())
	if err != nil || n != 1 {
		t.Fatalf("retried %d, %v", n, err)
	}
	w.awaitOK("bkt", "c1", "c2")
}

// A real storage that is stopped, and one that refuses the credentials, have a state and a
// reason; what they missed arrives when they are back.
func TestStorageDownAndBack(t *testing.T) {
	t.Parallel()
	srv := testenv.MinIO(t)
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", srv)
	w.cluster("c3", minioC.Server(t))
	w.makeBucket("c1", "bkt")
	w.fill("c1", "bkt", 20)
	w.policy("p", 3)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.feedsLive("c1")
	srv.Kill()
	w.put("c1", "bkt", "while down", "x")
	w.del("c1", "bkt", "k0003")
	w.await("c3 follows", func() bool {
		_, gone := w.get("c3", "bkt", "k0003")
		_, ok := w.get("c3", "bkt", "while down")
		return ok && !gone
	})
	w.await("c2 is down, with a reason", func() bool {
		st := w.eng.Reports().Storage("c2")
		return st.State == "down" && st.Error != "" && w.status("bkt").State == control.BucketStuck
	})
	w.must(srv.Restart(context.Background()))
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.awaitSame("bkt", "c1", "c2", "c3")

	good := w.clusterDecl("c2")
	bad := good.Clone().(*catalog.Cluster)
	bad.Storage.SecretKey = "wrong-secret-key"
	w.apply(bad)
	w.await("the credentials are refused", func() bool { return w.eng.Reports().Storage("c2").State == "down" })
	w.put("c1", "bkt", "later", "x")
	w.await("c3 follows", func() bool { _, ok := w.get("c3", "bkt", "later"); return ok })
	w.apply(good)
	w.awaitOK("bkt", "c1", "c2", "c3")
	w.awaitSame("bkt", "c1", "c2", "c3")
}

func (w *world) clusterDecl(name string) *catalog.Cluster {
	w.Helper()
	it, err := w.ctl.Resources.Get(context.Background(), catalog.KindCluster, name)
	w.must(err)
	return it.Resource.(*catalog.Cluster)
}

// A listener that never says anything is not trusted: changes are found by scanning.
func TestMuteListenerFallsBackToScan(t *testing.T) {
	t.Parallel()
	srv := testenv.MuteMinIO(t)
	w := newWorld(t, Settings{}, func(o *Options) { o.Tune.SilentScan = time.Second })
	w.cluster("c1", srv)
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	w.fill("c1", "bkt", 10)
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.put("c1", "bkt", "unheard", "x")
	w.del("c1", "bkt", "k0001")
	w.awaitSame("bkt", "c1", "c2")
	w.awaitOK("bkt", "c1", "c2")
	if feed := w.eng.Reports().Storage("c1").Feed; !strings.HasPrefix(feed, "scanning") {
		t.Errorf("feed %q", feed)
	}
}

// Another make of S3 server serves as primary and as copy.
func TestVersityGW(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, primary, copy string }{{"as copy", "m", "v"}, {"as primary", "v", "m"}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Settings{}, nil)
			w.cluster("m", minioA.Server(t))
			w.cluster("v", versA.Server(t))
			w.makeBucket(c.primary, "bkt")
			w.fill(c.primary, "bkt", 40)
			w.put(c.primary, "bkt", "empty", "")
			w.put(c.primary, "bkt", "a-b", "1")
			w.put(c.primary, "bkt", "a/b", "2")
			w.put(c.primary, "bkt", "a.b", "3")
			w.policy("p", 2)
			w.bucket("bkt", "p", c.primary)
			w.awaitOK("bkt", c.primary, c.copy)
			w.awaitSame("bkt", c.primary, c.copy)
			w.put(c.primary, "bkt", "k0001", "overwritten")
			w.put(c.primary, "bkt", "new", "x")
			w.del(c.primary, "bkt", "k0002")
			w.awaitSame("bkt", c.primary, c.copy)
			w.awaitOK("bkt", c.primary, c.copy)
			w.policy("p", 1)
			w.awaitOK("bkt", c.primary)
			if got := w.contents(c.copy, "bkt"); len(got) != 0 {
				t.Errorf("the copy's storage still has %v", got)
			}
		})
	}
}
