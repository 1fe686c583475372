package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

var noCondition control.Precondition

// counted is a row with so many objects of ten bytes each.
func counted(c state.Copy, objects int64) state.Copy {
	c.Objects, c.Bytes = objects, 10*objects
	return c
}

// down has a cluster's storage not answer.
func (w *world) down(cluster string) {
	w.Helper()
	w.Fakes[cluster].SetFault(func(context.Context, string, string, string) error { return storage.ErrUnavailable })
}

func (w *world) lostWith(cluster string) Abandonment {
	w.Helper()
	what, err := w.Abandonments.Of(w.Context(), cluster)
	w.Must(err)
	return what
}

// behind has so many changes of the bucket not have reached a cluster.
func (w *world) behind(cluster string, keys ...string) {
	w.Helper()
	for _, k := range keys {
		w.Must(w.Ctl.Pending.Add(w.Context(), state.Pending{Bucket: bkt, Key: k, Cluster: cluster, Size: 10, Since: time.Now()}))
	}
}

// What is lost with a primary is what had not reached the copy that takes its place.
func TestAbandonedPrimary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(counted(primary("c1"), 9), counted(copyOf("c2", catalog.CopySynced), 9))
	if what := w.lostWith("c1"); what.Objects != 0 || len(what.Buckets) != 1 || what.Buckets[0].Heir != "c2" || !what.Buckets[0].Primary || what.Buckets[0].Reason != "" {
		t.Errorf("of one in step: %+v", what)
	}
	w.behind("c2", "a", "b")
	if what := w.lostWith("c1"); what.Objects != 2 || what.Bytes != 20 || what.Buckets[0].Reason == "" {
		t.Errorf("of one behind: %+v", what)
	}
	w.Rows(counted(primary("c1"), 9), counted(copyOf("c2", catalog.CopySyncing), 4))
	if what := w.lostWith("c1"); what.Objects != 5 || what.Bytes != 50 || what.Buckets[0].Heir != "c2" {
		t.Errorf("of one that is not complete: %+v", what)
	}
	w.Rows(counted(primary("c1"), 9), copyOf("c2", catalog.CopyWaiting))
	if what := w.lostWith("c1"); what.Objects != 9 || what.Bytes != 90 || what.Buckets[0].Heir != "" {
		t.Errorf("without another copy: %+v", what)
	}
}

// With a copy only its own conflicting objects are lost.
func TestAbandonedCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(counted(primary("c1"), 9), counted(copyOf("c2", catalog.CopySynced), 9))
	if what := w.lostWith("c2"); what.Objects != 0 || what.Buckets[0].Primary || what.Buckets[0].Heir != "" || what.Buckets[0].Reason != "" {
		t.Errorf("of one in step: %+v", what)
	}
	w.Must(w.Ctl.Pending.Add(t.Context(), state.Pending{Bucket: bkt, Key: "k", Cluster: "c2", Since: time.Now(), Hold: state.HoldConflict}))
	if what := w.lostWith("c2"); what.Objects != 1 || what.Buckets[0].Reason == "" {
		t.Errorf("of one in conflict: %+v", what)
	}
	if what := w.lostWith("c3"); len(what.Buckets) != 0 {
		t.Errorf("of none: %+v", what)
	}
	_, err := w.Abandonments.Of(t.Context(), "c9")
	w.wantNotFound(err)
}

// Of several copies the best takes the primary's place.
func TestHeir(t *testing.T) {
	t.Parallel()
	synced := catalog.CopySynced
	for name, c := range map[string]struct {
		c2, c3 state.Copy
		set    func(w *world)
		want   string
	}{
		"the first by name":        {copyOf("c2", synced), copyOf("c3", synced), nil, "c2"},
		"the complete one":         {counted(copyOf("c2", catalog.CopySyncing), 5), copyOf("c3", synced), nil, "c3"},
		"the one with more":        {counted(copyOf("c2", synced), 3), counted(copyOf("c3", synced), 5), nil, "c3"},
		"the one less behind":      {counted(copyOf("c2", synced), 5), copyOf("c3", synced), func(w *world) { w.behind("c2", "k") }, "c3"},
		"the one that stays":       {copyOf("c2", catalog.CopyDraining), copyOf("c3", synced), nil, "c3"},
		"not the one that is gone": {copyOf("c2", catalog.CopyRemoving), counted(copyOf("c3", catalog.CopySyncing), 1), nil, "c3"},
		"the only one":             {copyOf("c2", catalog.CopyRemoving), copyOf("c3", catalog.CopyWaiting), nil, "c2"},
		"none that has begun":      {copyOf("c2", catalog.CopyWaiting), copyOf("c3", catalog.CopyWaiting), nil, ""},
		"the one that is allowed": {copyOf("c2", synced), copyOf("c3", synced), func(w *world) {
			w.Apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1", "c3"}})
		}, "c3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Rows(primary("c1"), c.c2, c.c3)
			if c.set != nil {
				c.set(w)
			}
			if b := w.lostWith("c1").Buckets[0]; b.Heir != c.want {
				t.Errorf("the heir is %q, want %q", b.Heir, c.want)
			}
		})
	}
}

// Every bucket goes on without its copy, those that declare the cluster as their primary with the
// one that they have, and the cluster is gone.
func TestAbandon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Apply(&catalog.Bucket{Name: "other", Policy: "p", Primary: "c1"})
	w.place("other", "c2", "c1")
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySynced))
	w.down("c1")
	w.Must(w.Abandonments.Abandon(t.Context(), "c1", noCondition))
	w.wantCalls("abandon "+bkt+" in c1 for c2", "abandon other in c1 for ")
	if !w.Row("c2").Primary {
		t.Error("c2 has not taken the primary's place")
	}
	_, err := w.Ctl.Resources.Get(t.Context(), catalog.KindCluster, "c1")
	w.wantNotFound(err)
	for bucket, want := range map[string]string{bkt: "c2", "other": "c2"} {
		it, err := w.Ctl.Resources.Get(t.Context(), catalog.KindBucket, bucket)
		w.Must(err)
		if got := it.Resource.(*catalog.Bucket).Primary; got != want {
			t.Errorf("%s declares %q as its primary, want %q", bucket, got, want)
		}
	}
}

// An abandonment that failed is taken up again; until it is through, the cluster is there.
func TestAbandonGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySynced))
	w.err = state.ErrUnavailable
	w.WantErr(w.Abandonments.Abandon(t.Context(), "c1", noCondition), state.ErrUnavailable)
	if _, err := w.Ctl.Resources.Get(t.Context(), catalog.KindCluster, "c1"); err != nil {
		t.Errorf("the cluster: %v", err)
	}
	w.err = control.ErrNotFound // the bucket went meanwhile
	w.Must(w.Abandonments.Abandon(t.Context(), "c1", noCondition))
	_, err := w.Ctl.Resources.Get(t.Context(), catalog.KindCluster, "c1")
	w.wantNotFound(err)
}

// What could not be carried through is refused before anything is done.
func TestAbandonIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Rows(primary("c1"), copyOf("c2", catalog.CopySynced))
	w.Apply(&catalog.Policy{Name: "z", Copies: catalog.Copies{N: 1}, Clusters: []string{"c1"}})
	w.Apply(&catalog.Policy{Name: "a", Copies: catalog.Copies{N: 1}, Prefer: []string{"c1"}})
	var inUse *control.InUseError
	if err := w.Abandonments.Abandon(t.Context(), "c1", noCondition); !errors.As(err, &inUse) || len(inUse.By) != 2 || inUse.By[0].Name != "a" {
		t.Errorf("of a cluster that policies name: %v", err)
	}
	declared, err := w.Ctl.Attach(t.Context(), control.Config{
		Zones: []*catalog.Zone{{Name: "here"}}, Clusters: []*catalog.Cluster{{Name: "fixed", Zones: []string{"here"}}},
	})
	w.Must(err)
	defer declared.Detach()
	w.WantErr(w.Abandonments.Abandon(t.Context(), "fixed", noCondition), control.ErrConfigOwned)
	w.wantNotFound(w.Abandonments.Abandon(t.Context(), "c9", noCondition))
	w.off = true
	w.WantErr(w.Abandonments.Abandon(t.Context(), "c2", noCondition), errOff)
	w.wantCalls()
}
