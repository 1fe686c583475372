package replication

import (
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/asks"
	"github.com/fado-project/fado/replication/internal/fakestorage"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/state"
)

func rowIn(bucket, prefix, cluster string) state.Copy {
	return state.Copy{Bucket: bucket, Copy: catalog.Copy{Prefix: prefix, Cluster: cluster}}
}

// Rows of rules that may be written anywhere are marked, once, and others are left alone.
func TestMarkAnywhere(t *testing.T) {
	t.Parallel()
	rows := []state.Copy{rowIn("b", "", "c1"), rowIn("b", "a/", "c1"), rowIn("b", "a/", "c2")}
	rows[1].Anywhere = true
	if !markAnywhere([]string{"a/"}, rows) {
		t.Error("a mark is not told of")
	}
	if rows[0].Anywhere || !rows[1].Anywhere || !rows[2].Anywhere {
		t.Errorf("marked: %v", rows)
	}
	if markAnywhere([]string{"a/"}, rows) {
		t.Error("marks that were there are told of")
	}
	if markAnywhere(nil, rows) || !rows[1].Anywhere {
		t.Error("marks go by themselves")
	}
}

// What is in the rows and not in the plan is gone, by prefix and cluster.
func TestWithout(t *testing.T) {
	t.Parallel()
	rows := []state.Copy{rowIn("b", "", "c1"), rowIn("b", "", "c2"), rowIn("b", "a/", "c2")}
	gone := without(rows, []state.Copy{rowIn("b", "", "c1"), rowIn("b", "a/", "c2"), rowIn("b", "a/", "c3")})
	if !slices.Equal(gone, []ids.Copy{ids.CopyIn("b", "", "c2")}) {
		t.Errorf("gone are %v", gone)
	}
	if gone := without(nil, rows); gone != nil {
		t.Errorf("of no rows %v are gone", gone)
	}
}

// The snapshot tells whether rows are to be marked, or brought together again.
func TestWritingAnywhereIsSeenInTheSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Settings{NoEventFeed: true}, func(o *Options) { o.Copy = fakestorage.Copy })
	w.fake("c1")
	w.fake("c2")
	w.policy("p", 2, "c1", "c2")
	w.bucket("bkt", "p", "c1")
	w.awaitOK("bkt", "c1", "c2")
	snap := w.ctl.Router().Snapshot()
	if asks.UnmarkedAnywhere(snap.Of("bkt")) || asks.MustConverge(snap, "bkt", snap.Of("bkt").Copies()) {
		t.Error("a bucket with one writer is taken for one written anywhere")
	}
	marked := slices.Clone(snap.Of("bkt").Copies())
	marked[1].Anywhere = true
	if !asks.MustConverge(snap, "bkt", marked) {
		t.Error("what was written anywhere is not brought together")
	}
	left := slices.Clone(snap.Of("bkt").Copies())
	left[1].FormerPrimary = true
	for _, c := range []struct {
		copies []catalog.Copy
		target string
		want   asks.Whole
	}{
		{snap.Of("bkt").Copies(), "c1", asks.Whole{}},
		{snap.Of("bkt").Copies(), "", asks.Whole{}},
		{snap.Of("bkt").Copies(), "c2", asks.Whole{Move: "c2"}},
		{left, "c1", asks.Whole{Carry: left[1].Cluster}},
		{marked, "c1", asks.Whole{Converge: "c1"}},
	} {
		if got := asks.OfWhole(snap, "bkt", c.copies, "c1", c.target); got != c.want {
			t.Errorf("with its primary to be in %q the bucket asks for %+v, want %+v", c.target, got, c.want)
		}
	}
	w.eng.Stop()
	w.apply(&catalog.Policy{Name: "p", Copies: catalog.Copies{N: 2}, Clusters: []string{"c1", "c2"}, Writes: catalog.WritesAnywhere})
	snap = w.ctl.Router().Snapshot()
	if !asks.UnmarkedAnywhere(snap.Of("bkt")) || asks.MustConverge(snap, "bkt", marked) {
		t.Error("copies that may be written anywhere are not to be marked")
	}
	w.eng.Start(Settings{NoEventFeed: true})
	w.await("the marks", func() bool { return !asks.UnmarkedAnywhere(w.ctl.Router().Snapshot().Of("bkt")) })
}

// A copy that drains says since when; it goes on saying so.
func TestMarkDrained(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := &planner{core: core{now: func() time.Time { return now }}}
	rows := []state.Copy{rowIn("b", "", "c1"), rowIn("b", "", "c2"), rowIn("b", "", "c3")}
	rows[0].State, rows[1].State, rows[2].State = catalog.CopySynced, catalog.CopyDraining, catalog.CopyDraining
	rows[2].DrainSince = now.Add(-time.Hour)
	p.markDrained(rows)
	if !rows[0].DrainSince.IsZero() || rows[1].DrainSince != now || rows[2].DrainSince != now.Add(-time.Hour) {
		t.Errorf("draining since %v, %v, %v", rows[0].DrainSince, rows[1].DrainSince, rows[2].DrainSince)
	}
}
