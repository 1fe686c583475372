package replication

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/storage"
)

func onFakes(o *Options) { o.Copy = fakestorage.Copy }

// clusters lists where a bucket has copies, sorted.
func (w *world) clusters(bucket string) (in []string) {
	w.Helper()
	for _, c := range w.status(bucket).Copies {
		in = append(in, c.Cluster)
	}
	slices.Sort(in)
	return in
}

// A cluster that is added gets what is new, and nothing of what is placed, until people ask
// for a rebalance. That can be looked at before, stopped, and ends by itself.
func TestRebalance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, onFakes)
	w.fake("c1").User("bkt0", "k", "x")
	w.fake("c2")
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}})
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprintf("bkt%d", i))
		w.bucket(names[i], "p", "")
		w.await(names[i]+" ok", func() bool { return w.status(names[i]).State == control.BucketOK })
	}
	c3 := w.fake("c3")
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Prefer: []string{"c3"}})
	w.bucket("late", "p", "")
	w.await("a new bucket in c3", func() bool { return w.status("late").State == control.BucketOK && w.status("late").Primary == "c3" })
	st, err := w.eng.Rebalances().Status(t.Context())
	w.must(err)
	if st.Running || st.Buckets != 5 || st.Copies != 5 || len(st.Moves) != 5 || st.Objects != 1 || !slices.Equal(st.Moves[0].Add, []string{"c3"}) {
		t.Errorf("a rebalance would do %+v", st)
	}
	for _, b := range names {
		if in := w.clusters(b); !slices.Equal(in, []string{"c1", "c2"}) {
			t.Errorf("%s is in %v", b, in)
		}
	}

	c3.SetFault(func(_ context.Context, op, _, _ string) error {
		if op == "ping" {
			return nil
		}
		return fmt.Errorf("not now: %w", storage.ErrUnavailable)
	})
	_, err = w.eng.Rebalances().Start(t.Context())
	w.must(err)
	w.await("a copy on its way", func() bool {
		return slices.ContainsFunc(names, func(b string) bool { return slices.Contains(w.clusters(b), "c3") })
	})
	moving := 0
	for _, b := range names {
		if slices.Contains(w.clusters(b), "c3") {
			moving++
		}
	}
	if moving > 2 {
		t.Errorf("%d buckets move at a time", moving)
	}
	st, err = w.eng.Rebalances().Stop(t.Context())
	w.must(err)
	if st.Running {
		t.Error("it runs after it was stopped")
	}
	w.await("the copies to be given up", func() bool {
		return !slices.ContainsFunc(names, func(b string) bool {
			row, there := w.copyRow(b, "", "c3")
			return there && row.State <= catalog.CopySynced
		})
	})
	c3.SetFault(nil)
	for _, b := range names {
		w.eng.run.Load().agenda.touch(b)
		w.await(b+" back", func() bool { return slices.Equal(w.clusters(b), []string{"c1", "c2"}) })
	}

	_, err = w.eng.Rebalances().Start(t.Context())
	w.must(err)
	for _, b := range names {
		w.await(b+" in c3", func() bool {
			return w.status(b).State == control.BucketOK && len(w.clusters(b)) == 2 && slices.Contains(w.clusters(b), "c3")
		})
	}
	w.await("the end", func() bool {
		st, err := w.eng.Rebalances().Status(t.Context())
		w.must(err)
		return !st.Running && st.Buckets == 0
	})
	if c3.Contents("bkt0")["k"] != "x" {
		t.Errorf("c3 has %v", c3.Contents("bkt0"))
	}
}

// A storage that has never answered gets no copy; the bucket says so, and goes on once it
// answers.
func TestSilentStorageIsNotChosen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, onFakes)
	w.fake("c1")
	w.fake("c2")
	w.apply(&catalog.Policy{Name: "two", Copies: catalog.Copies{N: 2}})
	w.bucket("placed", "two", "c1")
	w.awaitOK("placed", "c1", "c2")
	f := fakestorage.New("c3")
	f.SetFault(func(context.Context, string, string, string) error { return storage.ErrUnavailable })
	w.mu.Lock()
	w.fakes["c3"] = f
	w.mu.Unlock()
	w.zone("c3")
	w.apply(&catalog.Cluster{Name: "c3", Zones: []string{"c3"}, Storage: &catalog.Storage{Endpoint: "http://c3.test", BucketPrefix: w.prefix}})
	w.apply(&catalog.Policy{Name: "three", Copies: catalog.Copies{N: 3}})
	w.bucket("new", "three", "c1")
	w.await("the reason", func() bool {
		st := w.status("new")
		return st.State == control.BucketStuck && strings.Contains(st.Reason, "c3 has never answered") &&
			slices.Equal(w.clusters("new"), []string{"c1", "c2"})
	})
	if in := w.clusters("placed"); !slices.Equal(in, []string{"c1", "c2"}) {
		t.Errorf("what was placed is in %v", in)
	}
	f.SetFault(nil)
	w.awaitOK("new", "c1", "c2", "c3")
	w.awaitOK("placed", "c1", "c2")
}

// Who goes on writing where the primary was is found out, though no copy is there any more.
func TestStraysAtAFormerPrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) {
		o.Copy, o.Tune.StrayEvery = fakestorage.Copy, 50*time.Millisecond
	})
	c1 := w.fake("c1")
	c1.User("bkt", "k", "x")
	w.fake("c2")
	w.policy("p", 1, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1")
	w.bucket("bkt", "p", "c2")
	w.awaitOK("bkt", "c2")
	former := func() FormerPrimary {
		if all := w.eng.Reports().FormerPrimaries("bkt"); len(all) == 1 {
			return all[0]
		}
		return FormerPrimary{}
	}
	w.await("the watch", func() bool { return former().Cluster == "c1" && former().Strays == 0 })
	c1.User("bkt", "late", "y")
	w.await("the stray", func() bool { return former().Strays == 1 && slices.Equal(former().Keys, []string{"late"}) })
	c1.UserDelete("bkt", "late")
	w.await("no stray", func() bool { return former().Strays == 0 })
	w.bucket("bkt", "p", "c1") // back
	w.await("the end of the watch", func() bool { return w.status("bkt").Primary == "c1" && former().Cluster != "c1" })
}

// A move of the primary that is prepared waits until people have it happen.
func TestPreparedMoveWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, onFakes)
	w.fake("c1").User("bkt", "k", "x")
	w.fake("c2")
	w.policy("p", 1, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1")
	w.apply(&catalog.Bucket{Name: "bkt", Policy: "p", Primary: "c2", Promote: catalog.PromoteManual})
	w.await("the copy to be ready", func() bool {
		st := w.status("bkt")
		return st.Promotion != nil && st.Promotion.To == "c2" && st.Promotion.Ready
	})
	w.eng.run.Load().agenda.touch("bkt")
	w.bucket("other", "p", "c1")
	w.awaitOK("other", "c1") // the planner has looked at both
	if st := w.status("bkt"); st.Primary != "c1" || st.State != control.BucketOK {
		t.Errorf("before people said so: %+v", st)
	}
	w.bucket("bkt", "p", "c2")
	w.awaitOK("bkt", "c2")
	if w.fakes["c2"].Contents("bkt")["k"] != "x" {
		t.Error("c2 lacks the object")
	}
}
