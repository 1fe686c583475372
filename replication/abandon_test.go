package replication

import (
	"context"
	"errors"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// A MinIO that is gone for good, with the primary of one bucket that has a copy and of one that
// has none: FaDO tells what is lost, gives it up when it is told to, and goes on.
func TestAbandonALostStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{}, nil)
	lost := testenv.StartFor(t, testenv.KindMinIO, testenv.Options{Versioning: true})
	w.cluster("c1", lost)
	w.cluster("c2", minioB.Server(t))
	w.cluster("c3", minioC.Server(t))
	w.apply(&catalog.Policy{Name: "two", Copies: catalog.Copies{N: 2}, Prefer: []string{"c2"}})
	w.apply(&catalog.Policy{Name: "one", Copies: catalog.Copies{N: 1}})
	for _, b := range []string{"both", "alone"} {
		w.makeBucket("c1", b)
		w.put("c1", b, "k", "x of "+b)
	}
	w.bucket("both", "two", "c1")
	w.bucket("alone", "one", "c1")
	w.bucket("copied", "two", "c3")
	w.awaitOK("both", "c1", "c2")
	w.awaitOK("alone", "c1")
	lost.Kill()

	what, err := w.eng.Abandonments().Of(t.Context(), "c1")
	w.must(err)
	if what.Objects != 1 || len(what.Buckets) != 2 || what.Buckets[0].Bucket != "alone" || what.Buckets[0].Heir != "" ||
		what.Buckets[1].Heir != "c2" || what.Buckets[1].Objects != 0 {
		t.Errorf("what is lost: %+v", what)
	}
	w.must(w.eng.Abandonments().Abandon(t.Context(), "c1", control.Precondition{}))
	if _, err := w.ctl.Resources.Get(t.Context(), catalog.KindCluster, "c1"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("the cluster is there yet: %v", err)
	}
	w.awaitOK("both", "c2", "c3")
	if got, _ := w.get("c3", "both", "k"); got != "x of both" {
		t.Errorf("the new copy has %q", got)
	}
	w.await("a new primary", func() bool {
		st := w.status("alone")
		return st.State == control.BucketOK && st.Primary != "" && st.Primary != "c1"
	})
	if _, err := w.eng.Abandonments().Of(t.Context(), "c1"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("abandoned again: %v", err)
	}
}

// Policies that name the cluster are changed by people: one that named none would allow all.
func TestAbandonIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, onFakes)
	w.fake("c1")
	w.fake("c2")
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	var inUse *control.InUseError
	if err := w.eng.Abandonments().Abandon(t.Context(), "c1", control.Precondition{}); !errors.As(err, &inUse) || len(inUse.By) != 1 {
		t.Errorf("error %v", err)
	}
	w.awaitOK("bkt", "c1", "c2")
}

// Of several copies the one takes the primary's place that lacks the least; what others have
// that it lacks stays, and is told of.
func TestAbandonChoosesTheBestCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, onFakes)
	c1 := w.fake("c1")
	c2, c3 := w.fake("c2"), w.fake("c3")
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 3}})
	c1.User("bkt", "old", "x")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2", "c3")
	c2.SetFault(func(_ context.Context, op, _, _ string) error { // takes nothing new
		if op == "put" {
			return storage.ErrDenied
		}
		return nil
	})
	c1.User("bkt", "new", "y")
	w.must(w.eng.SyncBucket(t.Context(), "bkt"))
	w.await("c3 to have it", func() bool {
		return c3.Contents("bkt")["new"] == "y" && len(w.pending(state.PendingFilter{Cluster: "c2"})) == 1 &&
			len(w.pending(state.PendingFilter{Cluster: "c3"})) == 0
	})
	c1.SetFault(func(context.Context, string, string, string) error { return storage.ErrUnavailable })
	what, err := w.eng.Abandonments().Of(t.Context(), "c1")
	w.must(err)
	if len(what.Buckets) != 1 || what.Buckets[0].Heir != "c3" || what.Objects != 0 {
		t.Errorf("what is lost: %+v", what)
	}
	c2.SetFault(nil)
	w.must(w.eng.Abandonments().Abandon(t.Context(), "c1", control.Precondition{}))
	w.await("c2 to follow", func() bool { return w.status("bkt").Primary == "c3" && c2.Contents("bkt")["new"] == "y" })
}

// The only other copy may be one that has to leave, because its cluster drains or is not allowed
// any more: it takes the primary's place all the same, and what it has goes where it may be.
func TestAbandonKeepsWhatIsLeaving(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, onFakes)
	c1 := w.fake("c1")
	c2, c3 := w.fake("c2"), w.fake("c3")
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Clusters: []string{"c1", "c2"}})
	c1.User("bkt", "k", "x")
	w.apply(&catalog.Bucket{Name: "bkt", Policy: "p"})
	w.awaitOK("bkt", "c1", "c2")
	c1.SetFault(func(context.Context, string, string, string) error { return storage.ErrUnavailable })
	w.await("c1 is down", func() bool { return !w.eng.core.sites.Up("c1") })
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Clusters: []string{"c3"}})
	what, err := w.eng.Abandonments().Of(t.Context(), "c1")
	w.must(err)
	if len(what.Buckets) != 1 || what.Buckets[0].Heir != "c2" || what.Objects != 0 {
		t.Errorf("what is lost: %+v", what)
	}
	w.must(w.eng.Abandonments().Abandon(t.Context(), "c1", control.Precondition{}))
	w.await("c3 to have it", func() bool { return w.status("bkt").Primary == "c3" && c3.Contents("bkt")["k"] == "x" })
	w.awaitOK("bkt", "c3")
	if got := c2.Contents("bkt"); len(got) != 0 {
		t.Errorf("c2 has %v where it may not be", got)
	}
}
