package plan

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication/internal/copyrows"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// among declares clusters, each in a zone of its own, and policy p.
func among(p catalog.Policy, silent map[string]bool, clusters ...string) *Inputs {
	return NewInputs(routing.NewRouter().Snapshot().Edit(func(e *routing.Editor) {
		for _, name := range clusters {
			e.PutZone(&catalog.Zone{Name: name})
			e.PutCluster(&catalog.Cluster{Name: name, Zones: []string{name}, Storage: &catalog.Storage{Endpoint: "http://" + name}})
		}
		p.Name = "p"
		p.Normalize()
		e.PutPolicy(&p)
	}), nil, silent)
}

// settle plans until every copy is synced and nothing changes any more, as the engine does,
// and returns where the bucket is.
func settle(t *rapid.T, in *Inputs, decl *catalog.Bucket, rows []state.Copy, primary string) ([]state.Copy, string) {
	for range 20 {
		pl := in.Plan(decl, []catalog.PrefixRule{{Policy: "p"}}, rows, primary)
		rows = slices.DeleteFunc(pl.Rows, func(c state.Copy) bool { return c.State.Leaves() })
		changed := pl.Changed
		for i := range rows {
			changed = changed || rows[i].State != catalog.CopySynced
			rows[i].State = catalog.CopySynced
		}
		if pl.Target != "" && pl.Target != primary && copyrows.Index(rows, "", pl.Target) >= 0 {
			primary, changed = pl.Target, true
			for i := range rows {
				rows[i].Primary = rows[i].Cluster == primary
			}
		}
		if !changed {
			return rows, primary
		}
	}
	t.Fatalf("it does not come to rest: %+v", rows)
	return nil, ""
}

func clustersOf(rows []state.Copy) (names []string) {
	for _, r := range rows {
		names = append(names, r.Cluster)
	}
	slices.Sort(names)
	return names
}

// Clusters that are added get no copy of what is placed, whatever its policy prefers; a
// rebalance then moves it to where a bucket made now would be.
func TestAddedClusterMovesNothing(t *testing.T) {
	t.Parallel()
	all := []string{"c1", "c2", "c3", "c4", "c5", "c6"}
	rapid.Check(t, func(t *rapid.T) {
		policy := catalog.Policy{
			Copies: catalog.Copies{N: rapid.IntRange(1, 3).Draw(t, "copies")},
			Prefer: rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID[string]).Draw(t, "prefer"),
		}
		had := rapid.IntRange(policy.Copies.N, len(all)).Draw(t, "clusters")
		names := rapid.Permutation(all).Draw(t, "names")
		decl := &catalog.Bucket{Name: rapid.StringMatching(`[a-z]{3}`).Draw(t, "bucket")}
		rules := []catalog.PrefixRule{{Policy: "p"}}
		few, many := among(policy, nil, names[:had]...), among(policy, nil, names...)
		rows, primary := settle(t, few, decl, nil, few.FirstChoice(decl, rules, nil))
		if got := many.Plan(decl, rules, rows, primary); got.Changed || got.Target != primary || got.Issue != "" {
			t.Fatalf("with new clusters %v becomes %+v, primary %s to %s, %s", clustersOf(rows), got.Rows, primary, got.Target, got.Issue)
		}
		moved, newPrimary := settle(t, many.Rebalanced(), decl, rows, primary)
		want, _ := settle(t, many, decl, nil, many.FirstChoice(decl, rules, nil))
		if !slices.Equal(clustersOf(moved), clustersOf(want)) {
			t.Fatalf("rebalanced to %v, a new bucket would be in %v", clustersOf(moved), clustersOf(want))
		}
		if again := many.Plan(decl, rules, moved, newPrimary); again.Changed || again.Target != newPrimary {
			t.Fatalf("after the rebalance %v becomes %+v", clustersOf(moved), again.Rows)
		}
	})
}

// What never began where nothing has ever answered is forgotten, and goes elsewhere; what may
// have left something there stays.
func TestCopyThatNeverBegan(t *testing.T) {
	t.Parallel()
	in := among(catalog.Policy{Copies: catalog.Copies{N: 2}, Prefer: []string{"c1", "c2"}}, map[string]bool{"c2": true}, "c1", "c2", "c3")
	decl, rules := &catalog.Bucket{Name: "b"}, []catalog.PrefixRule{{Policy: "p"}}
	if got := in.FirstChoice(decl, rules, []string{"c2"}); got != "c2" {
		t.Errorf("of those that have answered meanwhile it chooses %q", got)
	}
	rows := []state.Copy{row("", "c1", catalog.CopySynced), row("", "c2", catalog.CopyWaiting)}
	if got := in.Plan(decl, rules, rows, "c1"); !slices.Equal(clustersOf(got.Rows), []string{"c1", "c3"}) {
		t.Errorf("the copies are in %v", clustersOf(got.Rows))
	}
	rows[1].MadeBucket = true
	if got := in.Plan(decl, rules, rows, "c1"); !slices.Equal(clustersOf(got.Rows), []string{"c1", "c2"}) {
		t.Errorf("the copies are in %v", clustersOf(got.Rows))
	}
}

// A primary that only people move stays, also where it must not be, and the plan says so.
func TestFixedPrimary(t *testing.T) {
	t.Parallel()
	decl, rules := &catalog.Bucket{Name: "b"}, []catalog.PrefixRule{{Policy: "p"}}
	rows := []state.Copy{row("", "c1", catalog.CopySynced)}
	for _, fixed := range []bool{true, false} {
		policy := catalog.Policy{Copies: catalog.Copies{N: 1}, Clusters: []string{"c2"}}
		if fixed {
			policy.Primary = catalog.PrimaryFixed
		}
		got := among(policy, nil, "c1", "c2").Plan(decl, rules, rows, "c1")
		if stays := got.Target == "c1"; stays != fixed || strings.Contains(got.Issue, "primary fixed") != fixed {
			t.Errorf("fixed %v: target %s, issue %q", fixed, got.Target, got.Issue)
		}
		policy.Clusters = nil
		policy.Prefer = []string{"c2"}
		got = among(policy, nil, "c1", "c2").Rebalanced().Plan(decl, rules, rows, "c1")
		if stays := got.Target == "c1"; stays != fixed {
			t.Errorf("fixed %v: a rebalance moves the primary to %s", fixed, got.Target)
		}
	}
}
