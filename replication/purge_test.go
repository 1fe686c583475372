package replication

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

func purgeWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c1", "bkt")
	w.fill("c1", "bkt", 20)
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	w.feedsLive("c1", "c2")
	return w
}

func (w *world) awaitPurged() {
	w.Helper()
	w.await("the purge is over", func() bool {
		m, err := w.store.Purges().Purges(context.Background())
		w.must(err)
		return len(m) == 0
	})
}

func TestPurgeCopies(t *testing.T) {
	t.Parallel()
	w := purgeWorld(t)
	awaitNextSeconds(1)
	w.put("c2", "bkt", "foreign", "someone else's")
	w.await("the foreign object is noticed", func() bool { return w.status("bkt").Conflicts == 1 })
	w.must(w.eng.Purge(t.Context(), "bkt", PurgeCopies, control.Precondition{}))
	if _, err := w.ctl.Resources.Get(t.Context(), catalog.KindBucket, "bkt"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("the bucket is still declared: %v", err)
	}
	w.awaitPurged()
	if n := len(w.contents("c1", "bkt")); n != 20 {
		t.Errorf("the primary has %d objects", n)
	}
	if got := w.contents("c2", "bkt"); len(got) != 1 || got["foreign"] == "" {
		t.Errorf("c2 has %v, want the foreign object only", got)
	}
}

// A purge that can't go on, because of a retention period for example, is told of with the reason,
// and goes on when it can.
func TestPurgeThatCantGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1 := w.fake("c1")
	c1.User("bkt", "locked", "x")
	w.policy("p", 1)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1")
	c1.SetFault(func(_ context.Context, op, _, _ string) error {
		if strings.HasPrefix(op, "delete") || strings.HasPrefix(op, "remove") {
			return fmt.Errorf("the object is WORM protected: %w", storage.ErrRefused)
		}
		return nil
	})
	w.must(w.eng.Purge(t.Context(), "bkt", PurgeAll, control.Precondition{}))
	w.await("the purge is told of", func() bool {
		stuck := w.eng.Reports().StuckPurges()
		return len(stuck) == 1 && stuck[0].Bucket == "bkt" && stuck[0].Cluster == "c1" && strings.Contains(stuck[0].Error, "WORM")
	})
	failures, err := w.eng.Reports().Failures(t.Context(), state.PendingKey{}, 10)
	if err != nil || len(failures) != 1 || failures[0].Key != "" {
		t.Errorf("failures: %+v, %v", failures, err)
	}
	c1.SetFault(nil)
	w.awaitPurged()
	w.await("nothing is told of", func() bool { return len(w.eng.Reports().StuckPurges()) == 0 })
}

// TestPurgeEndedElsewhere: what another instance ended is no longer told of here.
func TestPurgeEndedElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1 := w.fake("c1")
	w.policy("p", 1)
	for _, b := range []string{"bkt", "other"} {
		c1.User(b, "k", "x")
		w.bucket(b, "p", "c1")
		w.awaitOK(b, "c1")
	}
	c1.SetFault(func(_ context.Context, op, bucket, _ string) error {
		if bucket == "bkt" && (strings.HasPrefix(op, "delete") || strings.HasPrefix(op, "remove")) {
			return storage.ErrRefused
		}
		return nil
	})
	w.must(w.eng.Purge(t.Context(), "bkt", PurgeAll, control.Precondition{}))
	w.await("the purge is told of", func() bool { return len(w.eng.Reports().StuckPurges()) == 1 })
	purges, err := w.store.Purges().Purges(t.Context())
	if err != nil || len(purges) != 1 {
		t.Fatalf("%+v, %v", purges, err)
	}
	_, err = w.store.Purges().FinishPurge(t.Context(), "bkt", purges[0].ID)
	w.must(err)
	w.must(w.eng.Purge(t.Context(), "other", PurgeAll, control.Precondition{})) // has it look again
	w.awaitPurged()
	w.await("nothing is told of", func() bool { return len(w.eng.Reports().StuckPurges()) == 0 })
}

func TestPurgeAll(t *testing.T) {
	t.Parallel()
	w := purgeWorld(t)
	if err := w.eng.Purge(t.Context(), "bkt", PurgeAll, control.Precondition{IfMatch: []string{`"no"`}}); !errors.Is(err, control.ErrPrecondition) {
		t.Fatalf("precondition: %v", err)
	}
	if m, _ := w.store.Purges().Purges(t.Context()); len(m) != 0 {
		t.Fatalf("a refused purge is noted: %v", m)
	}
	w.must(w.eng.Purge(t.Context(), "bkt", PurgeAll, control.Precondition{}))
	w.awaitPurged()
	for _, c := range []string{"c1", "c2"} {
		if got := w.contents(c, "bkt"); len(got) != 0 {
			t.Errorf("%s has %v", c, got)
		}
	}
}

// A purge of everything takes what a bucket hides whose versioning was suspended.
func TestPurgeAllOfSuspendedVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1 := w.fake("c1")
	c1.KeepTimes()
	c1.KeepVersions("bkt")
	c1.User("bkt", "hidden", "x")
	c1.UserDelete("bkt", "hidden")
	c1.User("bkt", "shown", "y")
	c1.Suspend("bkt", true)
	w.policy("p", 1)
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1")
	w.must(w.eng.Purge(t.Context(), "bkt", PurgeAll, control.Precondition{}))
	w.awaitPurged()
	if hidden, shown := c1.Bodies("bkt", "hidden"), c1.Bodies("bkt", "shown"); len(hidden)+len(shown) > 0 {
		t.Errorf("left: %q, %q", hidden, shown)
	}
}

// Several jobs may find a physical bucket missing at once. All but the first find it made,
// by FaDO: a purge of all data takes the bucket along. One that someone else made stays.
func TestPurgeTakesTheBucketsFaDOMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", minioB.Server(t))
	w.makeBucket("c2", "own")
	w.policy("p", 2)
	for bucket, foreign := range map[string]string{"own": "c2", "made": ""} {
		w.bucket(bucket, "p", "c1")
		w.awaitOK(bucket, "c1", "c2")
		r := w.eng.run.Load()
		for _, c := range []string{"c1", "c2"} {
			w.must(w.eng.walks.buckets.Make(t.Context(), r.sites.Get(c), bucket, false))
		}
		w.must(w.eng.Purge(t.Context(), bucket, PurgeAll, control.Precondition{}))
		w.awaitPurged()
		for _, c := range []string{"c1", "c2"} {
			if there := w.contents(c, bucket) != nil; there != (c == foreign) {
				t.Errorf("%s at %s is there: %v", bucket, c, there)
			}
		}
	}
}

// A purge noted before a kill goes on after it, but not if the bucket was declared again.
func TestPurgeResumes(t *testing.T) {
	t.Parallel()
	w := purgeWorld(t)
	w.must(w.eng.Pause(t.Context()))
	w.must(w.eng.Purge(t.Context(), "bkt", PurgeAll, control.Precondition{}))
	w.eng.Stop()
	if n := len(w.contents("c2", "bkt")); n != 20 {
		t.Fatalf("c2 has %d objects", n)
	}
	w.bucket("bkt", "p", "c1")
	w.must(w.eng.Resume(t.Context()))
	w.eng.Start(Settings{})
	w.awaitPurged()
	w.awaitOK("bkt", "c1", "c2")
	for _, c := range []string{"c1", "c2"} {
		if n := len(w.contents(c, "bkt")); n != 20 {
			t.Errorf("%s has %d objects: the purge went on though the bucket is back", c, n)
		}
	}

	w.must(w.eng.Purge(t.Context(), "bkt", PurgeAll, control.Precondition{}))
	w.eng.Stop()
	w.eng.Start(Settings{})
	w.awaitPurged()
	if got := w.contents("c2", "bkt"); len(got) != 0 {
		t.Errorf("c2 has %v", got)
	}
}

// Keys below a prefix rule are where that rule wants them and nowhere else, through every
// change of the rules.
func TestPrefixRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	w.threeMinIOs()
	w.makeBucket("c1", "bkt")
	for i := range 10 {
		w.put("c1", "bkt", fmt.Sprintf("open/%d", i), "o")
		w.put("c1", "bkt", fmt.Sprintf("private/%d", i), "p")
		w.put("c1", "bkt", fmt.Sprintf("zzz/%d", i), "z")
	}
	w.policy("everywhere", 2, "c1", "c2")
	w.policy("home", 1, "c1")
	w.policy("third", 2, "c1", "c3")
	has := func(cluster, prefix string) (n int) {
		for k := range w.contents(cluster, "bkt") {
			if strings.HasPrefix(k, prefix) {
				n++
			}
		}
		return n
	}
	check := func(step string, cluster string, open, private, zzz int) {
		t.Helper()
		w.await(fmt.Sprintf("%s: %s has %d, %d, %d", step, cluster, open, private, zzz), func() bool {
			return has(cluster, "open/") == open && has(cluster, "private/") == private && has(cluster, "zzz/") == zzz
		})
	}
	w.bucket("bkt", "everywhere", "c1", catalog.PrefixRule{Prefix: "private/", Policy: "home"})
	w.awaitOK("bkt", "c1", "c2")
	check("private stays home", "c2", 10, 0, 10)

	w.bucket("bkt", "everywhere", "c1")
	w.awaitOK("bkt", "c1", "c2")
	check("the rule is gone", "c2", 10, 10, 10)

	w.bucket("bkt", "everywhere", "c1", catalog.PrefixRule{Prefix: "private/", Policy: "third"})
	w.awaitOK("bkt", "c1", "c2", "c3")
	check("private moves to c3", "c2", 10, 0, 10)
	check("private moves to c3", "c3", 0, 10, 0)
	w.feedsLive("c1")
	w.put("c1", "bkt", "private/new", "p")
	w.put("c1", "bkt", "open/new", "o")
	check("live", "c2", 11, 0, 10)
	check("live", "c3", 0, 11, 0)

	w.bucket("bkt", "home", "c1", catalog.PrefixRule{Prefix: "private/", Policy: "third"}, catalog.PrefixRule{Prefix: "private/n", Policy: "home"})
	w.awaitOK("bkt", "c1", "c3")
	check("only private, but not private/n", "c3", 0, 10, 0)
	w.await("c2 is empty", func() bool { return len(w.contents("c2", "bkt")) == 0 })

	w.bucket("bkt", "home", "c1")
	w.awaitOK("bkt", "c1")
	w.await("c3 is empty", func() bool { return len(w.contents("c3", "bkt")) == 0 })
	if n := len(w.contents("c1", "bkt")); n != 32 {
		t.Errorf("the primary has %d objects, want 32", n)
	}
}

// Stop ends everything however often it is called, and Start goes on.
func TestStartStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, func(o *Options) { o.Copy = fakestorage.Copy })
	c1, c2 := w.fake("c1"), w.fake("c2")
	w.policy("p", 2)
	w.bucket("bkt", "p", "c1")
	for i := range 5 {
		c1.User("bkt", fmt.Sprint(i), "x")
		w.awaitOK("bkt", "c1", "c2")
		w.await("copied", func() bool { return len(c2.Contents("bkt")) == i+1 })
		w.eng.Stop()
		w.eng.Stop()
		if w.eng.SyncBucket(context.Background(), "bkt") == nil {
			t.Error("a stopped engine took a sync")
		}
		w.eng.Start(Settings{Workers: i + 1})
		w.eng.Start(Settings{Workers: i + 2})
		w.eng.Reconfigure(Settings{Workers: i + 3, Bandwidth: 1 << 20, NoEventFeed: i%2 == 0, ScanInterval: time.Second})
	}
	w.eng.Reconfigure(Settings{Disabled: true})
	c1.User("bkt", "off", "x")
	if err := w.eng.SyncBucket(context.Background(), "bkt"); !errors.Is(err, ErrOff) {
		t.Errorf("sync while off: %v", err)
	}
	w.bucket("second", "p", "")
	w.await("a primary is chosen without looking", func() bool { return w.status("second").Primary != "" })
	if _, ok := c2.Contents("bkt")["off"]; ok {
		t.Error("replication that is off copied")
	}
}
